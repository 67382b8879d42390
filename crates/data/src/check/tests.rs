//! Reports on small tables.

use std::fs;

use super::*;
use crate::fixture::Folder;
use crate::{Arm, OnBadItem, dataset};

fn table(files: &[(&str, &str)]) -> Folder {
    let folder = Folder::with(files);
    for (name, grey) in [("a.png", 1), ("again.png", 1), ("b.png", 2), ("c.png", 3)] {
        folder.picture(name, grey);
    }
    folder
}

fn checked(folder: &Folder) -> CheckReport {
    check(dataset("table").unwrap(), folder.path(), &ReadOptions::default()).unwrap()
}

const TEST: (&str, &str) = ("test.csv", "id,text,image,label\ne1,six,b.png,x\ne2,seven,b.png,y\n");

#[test]
fn all_problems_are_collected() {
    let folder = table(&[
        (
            "train.csv",
            "id,text,image,label\n1,one,a.png,x\n1,two,b.png,y\n2,three,gone.png,x\n\
             3,four,../a.png,x\n4,five\n5,five,cut.png,y\n6,six,b.png,x\n",
        ),
        ("val.csv", "id,text,image,label\n7,x,a.png,z\n8,x,a.png,\n9,y,a.png,x\n"),
    ]);
    folder.file("cut.png", b"\x89PNG\r\n\x1a\n\0\0");
    let report = checked(&folder);
    let kinds: Vec<Kind> = report.problems.iter().map(|finding| finding.kind).collect();
    assert_eq!(
        kinds,
        [
            Kind::DuplicateId,
            Kind::MissingPicture,
            Kind::OutsidePicture,
            Kind::MalformedRow,
            Kind::WrongLabel,
            Kind::WrongLabel,
            Kind::UnreadableSplit,
            Kind::UnreadablePicture,
        ]
    );
    assert!(!report.is_usable());
    let text = report.to_string();
    for part in ["train.csv:3: the id `1`", "train.csv:7: ", "(id `5`)", "val.csv:3: no `label`"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert_eq!(report.splits[0].summary.rows, 7);
    // The picture that cannot be decoded is in a row that is otherwise good.
    assert_eq!(report.splits[0].summary.usable_rows, 3);
}

#[test]
fn contents_are_compared_within_and_across_splits() {
    let folder = table(&[
        (
            "train.csv",
            "id,text,image,label\n1,same,a.png,x\n2,same,again.png,y\n3,same,b.png,x\n\
             4,,b.png,y\n",
        ),
        ("val.csv", "id,text,image,label\n1,same,again.png,x\n8,other,b.png,y\n"),
        TEST,
    ]);
    let report = checked(&folder);
    assert!(report.is_usable(), "{report}");
    let repeats = &report.splits[0].repeats;
    assert_eq!((repeats.repeated_texts, repeats.repeated_pictures), (2, 2));
    assert_eq!(repeats.conflicts, [Conflict { ids: vec!["1".to_owned(), "2".to_owned()] }]);
    let overlap = &report.overlaps[0];
    assert_eq!((overlap.first.as_str(), overlap.second.as_str()), ("train", "val"));
    assert_eq!((overlap.ids, overlap.texts), (1, 1));
    assert_eq!((overlap.pictures, overlap.inputs), (2, 1));
    assert_eq!(report.splits[0].summary.empty_texts, 1);
    assert_eq!(
        report.warnings[1],
        "`train` and `val` share 1 ids and 1 whole inputs (text and picture) and 2 pictures, whatever \
         their texts: join their rows and let `mmc data split` keep each picture in one split, or the \
         score is too good"
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["splits"][0]["classes"][1]["rows"], 2);
    assert_eq!(json["splits"][0]["repeated_texts"], 2);
}

#[test]
fn a_picture_in_two_splits_is_warned_of_unless_one_is_a_part_of_the_other() {
    let rows = |first: u8, picture: &str| {
        let row = |id: u8, text: &str, label| {
            format!(
                "{{\"id\": {id}, \"text\": \"{text}\", \"img\": \"{picture}\", \"label\": {label}}}\n"
            )
        };
        row(first, &format!("a {first}"), 0) + &row(first + 1, &format!("b {first}"), 1)
    };
    let folder = table(&[
        ("train.jsonl", &rows(1, "a.png")),
        ("dev_unseen.jsonl", &rows(3, "again.png")),
        ("test_unseen.jsonl", &rows(5, "c.png")),
        ("dev_seen.jsonl", &rows(7, "b.png")),
        ("dev.jsonl", &rows(7, "b.png")),
    ]);
    folder.picture("c.png", 3);
    let memes = dataset("hateful_memes").unwrap();
    let report = check(memes, folder.path(), &ReadOptions::default()).unwrap();
    assert!(report.is_usable(), "{report}");
    let shared: Vec<&String> =
        report.warnings.iter().filter(|warning| warning.contains("share")).collect();
    assert_eq!(
        shared,
        ["`train` and `dev_unseen` share 1 pictures, whatever their texts: drop them from one of \
             the two, or the score is too good"]
    );
    let parts = report.overlaps.iter().find(|it| (it.first.as_str(), it.ids) == ("dev_seen", 2));
    assert_eq!(parts.unwrap().pictures, 1, "it is counted all the same");
    // Pictures of made-up sets are few, and alike by design.
    let made_up = Overlap { ids: 0, inputs: 0, ..report.overlaps[1].clone() };
    let study = memes.resolve_splits(folder.path()).unwrap();
    let leaks = |generated| Leaks { dataset: memes, study: &study, generated };
    assert_eq!(made_up.pictures, 1);
    assert!(leaks(false).of_pair(&made_up).is_some());
    assert_eq!(leaks(true).of_pair(&made_up), None);
}

#[test]
fn a_clean_set_has_nothing_wrong() {
    let folder = table(&[
        ("train.csv", "id,text,image,label\n1,one,a.png,x\n2,two,a.png,y\n"),
        ("val.csv", "id,text,image,label\n3,three,c.png,x\n4,four,c.png,y\n"),
        TEST,
    ]);
    let report = checked(&folder);
    assert!(report.is_usable() && report.warnings.is_empty(), "{report}");
    assert!(report.to_string().ends_with("\n\nnothing wrong"), "{report}");
}

#[test]
fn rows_without_a_picture_among_others_are_problems_of_models_that_are_shown_pictures() {
    let mixed = "{\"id\":1,\"text\":\"one\",\"photo\":\"a.png\",\"label\":\"x\"}\n\
                 {\"id\":2,\"text\":\"two\",\"photo\":null,\"label\":\"y\"}\n\
                 {\"id\":3,\"text\":\"three\",\"photo\":\"gone.png\",\"label\":\"y\"}\n";
    let folder = table(&[
        ("train.jsonl", mixed),
        ("val.csv", "id,text,photo,label\n4,four,gone.png,x\n5,five,,y\n6,six,a.png,y\n"),
        ("test.csv", "id,text,photo,label\n7,seven,,x\n8,eight,,y\n"),
    ]);
    let image_column = Some("photo".to_owned());
    let options = ReadOptions { image_column, ..ReadOptions::default() };
    let table = dataset("table").unwrap();
    let checked =
        |arm| check(table, folder.path(), &ReadOptions { arm, ..options.clone() }).unwrap();
    for arm in [Arm::Both, Arm::Image] {
        let report = checked(arm);
        let found: Vec<&str> = report.problems.iter().map(|it| it.message.as_str()).collect();
        assert!(report.problems.iter().all(|it| it.kind == Kind::MissingPicture), "{report}");
        for (message, words) in found.iter().zip([
            "train.jsonl:2: no `photo` (id `2`), though other rows have one; name its picture, skip \
             such rows (`--on-bad-item skip` of `mmc train` and `mmc evaluate`), or",
            "train.jsonl:3: the picture `gone.png` is missing",
            "val.csv:2: the picture",
            "val.csv:3: no `photo` (id `5`)",
            "test.csv: no row has a picture, though rows of other splits have one",
        ]) {
            assert!(message.contains(words), "{words}: {message}");
        }
        assert_eq!(found.len(), 5, "{report}");
    }
    assert!(checked(Arm::Text).is_usable());

    let error = table.read(folder.path(), "train", &options).unwrap_err().to_string();
    assert!(error.contains("train.jsonl:2: no `photo`"), "{error}");
    let skip = ReadOptions { on_bad_item: OnBadItem::Skip, ..options.clone() };
    let split = table.read(folder.path(), "train", &skip).unwrap();
    assert_eq!(split.len(), 3, "who needs its picture skips the second and the third");
    let test = table.read(folder.path(), "test", &skip).unwrap();
    let refused = test.check_pictures(Arm::Both).unwrap_err().to_string();
    assert!(refused.contains("test.csv: no row has a picture"), "{refused}");
    assert!(test.check_pictures(Arm::Text).is_ok() && split.check_pictures(Arm::Both).is_ok());
}

#[test]
fn a_set_of_texts_alone_is_usable_and_called_so() {
    let folder = table(&[
        ("train.csv", "id,text,image,label\n1,one,,x\n2,,,y\n3,,,x\n"),
        ("val.csv", "id,text,label\n4,four,x\n5,five,y\n"),
        ("test.csv", "id,text,label\n6,six,x\n7,seven,y\n"),
    ]);
    let report = checked(&folder);
    assert!(report.is_usable() && report.warnings.is_empty(), "{report}");
    assert!(report.to_string().contains("note: no row has a picture, so only text models"));
    // Rows that show nothing do not conflict.
    assert!(report.splits[0].repeats.conflicts.is_empty());
    assert_eq!(report.splits[0].summary.empty_texts, 2);
    assert_eq!(report.splits[0].summary.without_picture, 3);
    let table = dataset("table").unwrap();
    let texts = ReadOptions { arm: Arm::Text, ..ReadOptions::default() };
    let report = check(table, folder.path(), &texts).unwrap();
    assert!(report.is_usable() && report.notes.is_empty(), "{report}");
}

#[test]
fn pictures_that_are_not_shown_are_not_opened() {
    let rows = "id,text,image,label\n1,one,cut.png,x\n2,two,gone.png,y\n";
    let folder = table(&[("train.csv", rows), ("val.csv", rows), ("test.csv", rows)]);
    folder.file("cut.png", "no picture");
    let options = ReadOptions { arm: Arm::Text, ..ReadOptions::default() };
    let report = check(dataset("table").unwrap(), folder.path(), &options).unwrap();
    assert!(report.is_usable(), "{report}");
    assert_eq!(checked(&folder).problems.len(), 4);
}

#[test]
fn a_generated_set_passes_and_is_called_so() {
    let folder = Folder::with(&[]);
    let root = folder.path().join("demo");
    let set =
        demo::DemoSet { train: 40, dev: 8, test: 8, ..demo::DemoSet::new(demo::Truth::Text, 0) };
    demo::write(&set, &root).unwrap();
    let report = check(dataset("hateful_memes").unwrap(), &root, &ReadOptions::default()).unwrap();
    assert!(report.is_usable() && report.warnings.is_empty(), "{report}");
    assert_eq!(report.notes.len(), 1);
    // Without its manifest it is a real set of the wrong size.
    fs::remove_file(root.join("demo.json")).unwrap();
    let report = check(dataset("hateful_memes").unwrap(), &root, &ReadOptions::default()).unwrap();
    assert!(report.warnings[0].contains("40 rows where the published file has 8500"));
}

#[test]
fn info_counts_what_is_there_and_says_how_to_get_the_rest() {
    let folder = table(&[("train.csv", "text,label\na b,x\nc,y\n")]);
    let table = dataset("table").unwrap();
    let found = info(table, folder.path(), &ReadOptions::default()).unwrap();
    let states: Vec<bool> = found.splits.iter().map(|split| split.summary.is_some()).collect();
    assert_eq!(states, [true, false, false]);
    assert_eq!(found.splits[1].role, Some("selection"));
    assert!(found.to_string().contains("val    selection  absent"), "{found}");
    folder.file("val.csv", "text;label\n");
    let found = info(table, folder.path(), &ReadOptions::default()).unwrap();
    assert!(found.to_string().contains("cannot be read: "), "{found}");
    let nowhere = info(table, Path::new("nowhere"), &ReadOptions::default()).unwrap();
    let text = nowhere.to_string();
    assert!(text.contains("how to get it: write `train.csv`"), "{text}");
    assert_eq!(text.matches("write `train.csv`").count(), 1, "{text}");
}

/// What is said of a folder with these files.
fn said(files: &[(&str, &str)]) -> (CheckReport, String) {
    let report = checked(&table(files));
    let text = report.to_string();
    (report, text)
}

#[test]
fn nothing_is_said_of_what_was_not_read() {
    let header = "id,text,image,label\n";
    let missing = "id,text,image,label\n1,one,gone.png,x\n2,two,gone.png,y\n";
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[], "no split has a usable row, so none were compared"),
        (&[("train.csv", "")], "no split has a usable row, so none were compared"),
        (
            &[("train.csv", header), ("val.csv", header), ("test.csv", header)],
            "no split has a usable row, so none were compared",
        ),
        (
            &[("train.csv", missing), ("val.csv", missing), ("test.csv", missing)],
            "no split has a usable row, so none were compared",
        ),
    ];
    for (files, words) in cases {
        let (report, text) = said(files);
        assert!(!report.is_usable() && report.overlaps.is_empty(), "{text}");
        assert!(text.contains(words), "{text}");
        for claim in ["no labels", "share", "repeated", "words:", "warning:", "class"] {
            assert!(!text.contains(claim), "{claim}: {text}");
        }
        assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    }
    // A file without a row stops a run as one that is not there does.
    let (report, text) = said(&[("train.csv", header), ("val.csv", header), ("test.csv", header)]);
    assert_eq!(report.problems.len(), 3);
    assert!(text.contains("train.csv: no usable row in this file") && text.contains("0 rows\n"));
    let (_, text) = said(&[("train.csv", missing), ("val.csv", missing), ("test.csv", missing)]);
    assert!(text.contains("train  2 rows, none usable\n"), "{text}");
    // Six rows want the same picture.
    assert!(text.contains("\nrows whose picture is missing: 6 (pictures: 1)\n"), "{text}");
    let folder = table(&[("train.csv", missing)]);
    let skip = ReadOptions { on_bad_item: crate::OnBadItem::Skip, ..ReadOptions::default() };
    assert_eq!(
        folder.message("table", "train", &skip),
        "train.csv: no row is left: the pictures of all 2 are missing; the first, of line 2: the picture \
         `gone.png` is missing; put it at gone.png (id `1`)"
    );
}

