use super::*;

fn example() -> Predictions {
    let row = |id: &str, label: Option<&str>, positive: f64, group: Option<&str>| Prediction {
        id: id.to_owned(),
        label: label.map(str::to_owned),
        prediction: if positive > 0.5 { "hateful" } else { "not_hateful" }.to_owned(),
        probabilities: vec![1.0 - positive, positive],
        logits: Some(vec![-0.1, (positive as f32) * 3.0]),
        group: group.map(str::to_owned),
        answer: None,
    };
    Predictions {
        classes: vec!["not_hateful".to_owned(), "hateful".to_owned()],
        rows: vec![
            row("01235", Some("hateful"), 0.1 + 0.2, Some("a,\"b\"")),
            row("\u{e9}", Some("not_hateful"), 1.0 / 3.0, None),
            row("x y", None, 0.999_999_999_999_9, Some("c")),
        ],
    }
}

fn file(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn complaint(name: &str, text: &str) -> String {
    let (folder, path) = file(name, text);
    let error = Predictions::read(&path).unwrap_err().to_string();
    error.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn every_format_gives_back_the_same_numbers() {
    let folder = tempfile::tempdir().unwrap();
    for extension in EXTENSIONS {
        let path = folder.path().join(format!("rows.{extension}"));
        example().write(&path).unwrap();
        assert_eq!(Predictions::read(&path).unwrap(), example(), "{extension}");
    }
}

#[test]
fn a_file_in_parts_becomes_the_same_file_as_whole() {
    let folder = tempfile::tempdir().unwrap();
    let mut many = example();
    many.rows = (0..20_000)
        .map(|index| Prediction { id: index.to_string(), ..many.rows[index % 3].clone() })
        .collect();
    // The one row that has a group comes late, and so does the one without logits.
    many.rows.iter_mut().take(15_000).for_each(|row| row.group = None);
    many.rows[19_000].logits = None;
    let from = folder.path().join("from.jsonl");
    many.write(&from).unwrap();
    for extension in EXTENSIONS {
        let to = |name: &str| folder.path().join(name).with_extension(extension);
        Predictions::rewrite(&from, &to("parts")).unwrap();
        many.write(&to("whole")).unwrap();
        let read = |name: &str| std::fs::read(to(name)).unwrap();
        assert!(read("parts") == read("whole"), "{extension}");
        let mut rows = Vec::new();
        let all = Predictions::read_in_parts(&to("parts"), |part| {
            assert!(part.rows.len() <= ROWS_OF_PART);
            rows.extend(part.rows);
            Ok(())
        });
        all.unwrap();
        assert!(rows == many.rows, "{extension}");
    }
}

#[test]
fn jsonl_has_the_keys_of_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    example().write(&path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        text.lines().next().unwrap(),
        r#"{"id":"01235","label":"hateful","prediction":"not_hateful","probabilities":{"not_hateful":0.7,"hateful":0.30000000000000004},"logits":[-0.1,0.90000004],"group":"a,\"b\""}"#
    );
    assert!(text.lines().nth(2).unwrap().contains(r#""label":null"#));
}

#[test]
fn the_order_of_classes_is_that_of_the_file() {
    let text = concat!(
        r#"{"id": 7, "label": "a", "probabilities": {"b": 0.25, "a": 0.75}}"#,
        "\n",
        r#"{"id": "8", "label": "b", "probabilities": {"a": 0.5, "b": 0.5}}"#,
        "\n"
    );
    let (_folder, path) = file("foreign.jsonl", text);
    let read = Predictions::read(&path).unwrap();
    assert_eq!(read.classes, ["b", "a"]);
    assert_eq!(read.rows[0].id, "7");
    assert_eq!(read.rows[0].prediction, "a");
    assert_eq!(read.rows[1].probabilities, [0.5, 0.5]);
    let aligned = read.aligned_to(&["a".to_owned(), "b".to_owned()]).unwrap();
    assert_eq!(aligned.rows[0].probabilities, [0.75, 0.25]);
    assert!(read.aligned_to(&["a".to_owned(), "c".to_owned()]).is_err());
}

#[test]
fn one_probability_column_is_the_positive_class() {
    let (_folder, path) = file("foreign.csv", "id,label,probability\n1,0,0.2\n2,1,0.7\n");
    let read = Predictions::read(&path).unwrap();
    assert_eq!(read.classes, ["0", "1"]);
    assert_eq!(read.rows[1].prediction, "1");
    let read = Predictions::read_with_positive(&path, Some("0")).unwrap();
    assert_eq!(read.rows[1].prediction, "0");
    assert!(complaint("foreign.csv", "id,label,probability\n1,1,0.2\n").contains("name 1"));
    assert_eq!(
        complaint("foreign.csv", "id,label,probability\n1,0,1.9\n2,1,0.7\n"),
        "foreign.csv:2: `probability` is `1.9`, expected a number from 0 to 1"
    );
}

#[test]
fn a_wrong_row_is_named_with_its_line_and_field() {
    let header = "id,label,probability:a,probability:b\n";
    let cases = [
        ("1,a,0.5,0.6\n", "rows.csv:2: `probabilities` sum to 1.100000, expected 1"),
        (
            "1,a,NaN,0.6\n",
            "rows.csv:2: the probability of `a` is `NaN`, expected a number from 0 to 1",
        ),
        ("1,a,0.5,0.5\n1,b,0.5,0.5\n", "rows.csv:3: `id` is `1`, as in row 2; ids must differ"),
        ("1,c,0.5,0.5\n", "rows.csv:2: `label` is `c`, expected `a` or `b`"),
        ("", "rows.csv: no rows; predictions of at least one item are needed"),
    ];
    for (rows, expected) in cases {
        assert_eq!(complaint("rows.csv", &format!("{header}{rows}")), expected);
    }
    let twice = "id,probability:a,probability:a\n1,0.5,0.5\n";
    assert_eq!(complaint("rows.csv", twice), "rows.csv:2: the class `a` has two probabilities");
    assert!(complaint("rows.csv", "id,probability:a\n1,1\n").contains("fewer than two classes"));
    assert!(complaint("rows.csv", "id,label\n1,a\n").contains("no columns `probability:NAME`"));
    assert!(complaint("rows.jsonl", "{\"id\": \"1\"\n").starts_with("rows.jsonl:1: "));
    assert!(complaint("rows.parquet", "not parquet").starts_with("rows.parquet: "));
    assert!(complaint("rows.jsn", "").contains("did you mean `jsonl`?"));
}

#[test]
fn scored_rows_index_the_classes_and_number_the_clusters() {
    let mut labelled = example();
    assert!(labelled.scored().unwrap_err().to_string().contains("1 of 3 rows have no label"));
    labelled.rows[2].label = Some("hateful".to_owned());
    labelled.rows[2].group = labelled.rows[0].group.clone();
    let scored = labelled.scored().unwrap();
    assert_eq!(scored.labels, [1, 0, 1]);
    assert_eq!(scored.predictions, [0, 0, 1]);
    assert_eq!(scored.clusters, Some(vec![0, 1, 0]));
}

#[test]
fn pairing_counts_what_each_file_lacks_and_refuses_two_truths() {
    let (one, mut two) = (example(), example());
    two.rows.remove(0);
    two.rows.reverse();
    let two = two.aligned_to(&["hateful".to_owned(), "not_hateful".to_owned()]).unwrap();
    let both = paired(&[one.clone(), two.clone()]).unwrap();
    assert_eq!(both.missing, [0, 1]);
    assert_eq!(both.files[0].rows, both.files[1].rows);
    let mut other = two;
    other.rows[0].label = Some("hateful".to_owned());
    let error = paired(&[one, other]).unwrap_err().to_string();
    let expected = "file 2: row 1, item `x y`, has the label `hateful`, but no label in file 1, row 3; \
                    compare files of one split";
    assert_eq!(error, expected);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(48))]

    /// Whatever names and numbers there are, each format gives them back.
    #[test]
    fn any_predictions_survive_any_format(
        weights in proptest::collection::vec((0.0_f64..1.0, -50.0_f32..50.0, "\\PC{1,8}"), 1..12),
        names in proptest::collection::btree_set("\\PC{1,6}", 2..5),
        grouped in proptest::bool::ANY,
    ) {
        let classes: Vec<String> = names.into_iter().collect();
        let rows = weights.into_iter().enumerate().map(|(index, (weight, logit, text))| {
            let mut probabilities = vec![(1.0 - weight) / (classes.len() as f64 - 1.0); classes.len()];
            probabilities[0] = weight;
            Prediction {
                id: format!("{index}{text}"),
                label: (index % 3 > 0).then(|| classes[index % classes.len()].clone()),
                prediction: classes[(index + 1) % classes.len()].clone(),
                probabilities,
                logits: Some(vec![logit; classes.len()]),
                group: (grouped && index % 2 == 0).then_some(text),
                answer: None,
            }
        });
        let predictions = Predictions { rows: rows.collect(), classes };
        let folder = tempfile::tempdir().unwrap();
        for extension in EXTENSIONS {
            let path = folder.path().join("rows").with_extension(extension);
            predictions.write(&path).unwrap();
            proptest::prop_assert_eq!(&Predictions::read(&path).unwrap(), &predictions);
        }
    }
}

#[test]
fn softmax_is_stable_and_sums_to_one() {
    // e^0, e^-1, e^-2 over their sum.
    let expected = [0.665_240_955_774_821_8, 0.244_728_471_054_797_65, 0.090_030_573_170_380_46];
    for offset in [0.0, 1000.0, -1000.0] {
        let probabilities = softmax(&[offset, offset - 1.0, offset - 2.0]);
        for (found, expected) in probabilities.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-15, "{found}");
        }
    }
}

