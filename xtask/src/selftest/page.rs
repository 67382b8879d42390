//! The page on trained verdicts, and its raw rows.

use mmc_data::Arm;
use mmc_data::demo::Truth;
use mmc_report::Answer;

use super::bars::{Bar, bars, is_right, mean_part, of_truth, place};
use super::record::{RunRecord, SetRecord};
use super::sets::TRUTHS;

const METHOD: &str = "\
Each set is drawn by the generator of the demo (`mmc data demo`) with a seed of its own, and decided \
by the path of `cargo xtask experiment`: nine training runs (`bert-tiny` with the text, `vilt-tiny` \
with text and picture, and `vilt-tiny` with the text; three seeds each, from random weights), the \
diagnosis of those with text and picture, and the verdict. Sizes, settings, metric and margin are \
those of the demo in `configs/hateful_memes.toml`, the same for every truth; they were fixed before \
these sets were first drawn, and no set here was used to choose them: sets to try things out on had \
the seeds 0 and from 900, these have 101 and up, and no two share a seed of data or of training. ";

const MEANINGS: &str = "\
- *Right* is `multimodal` for `interaction` and `image`, `text suffices` for `text` and `redundant`, \
anything but `multimodal` for `none`. All else is wrong, `undecided` too where another is right.\n\
- *Parts of the gain*: the gain of `vilt-tiny` with text and picture over `bert-tiny`, as backbone \
(its own text arm less `bert-tiny`), additive (what a sum of a text part and a picture part can say, \
less the text arm) and interaction (the rest). There is 0.44 AUROC to gain, from chance to what the \
flipped labels leave. The bar wants four fifths of it in the part where the generator put it, and at \
most a fifth in a part where it put nothing. Not all, since in a few hundred items the two tones and \
scenes are never quite equally frequent, and what is more frequent tells a little of the label by \
itself, additively.\n\
- *Processor time* is that of the whole process of a training run, all its threads.\n";

/// The whole page.
/// `rows` is the name of the folder beside it with the raw rows.
pub(super) fn page(records: &[SetRecord], wanted: u64, rows: &str) -> String {
    let bars = bars(records, wanted);
    let missed = bars.iter().filter(|bar| !bar.passes).count();
    let outcome = match missed {
        0 => format!("All {} bars hold.", bars.len()),
        _ => format!("Bars that are missed: {missed} of {}.", bars.len()),
    };
    let all = wanted as usize * TRUTHS.len();
    let rests = if records.len() == all {
        format!("It rests on {all} sets.")
    } else {
        format!(
            "**It rests on {} of {all} sets: not finished.** The same command goes on.",
            records.len()
        )
    };
    let table: String = bars.iter().map(bar_row).collect();
    format!(
        "# Verdicts on generated sets, trained for real\n\n\
         Written by `cargo xtask selftest --sets {wanted}`; do not edit. {outcome} {rests} Raw rows: \
         [sets]({rows}/sets.csv), [runs]({rows}/runs.csv).\n\n\
         {METHOD}The figures say how the verdict fares where models can learn what there is to learn, \
         on generated memes; [verdict.md](verdict.md) says how often it is right for gains near the \
         margin.\n\n{MEANINGS}\n\
         ## Bars\n\n| | | bar | |\n| --- | --- | --- | --- |\n{table}\n\
         ## Verdicts\n\n{}\n## Where the gain comes from\n\n{}\n## Runs\n\n{}",
        verdicts(records),
        ledgers(records),
        runs(records),
    )
}

fn bar_row(bar: &Bar) -> String {
    format!("| {} | {} | {} | {} |\n", bar.what, bar.figure, bar.limit, bar.outcome())
}