#[test]
fn what_was_compared_is_named() {
    let train =
        ("train.csv", "id,text,image,label\n1,one,a.png,x\n2,two,gone.png,y\n3,three,b.png,x\n");
    let (report, text) = said(&[train]);
    assert!(
        text.contains("only `train` has usable rows, so no two splits were compared"),
        "{text}"
    );
    assert!(text.contains("train  3 rows, 2 usable: x 2 (100.0 %), y 0 (0.0 %)"), "{text}");
    assert!(text.contains("`train` has no usable row of the class `y`"), "{text}");
    assert!(report.overlaps.is_empty());
    assert_eq!(serde_json::to_value(&report).unwrap()["splits"][0]["pictures_read"], 2);

    let plain =
        |name, id: usize| format!("id,text,label\n{id},{name} one,x\n{},{name} two,y\n", id + 1);
    let (val, test) = (plain("val", 4), plain("test", 6));
    let (report, text) = said(&[train, ("val.csv", &val), ("test.csv", &test)]);
    let words = "no two of `train`, `val`, `test` share an id or a text (rows with problems, 1 of them, \
                 were not compared)";
    assert!(text.contains(words), "{text}");
    assert_eq!(report.overlaps.len(), 3);
    assert!(!report.has_compared_pictures(&report.overlaps[0]));

    // Pictures that only one of two splits has are in neither's count.
    let shared = "id,text,label\n1,one,x\n5,b,y\n";
    let (_, text) = said(&[train, ("val.csv", shared), ("test.csv", &test)]);
    assert!(text.contains("  train, val: 1 ids, 1 texts\n"), "{text}");

    let pictures = "id,text,image,label\n6,,a.png,x\n7,,b.png,y\n";
    let other = "id,text,image,label\n8,,c.png,x\n9,,d.png,y\n";
    let folder = table(&[("train.csv", pictures), ("val.csv", other)]);
    folder.picture("c.png", 90);
    folder.picture("d.png", 91);
    let text = checked(&folder).to_string();
    assert!(text.contains("no two of `train`, `val` share an id or a picture"), "{text}");
}

