//! Items in two splits, however they got there: each way has its alarm.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::Schema;
use mmc_data::{Arm, Shared};
use mmc_run::{OverlapRecord, Predictions, ResultsFolder, SplitOverlap, SplitRecord};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::alarms::{after, with_cost};
use super::synthetic::Synthetic;
use super::{arms, run};

fn experiment() -> Synthetic {
    Synthetic::new(arms(1.0, 2.0))
}

/// A pair without anything in common, of the splits as the first run met them.
fn pair(results: &ResultsFolder, among: fn(&mmc_run::DataRecord) -> SplitRecord) -> SplitOverlap {
    let data = results.run(&run("vilt-tiny", Arm::Both, 0)).unwrap().config().unwrap().data;
    SplitOverlap {
        of: data.test.clone().unwrap(),
        among: among(&data),
        pictures_stamp: String::new(),
        found: Shared { ids: 400, texts: 3, pictures: 5, ..Shared::default() },
    }
}

fn write(results: &ResultsFolder, pair: SplitOverlap) {
    results.write_overlap(&OverlapRecord { pairs: vec![pair] }).unwrap();
}

#[test]
fn test_items_that_were_trained_on() {
    let verdict = after(&experiment(), |results| {
        let mut pair = pair(results, |data| data.train.clone());
        pair.found.items = 3;
        pair.found.examples = vec!["00007".to_owned(), "a`b".to_owned()];
        write(results, pair);
    });
    let expected = "3 of 400 rows of `test_unseen` are also in `train` (`00007`, `a'b`, …), with the \
                    same text and picture, or the same id and one of the two: scores on them say nothing \
                    about new items";
    assert_eq!(verdict.alarms, [expected]);
}

#[test]
fn test_items_that_took_part_in_selection() {
    let verdict = after(&experiment(), |results| {
        let mut pair = pair(results, |data| data.selection.clone().unwrap());
        pair.found.items = 1;
        pair.found.examples = vec!["00007".to_owned()];
        write(results, pair);
    });
    assert_eq!(verdict.alarms.len(), 1, "{:?}", verdict.alarms);
    assert!(
        verdict.alarms[0].starts_with("1 of 400 rows of `test_unseen` are also in `dev_unseen`")
    );
    assert!(verdict.alarms[0].ends_with("they took part in choosing epochs and models"));
}

#[test]
fn splits_with_texts_or_numbers_in_common_are_no_leak() {
    let verdict = after(&experiment(), |results| {
        write(results, pair(results, |data| data.train.clone()));
    });
    assert_eq!(verdict.alarms, Vec::<String>::new());
}

#[test]
fn pictures_that_could_not_be_compared() {
    let verdict = after(&experiment(), |results| {
        let mut pair = pair(results, |data| data.train.clone());
        pair.found.unread = 2;
        write(results, pair);
    });
    assert_eq!(verdict.alarms.len(), 1, "{:?}", verdict.alarms);
    assert!(
        verdict.alarms[0].starts_with("2 pictures of `test_unseen` and `train` could not be read")
    );
}

#[test]
fn a_comparison_of_other_data() {
    let verdict = after(&experiment(), |results| {
        let mut pair = pair(results, |data| data.train.clone());
        pair.among.fingerprint = "0".repeat(64);
        write(results, pair);
    });
    assert_eq!(verdict.alarms.len(), 1, "{:?}", verdict.alarms);
    assert!(verdict.alarms[0].starts_with("`overlap.json` is of other rows"));
}

#[test]
fn ids_of_both_predictions_where_the_data_was_not_compared() {
    let verdict = after(&experiment(), |results| {
        for seed in 0..3 {
            for (model, arm) in
                [("bert-tiny", Arm::Text), ("vilt-tiny", Arm::Both), ("vilt-tiny", Arm::Text)]
            {
                let folder = results.run(&run(model, arm, seed)).unwrap();
                let mut rows = folder.predictions("dev_unseen").unwrap();
                rows.rows[3].id = "00007".to_owned();
                folder.write_predictions("dev_unseen", &rows).unwrap();
            }
        }
    });
    assert_eq!(verdict.alarms.len(), 1, "{:?}", verdict.alarms);
    assert!(
        verdict.alarms[0].starts_with("1 test items have an id that the selection split has too")
    );
}