fn verdicts(records: &[SetRecord]) -> String {
    let header = "\
| truth | sets | multimodal | text suffices | undecided | right | mean gain | smallest | largest |\n\
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    let mut rows = vec![header];
    for (truth, sets) in present(records) {
        let count =
            |answer: Answer| sets.iter().filter(|set| set.verdict == answer.to_string()).count();
        let right = sets.iter().filter(|set| is_right(truth, &set.verdict)).count();
        let gains: Vec<f64> = sets.iter().map(|set| set.gain).collect();
        let mean = gains.iter().sum::<f64>() / gains.len() as f64;
        let [low, high] = ends(&gains);
        rows.push(format!(
            "| `{truth}` | {} | {} | {} | {} | {right} | {mean:+.3} | {low:+.3} | {high:+.3} |\n",
            sets.len(),
            count(Answer::Multimodal),
            count(Answer::TextSuffices),
            count(Answer::Undecided),
        ));
    }
    rows.concat()
}

fn ledgers(records: &[SetRecord]) -> String {
    let items = records.first().map_or(0, |set| set.ledger_items);
    let header = format!(
        "AUROC, means over sets and in brackets the smallest and largest of a set, on {items} test \
         items of each. *In place*: sets whose largest part is the one where the generator put the \
         gain.\n\n\
         | truth | backbone | additive | interaction | total | in place |\n\
         | --- | ---: | ---: | ---: | ---: | ---: |\n"
    );
    let mut rows = vec![header];
    for (truth, sets) in present(records) {
        let part = |name: &str| {
            let parts = sets.iter().flat_map(|set| set.ledger.parts());
            let values: Vec<f64> =
                parts.filter(|(part, _)| *part == name).map(|(_, value)| value).collect();
            let [low, high] = ends(&values);
            format!("{:+.3} [{low:+.3}, {high:+.3}]", mean_part(&sets, name))
        };
        let total = sets.iter().map(|set| set.ledger.total).sum::<f64>() / sets.len() as f64;
        let in_place = place(truth).map_or("–".to_owned(), |place| {
            let largest =
                |set: &SetRecord| set.ledger.parts().into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
            let found = |set: &&&SetRecord| largest(set).is_some_and(|(part, _)| part == place);
            format!("{} of {}", sets.iter().filter(found).count(), sets.len())
        });
        rows.push(format!(
            "| `{truth}` | {} | {} | {} | {total:+.3} | {in_place} |\n",
            part("backbone"),
            part("additive"),
            part("interaction"),
        ));
    }
    rows.concat()
}

fn runs(records: &[SetRecord]) -> String {
    let mut arms: Vec<(&str, Arm)> = Vec::new();
    for run in records.iter().flat_map(|set| &set.runs) {
        if !arms.contains(&(run.model.as_str(), run.arm)) {
            arms.push((&run.model, run.arm));
        }
    }
    let truths = present(records);
    let names: Vec<String> = truths.iter().map(|(truth, _)| format!("`{truth}`")).collect();
    let names = names.join(" | ");
    let header = format!(
        "Mean AUROC by truth, and the processor time of a run in seconds.\n\n\
         | model | arm | runs | {names} | median time | longest |\n\
         | --- | --- | ---: |{} ---: | ---: |\n",
        " ---: |".repeat(truths.len())
    );
    let mut rows = vec![header];
    for (model, arm) in arms {
        let of_arm = |sets: &[&SetRecord]| -> Vec<RunRecord> {
            let runs = sets.iter().flat_map(|set| &set.runs);
            runs.filter(|run| run.model == model && run.arm == arm).cloned().collect()
        };
        let mut cells = Vec::new();
        let (mut seconds, mut count) = (Vec::new(), 0);
        for (_, sets) in &truths {
            let runs = of_arm(sets);
            let scores: Vec<f64> = runs.iter().filter_map(|run| run.auroc).collect();
            let mean = scores.iter().sum::<f64>() / scores.len() as f64;
            cells.push(format!(" {mean:.3} |"));
            count += runs.len();
            seconds.extend(runs.iter().filter_map(|run| run.cpu_seconds));
        }
        seconds.sort_by(f64::total_cmp);
        let median = seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN);
        let longest = seconds.last().copied().unwrap_or(f64::NAN);
        rows.push(format!(
            "| {model} | {arm} | {count} |{} {median:.1} | {longest:.1} |\n",
            cells.concat()
        ));
    }
    rows.concat()
}