fn answered(id: &str, answers: &[&str], top: &[(&str, f64)]) -> Prediction {
    let text = |text: &&str| (*text).to_owned();
    Prediction {
        id: id.to_owned(),
        label: answers.first().map(text),
        prediction: top[0].0.to_owned(),
        probabilities: Vec::new(),
        logits: None,
        group: Some("42".to_owned()),
        answer: Some(Box::new(AnswerRow {
            probability: top[0].1,
            top: top.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            answers: answers.iter().map(text).collect(),
            question_type: (!answers.is_empty()).then(|| "what is".to_owned()),
            answer_type: (!answers.is_empty()).then(|| "other".to_owned()),
        })),
    }
}

#[test]
fn answers_without_what_people_said_are_told_so() {
    for row in [
        r#"{"id": "1", "answer": "red", "label": "red"}"#,
        r#"{"id": "1", "answer": "red", "probability": 0.5, "label": "red"}"#,
    ] {
        let message = complaint("x.jsonl", row);
        assert!(message.starts_with("x.jsonl:1: an `answer` without `answers`"), "{message}");
    }
    // Of two classes a key of that name says nothing.
    let rows = "{\"id\": 1, \"answer\": \"c\", \"probability\": 0.5, \"label\": \"a\"}\n\
                {\"id\": 2, \"answer\": \"d\", \"probability\": 0.5, \"label\": \"b\"}\n";
    let (_folder, path) = file("x.jsonl", rows);
    assert_eq!(Predictions::read(&path).unwrap().classes, ["a", "b"]);
}

