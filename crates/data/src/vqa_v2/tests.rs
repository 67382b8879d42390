use super::*;
use crate::fixture::Folder;
use crate::{Arm, ImageSource, ReadOptions, Split, dataset};

/// The first numbers of pictures that are, or are not, held out.
fn numbers(held_out: bool) -> impl Iterator<Item = u64> {
    (1..).filter(move |number| is_held_out(*number) == held_out)
}

fn question(image: u64, number: u64, text: &str) -> String {
    format!(
        r#"{{"image_id": {image}, "question": "{text}", "question_id": {}}}"#,
        image * 1000 + number
    )
}

fn annotation(image: u64, number: u64, answers: [&str; 10]) -> String {
    let given: Vec<String> = (1..)
        .zip(answers)
        .map(|(id, answer)| {
            format!(r#"{{"answer": "{answer}", "answer_confidence": "yes", "answer_id": {id}}}"#)
        })
        .collect();
    format!(
        r#"{{"question_type": "what", "multiple_choice_answer": "{}", "answers": [{}], "image_id": {image}, "answer_type": "other", "question_id": {}}}"#,
        answers[0],
        given.join(", "),
        image * 1000 + number
    )
}

fn file(key: &str, entries: &[String]) -> String {
    format!("{{\"info\": {{}}, \"{key}\": [\n{}\n], \"license\": {{}}}}\n", entries.join(",\n"))
}

const RED: [&str; 10] = ["red"; 10];

/// Three questions on two training pictures, one on a held-out one, one of val.
fn folder() -> (Folder, [u64; 3]) {
    let mut others = numbers(false);
    let (first, second) = (others.next().unwrap(), others.next().unwrap());
    let held = numbers(true).next().unwrap();
    let mut mixed = RED;
    mixed[7..].copy_from_slice(&["Dark red", "pink", "pink"]);
    let questions = [
        question(first, 0, "What colour?"),
        question(first, 1, "Which colour?"),
        question(held, 0, "What?"),
        question(second, 0, "What \\u00e9?"),
    ];
    let annotations = [
        annotation(second, 0, ["Two"; 10]),
        annotation(first, 1, mixed),
        annotation(first, 0, RED),
        annotation(held, 0, ["held"; 10]),
    ];
    let val = ["2", "2", "red", "never", "never", "x", "y", "z", "v", "w"];
    let folder = Folder::with(&[
        (TRAIN.questions[0], &file("questions", &questions)),
        (TRAIN.annotations.unwrap()[0], &file("annotations", &annotations)),
        (VAL.questions[0], &file("questions", &[question(first, 0, "How many?")])),
        (VAL.annotations.unwrap()[0], &file("annotations", &[annotation(first, 0, val)])),
        (TEST.questions[0], &file("questions", &[question(first, 0, "How?")])),
    ]);
    for image in [first, second, held] {
        folder.picture(&format!("train2014/COCO_train2014_{image:012}.jpg"), 9);
    }
    for split in ["val2014", "test2015"] {
        folder.picture(&format!("{split}/COCO_{split}_{first:012}.jpg"), 9);
    }
    (folder, [first, second, held])
}

fn read(folder: &Folder, split: &str) -> Split {
    folder.read("vqa_v2", split, &ReadOptions::default()).unwrap()
}

fn answers(split: &Split, row: usize) -> &Answers {
    match &split.samples[row].target {
        Some(Target::Answers(answers)) => answers,
        other => panic!("{other:?}"),
    }
}

#[test]
fn questions_are_joined_with_their_answers_whatever_the_order() {
    let (folder, [first, second, held]) = folder();
    let train = read(&folder, "train");
    let ids: Vec<String> = train.iter().map(|sample| sample.id.clone()).collect();
    assert_eq!(ids, [first * 1000, first * 1000 + 1, second * 1000].map(|id| id.to_string()));
    assert_eq!(train.labels, ["red", "2"], "by frequency, without what is held out");
    assert_eq!(train.samples[2].text, "What é?");
    assert_eq!(train.samples[0].group, train.samples[1].group);
    let picture = format!("train2014/COCO_train2014_{second:012}.jpg");
    assert_eq!(train.samples[2].image, Some(ImageSource::File(folder.path().join(picture))));
    assert_eq!(answers(&train, 0).scores, [(0, 1.0)]);
    assert_eq!(&*answers(&train, 1).given[7], "Dark red");
    assert_eq!(answers(&train, 2).scores, [(1, 1.0)], "as it is compared");
    assert!(train.is_labelled());
    let held_out = read(&folder, "held_out");
    assert_eq!(held_out.samples[0].id, (held * 1000).to_string());
    assert_eq!(answers(&held_out, 0).scores, []);
    assert!(train.notes.iter().any(|note| note.contains("1 of 4 questions are on the tenth")));
}

#[test]
fn annotations_without_a_question_are_counted() {
    let (folder, [first, ..]) = folder();
    assert!(!read(&folder, "val").notes.iter().any(|note| note.contains("annotations")));
    let [one, other] = [0, 7].map(|number| annotation(first, number, RED));
    folder.file(VAL.annotations.unwrap()[0], file("annotations", &[one, other]));
    let notes = read(&folder, "val").notes;
    let words = format!("has none for them, such as `{}`", first * 1000 + 7);
    assert!(
        notes.iter().any(|it| it.contains("1 annotations were left out") && it.contains(&words))
    );
}

#[test]
fn val_is_scored_with_the_vocabulary_of_train_or_of_both() {
    let (folder, _) = folder();
    let val = read(&folder, "val");
    assert_eq!(val.labels, ["red", "2"]);
    let scores: Vec<(usize, f32)> = answers(&val, 0).scores.clone();
    assert!((scores[0].1 - 0.3).abs() < 1e-6 && (scores[1].1 - 0.6).abs() < 1e-6, "{scores:?}");
    assert!(val.notes.iter().any(|note| note.contains("score above 0.6000")), "{:?}", val.notes);
    let both = ReadOptions { answers: AnswerSource::TrainVal, ..ReadOptions::default() };
    let val = folder.read("vqa_v2", "val", &both).unwrap();
    assert_eq!(val.labels, ["2", "red", "held"]);
    let own = Some(["never", "pink"].map(str::to_owned).to_vec());
    let own = ReadOptions { labels: own, ..ReadOptions::default() };
    let val = folder.read("vqa_v2", "val", &own).unwrap();
    assert_eq!((val.labels.len(), answers(&val, 0).scores[0].0), (2, 0));
}

#[test]
fn what_the_server_alone_knows_is_read_without_labels() {
    let (folder, _) = folder();
    let test = read(&folder, "test");
    assert!(!test.is_labelled() && test.len() == 1);
    std::fs::remove_file(folder.path().join(TRAIN.annotations.unwrap()[0])).unwrap();
    assert!(read(&folder, "test").labels.is_empty());
    let message = folder.message("vqa_v2", "train", &ReadOptions::default());
    assert!(message.contains("the answer vocabulary is made from it"), "{message}");
    let vqa = dataset("vqa_v2").unwrap();
    std::fs::remove_file(folder.path().join(VAL.questions[0])).unwrap();
    let splits = vqa.resolve_splits(folder.path()).unwrap();
    assert_eq!((splits.selection.as_str(), splits.test.as_str()), ("held_out", "val"));
}

#[test]
fn annotations_of_val_that_are_not_there_are_missed() {
    let (folder, _) = folder();
    let name = VAL.annotations.unwrap()[0];
    let said = || {
        let vqa = dataset("vqa_v2").unwrap();
        crate::check::check(vqa, folder.path(), &ReadOptions::default()).unwrap()
    };
    let unlabelled = |report: &crate::check::CheckReport| {
        report.warnings.iter().any(|warning| {
            warning.contains("`val` has no labels, so `mmc train` predicts it and scores nothing")
        })
    };
    assert!(!unlabelled(&said()));
    std::fs::remove_file(folder.path().join(name)).unwrap();
    let report = said();
    assert!(report.is_usable() && unlabelled(&report), "{report}");
    let note = format!("`val` is read without answers: {}", folder.path().join(name).display());
    assert!(report.notes.iter().any(|said| said.starts_with(&note)), "{:?}", report.notes);
    // Nobody but the server has those of `test`.
    assert!(!report.to_string().contains("`test` is read without"), "{report}");
    assert!(read(&folder, "val").notes.iter().any(|said| said.starts_with(&note)));
}

#[test]
fn files_that_do_not_belong_together_are_named() {
    let (folder, [first, ..]) = folder();
    let questions = folder.path().join(TRAIN.questions[0]);
    let good = std::fs::read_to_string(&questions).unwrap();
    for (from, to, expected) in [
        (
            format!("{}", first * 1000 + 1),
            "77".to_owned(),
            "questions.json:3: the question `77` has no annotation",
        ),
        (
            format!("{}", first * 1000 + 1),
            format!("{}", first * 1000),
            "questions.json:3: the question",
        ),
        (
            "\"question\": \"Which".to_owned(),
            "\"quest\": \"Which".to_owned(),
            "questions.json:3: missing field `question`",
        ),
        (
            "\"questions\"".to_owned(),
            "\"other\"".to_owned(),
            "questions.json:1: no list `questions`",
        ),
    ] {
        folder.file(TRAIN.questions[0], good.replace(&from, &to));
        let message = folder.message("vqa_v2", "train", &ReadOptions::default());
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn pictures_of_the_newer_release_are_found_and_said() {
    let (folder, [first, second, held]) = folder();
    std::fs::remove_dir_all(folder.path().join("train2014")).unwrap();
    let message = folder.message("vqa_v2", "train", &ReadOptions::default());
    assert!(message.contains(&format!("COCO_train2014_{first:012}.jpg` is missing")), "{message}");
    folder.picture(&format!("train2017/{first:012}.jpg"), 9);
    for image in [second, held] {
        folder.picture(&format!("val2017/{image:012}.jpg"), 9);
    }
    let train = read(&folder, "train");
    assert!(train.notes.iter().any(|note| note.contains("COCO 2017")), "{:?}", train.notes);
    let text = ReadOptions { arm: Arm::Text, ..ReadOptions::default() };
    assert_eq!(folder.read("vqa_v2", "held_out", &text).unwrap().len(), 1);
}

#[test]
fn a_tenth_is_held_out_and_always_the_same() {
    let held = (1..=100_000).filter(|number| is_held_out(*number)).count();
    assert!((held as f64 / 100_000.0 - 0.1).abs() < 0.006, "{held}");
    let first: Vec<u64> = numbers(true).take(5).collect();
    assert_eq!(first, FIRST_HELD_OUT);
}
/// As first drawn: another choice would train on what others selected on.
const FIRST_HELD_OUT: [u64; 5] = [16, 18, 32, 33, 36];