#[test]
fn lengths_are_said_of_texts_that_were_counted() {
    let model = || vec![TextModel { name: "m".to_owned(), limit: 9, max_length: None }];
    let nothing = |_: &str| None;
    let counters = [TextCounter { count: Box::new(nothing), tokenizer: None, models: model() }];
    let of = |files: &[(&str, &str)]| {
        let (folder, options) = (table(files), ReadOptions::default());
        let table = dataset("table").unwrap();
        check_for(table, folder.path(), &options, &counters, &|_, _, _| ()).unwrap().to_string()
    };
    let text = of(&[("train.csv", "id,text,label\n")]);
    assert!(!text.contains("tokens") && !text.contains("over 9"), "{text}");
    let text = of(&[("train.csv", "id,text,label\n1,one,x\n2,two,y\n")]);
    assert!(text.contains("  m  not known; texts that could not be counted: 2\n"), "{text}");
    assert!(!text.contains("over 9"), "{text}");
}

#[test]
fn what_cannot_be_trained_on_is_a_problem_and_a_reason_is_said_once() {
    let plain = "id,text,label\n1,a,x\n2,b,y\n";
    let test = "id,text,label\n3,c,x\n4,d,y\n";
    let train =
        |labels: [&str; 2]| format!("id,text,label\n5,e,{}\n6,f,{}\n7,g,x\n", labels[0], labels[1]);
    let (report, text) =
        said(&[("train.csv", &train(["x", "x"])), ("val.csv", plain), ("test.csv", test)]);
    assert!(!report.is_usable());
    assert!(text.contains("train.csv: every label is `x`, and a classifier needs two"), "{text}");

    // Of rows that cannot be read nothing is known.
    let cut = format!("{}8,h\n", train(["x", "x"]));
    let (_, text) = said(&[("train.csv", &cut), ("val.csv", plain), ("test.csv", test)]);
    assert!(text.contains("train.csv:5: 2 values") && !text.contains("every label"), "{text}");

    let bare = "id,text,class\n5,e,x\n6,f,y\n";
    let (report, text) = said(&[("train.csv", bare), ("val.csv", plain), ("test.csv", test)]);
    assert_eq!(report.problems.len(), 5);
    assert!(text.contains("train.csv: no row has a label") && text.contains("`--label-column`"));
    assert!(text.contains("`label` is `x`, but no class is known; "), "{text}");
    assert!(!text.contains("expected nothing"), "{text}");

    let (report, text) =
        said(&[("train.csv", "id;text;label\n"), ("val.csv", plain), ("test.csv", test)]);
    assert_eq!(report.problems.len(), 1, "{text}");
    assert!(
        text.contains("note: `val` cannot be read for a reason that is listed already"),
        "{text}"
    );

    let (report, text) =
        said(&[("train.csv", &train(["X", "y"])), ("val.csv", plain), ("test.csv", test)]);
    assert!(report.is_usable(), "{text}");
    let warning = "the classes `X`, `x` differ in white space or capitals alone";
    assert!(text.contains(warning), "{text}");
}

#[test]
fn labels_that_are_no_classes_are_counted_in_a_line_and_warned_of() {
    let row = |at: usize| format!("text {at},class {at}\n");
    let rows = "text,label\n".to_owned() + &(0..30).map(row).collect::<String>();
    let (report, text) = said(&[("train.csv", &rows)]);
    assert!(report.warnings.iter().any(|said| said.contains("30 classes in 30 rows")), "{text}");
    assert!(text.contains("class 26 1 (3.3 %) and 10 classes more"), "{text}");
}