#[test]
fn answers_to_questions_are_read_back_and_scored_from_the_file_alone() {
    let folder = tempfile::tempdir().unwrap();
    let people = ["two", "two", "2", "2", "three", "two ", "a", "b", "c", "d"];
    let rows = vec![
        answered("42000", &people, &[("2", 0.75), ("red", 0.5), ("no \"x\"", 0.125)]),
        answered("42001", &["red"; 10], &[("the red", 0.5)]),
    ];
    let written = Predictions { classes: Vec::new(), rows };
    for name in ["x.jsonl", "x.parquet"] {
        let path = folder.path().join(name);
        written.write(&path).unwrap();
        let read = Predictions::read(&path).unwrap();
        assert_eq!(read, written, "{name}");
        let scored = read.scored().unwrap();
        let answers = scored.answers.unwrap();
        // Five say two; all ten say red, and then the raw answers are compared.
        assert_eq!(answers.accuracies, [1.0, 0.0]);
        assert_eq!(answers.question_types, ["what is", "what is"]);
        assert_eq!(scored.clusters, Some(vec![0, 0]));
    }
    let results = folder.path().join("x.json");
    written.write_results(&results).unwrap();
    let text = std::fs::read_to_string(&results).unwrap();
    assert_eq!(
        text,
        "[{\"question_id\":42000,\"answer\":\"2\"},{\"question_id\":42001,\"answer\":\"the red\"}]\n"
    );
    let error = written.write(&folder.path().join("x.csv")).unwrap_err().to_string();
    assert!(error.contains("write .jsonl or .parquet"), "{error}");

    let unknown = Predictions { rows: vec![answered("1", &[], &[("x", 0.5)])], ..written };
    let path = folder.path().join("unknown.parquet");
    unknown.write(&path).unwrap();
    let read = Predictions::read(&path).unwrap();
    assert!(!read.is_labelled() && read.scored().is_err());
    assert_eq!(read, unknown);
}

/// A text that a Parquet file has once may stand in any number of rows.
#[test]
fn rows_that_come_to_far_more_than_their_file_are_refused() {
    let (folder, path) = file("rows.parquet", "");
    let read = |rows: usize, group: usize| {
        let group = "g".repeat(group);
        let mut all = example();
        all.rows = (0..rows)
            .map(|at| Prediction {
                id: at.to_string(),
                group: Some(group.clone()),
                ..all.rows[0].clone()
            })
            .collect();
        all.write(&path).unwrap();
        Predictions::read(&path).map(|read| read.rows.len()).map_err(|error| error.to_string())
    };
    assert_eq!(read(3000, 10), Ok(3000));
    let problem = read(3000, 50_000).unwrap_err();
    let bytes = std::fs::metadata(&path).unwrap().len();
    assert!(bytes < 100_000, "{bytes} bytes");
    assert!(problem.contains("rows.parquet:"), "{problem}");
    assert!(problem.contains("few bytes stand for all of them"), "{problem}");
    drop(folder);
}