#[test]
fn one_split_in_two_roles() {
    let verdict = after(&experiment(), |results| {
        for seed in 0..3 {
            for (model, arm) in
                [("bert-tiny", Arm::Text), ("vilt-tiny", Arm::Both), ("vilt-tiny", Arm::Text)]
            {
                let folder = results.run(&run(model, arm, seed)).unwrap();
                let mut config = folder.config().unwrap();
                let test = config.data.test.clone().unwrap();
                config.data.selection =
                    Some(SplitRecord { split: "dev_unseen".to_owned(), ..test });
                folder.write_config(&config).unwrap();
            }
        }
    });
    let expected = "the selection and the test split are the same rows with the same labels: scores on \
                    them say nothing about new items";
    assert_eq!(verdict.alarms, [expected]);
}

#[test]
fn rows_that_a_run_has_met_in_training() {
    let with = |model: &'static str, arm: Arm, rows: usize| {
        after(&experiment(), |results| {
            for seed in 0..3 {
                let leaked = results.run(&run(model, arm, seed)).unwrap();
                let rows = [("test_unseen".to_owned(), rows)];
                with_cost(&leaked, |cost| cost.rows_in_train = rows.clone().into());
            }
        })
        .alarms
    };
    // Said once, however many runs met it.
    let expected = "7 of 400 rows of `test_unseen` are also in `train`, with the same text and \
                    picture: scores on them say nothing about new items";
    assert_eq!(with("vilt-tiny", Arm::Both, 7), [expected]);
    // One text with another picture is common, and more than a tenth of them is not.
    assert_eq!(with("bert-tiny", Arm::Text, 40), Vec::<String>::new());
    let expected = "bert-tiny (text): 41 of 400 rows of `test_unseen` have a text that a row of `train` \
                    has too, which is all that this arm sees; whether they are the same items is not \
                    known";
    assert_eq!(with("bert-tiny", Arm::Text, 41), [expected]);
}

/// Adds a column of words to the predictions of a run.
fn record(results: &ResultsFolder, name: &str, word: impl Fn(usize) -> Option<String>) {
    let path = results
        .run(&run("bert-tiny", Arm::Text, 0))
        .unwrap()
        .predictions_path("test_unseen", "parquet");
    let file = std::fs::File::open(&path).unwrap();
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let batch = reader.next().unwrap().unwrap();
    let words: ArrayRef = Arc::new((0..batch.num_rows()).map(word).collect::<StringArray>());
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(arrow_schema::Field::new(name, words.data_type().clone(), true)));
    let mut columns = batch.columns().to_vec();
    columns.push(words);
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn items_are_parted_by_what_their_predictions_record_of_them() {
    let verdict = after(&experiment(), |results| {
        record(results, "question_type", |item| {
            (item != 0).then(|| ["what is", "is the", "how many"][(item / 2 % 6).min(2)].to_owned())
        });
        record(results, "question", |item| Some(format!("number {item}")));
    });
    let parts: Vec<(&str, usize)> =
        verdict.subgroups.iter().map(|at| (at.part.as_str(), at.items)).collect();
    let expected = [
        ("`question_type` is how many", 264),
        ("`question_type` is is the", 68),
        ("`question_type` is what is", 67),
    ];
    // The first item has no word, and a column that names items parts none.
    assert_eq!(parts, expected);
    // The gain of a part is that of its own items.
    let rows = |model: &str, arm: Arm| -> f64 {
        let mut right = 0.0;
        for seed in 0..3 {
            let folder = tempfile::tempdir().unwrap();
            let results = experiment().write(folder.path());
            let file: Predictions =
                results.run(&run(model, arm, seed)).unwrap().predictions("test_unseen").unwrap();
            let chosen = file.rows.iter().enumerate().filter(|(item, _)| item / 2 % 6 == 1);
            right += chosen.filter(|(_, row)| row.label.as_deref() == Some(&row.prediction)).count()
                as f64;
        }
        right / (3.0 * parts[1].1 as f64)
    };
    let part = &verdict.subgroups[1];
    assert!((part.baseline - rows("bert-tiny", Arm::Text)).abs() < 1e-12, "{part:?}");
    assert!((part.candidate - rows("vilt-tiny", Arm::Both)).abs() < 1e-12, "{part:?}");
    assert!(part.interval.is_some());
}