/// The truths of which there are sets.
fn present(records: &[SetRecord]) -> Vec<(Truth, Vec<&SetRecord>)> {
    let truths = TRUTHS.iter().map(|(truth, _)| (*truth, of_truth(records, *truth)));
    truths.filter(|(_, sets)| !sets.is_empty()).collect()
}

fn ends(values: &[f64]) -> [f64; 2] {
    [
        values.iter().copied().fold(f64::NAN, f64::min),
        values.iter().copied().fold(f64::NAN, f64::max),
    ]
}

/// A row a set.
pub(super) fn sets_csv(records: &[&SetRecord]) -> String {
    let header = "truth,data_seed,verdict,right,gain,low,high,text_model,backbone,additive,\
                    interaction,total,ledger_items,test_fingerprint\n"
        .to_owned();
    let mut rows = vec![header];
    for set in records {
        let parts = set.ledger.parts().map(|(_, value)| format!("{value:.6}")).join(",");
        rows.push(format!(
            "{},{},{},{},{:.6},{:.6},{:.6},{},{parts},{:.6},{},{}\n",
            set.truth,
            set.seed,
            set.verdict,
            is_right(set.truth, &set.verdict),
            set.gain,
            set.low,
            set.high,
            set.text_model,
            set.ledger.total,
            set.ledger_items,
            set.fingerprint,
        ));
    }
    rows.concat()
}

/// A row a run; what was not measured is empty.
pub(super) fn runs_csv(records: &[&SetRecord]) -> String {
    let header = "truth,data_seed,model,arm,seed,auroc,final_loss,cpu_seconds\n".to_owned();
    let mut rows = vec![header];
    let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.4}"));
    for set in records {
        for run in &set.runs {
            let (loss, seconds) = (number(run.final_loss), number(run.cpu_seconds));
            let auroc = run.auroc.map_or(String::new(), |value| format!("{value:.6}"));
            let RunRecord { model, arm, seed, .. } = run;
            let (truth, data_seed) = (set.truth, set.seed);
            rows.push(format!(
                "{truth},{data_seed},{model},{arm},{seed},{auroc},{loss},{seconds}\n"
            ));
        }
    }
    rows.concat()
}

#[cfg(test)]
mod tests {
    use super::super::bars::tests::record;
    use super::*;

    #[test]
    fn the_page_says_how_many_sets_it_rests_on_and_which_bars_are_missed() {
        let records: Vec<SetRecord> = TRUTHS
            .iter()
            .flat_map(|(truth, at)| [record(*truth, at + 1), record(*truth, at + 2)])
            .collect();
        let whole = page(&records, 2, "rows");
        assert!(whole.contains("All 12 bars hold. It rests on 10 sets."), "{whole}");
        let part = page(&records[1..], 2, "rows");
        assert!(
            part.contains("Bars that are missed: 1 of 12. **It rests on 9 of 10 sets"),
            "{part}"
        );
        assert!(part.contains("| finished sets | 9 | all 10 | **MISSED** |"), "{part}");
        let row = "| `interaction` | 2 | 2 | 0 | 0 | 2 | +0.440 | +0.440 | +0.440 |";
        assert!(whole.contains(row), "{whole}");
        let row = "| `image` | +0.010 [+0.010, +0.010] | +0.440 [+0.440, +0.440] | \
                   +0.010 [+0.010, +0.010] | +0.440 | 2 of 2 |";
        assert!(whole.contains(row), "{whole}");
    }

    #[test]
    fn every_row_has_a_cell_for_each_column() {
        let record = record(Truth::Text, 401);
        for text in [sets_csv(&[&record]), runs_csv(&[&record])] {
            let cells: Vec<usize> = text.lines().map(|line| line.split(',').count()).collect();
            assert_eq!(cells.len(), 2);
            assert_eq!(cells[0], cells[1], "{text}");
        }
    }
}
