//! Prediction files that cannot be compared: an error that names the file and the row.

use crate::bad_input::{TRAIN, fails};
use crate::place::Place;

const GOOD: &str = "\
id,label,prediction,probability:no,probability:yes
a,no,no,0.8,0.2
b,yes,no,0.6,0.4
c,yes,yes,0.1,0.9
d,no,yes,0.3,0.7
";

/// A place with a good file, and one in which `old` was replaced by `new`.
fn damaged(old: &str, new: &str) -> Place {
    let place = Place::new();
    assert_eq!(GOOD.matches(old).count(), 1, "`{old}` is not unique");
    place.write("good.csv", GOOD);
    place.write("bad.csv", GOOD.replace(old, new));
    place
}

#[test]
fn rows_to_predict_may_have_columns_of_other_names() {
    let place = Place::with_table();
    place.mmc(&format!("{TRAIN} --model vilt-tiny --max-steps 1")).done();
    let rows = place.read("data/test.csv");
    place.write("data/other.csv", rows.replacen("id,text,image", "key,texto,foto", 1));
    let predict = "predict --checkpoint run/checkpoint --input";
    place.mmc(&format!("{predict} data/test.csv --out usual.csv")).done();
    let named = "--id-column key --text-column texto --image-column foto";
    place.mmc(&format!("{predict} data/other.csv {named} --out other.csv")).done();
    assert_eq!(place.read("usual.csv"), place.read("other.csv"));
    let words = format!("{predict} data/other.csv --out bare.csv");
    fails(&place, &words, 1, &["no column `text`", "`--text-column texto`"]);
}

#[test]
fn a_fault_of_a_prediction_file_is_named_with_its_row() {
    for (old, new, said) in [
        ("c,yes,yes", "b,yes,yes", vec!["bad.csv:4", "`id` is `b`, as in row 3"]),
        ("c,yes,yes", ",yes,yes", vec!["bad.csv:4", "`id`"]),
        ("c,yes,yes", "c,perhaps,yes", vec!["bad.csv:4", "`label` is `perhaps`", "`no` or `yes`"]),
        ("c,yes,yes", "c,yes,maybe", vec!["bad.csv:4", "`prediction` is `maybe`"]),
        ("0.1,0.9", "0.1,0.8", vec!["bad.csv:4", "`probabilities` sum to 0.900000"]),
        ("0.1,0.9", "-0.1,1.1", vec!["bad.csv:4", "`no` is `-0.1`"]),
        ("0.1,0.9", "NaN,0.9", vec!["bad.csv:4"]),
        ("0.1,0.9", "0.1,much", vec!["bad.csv:4", "much"]),
        ("b,yes,no", "b,no,no", vec!["bad.csv: row 2, item `b`", "`no`", "`yes` in good.csv"]),
        ("b,yes,no", "b,,no", vec!["bad.csv", "row 2"]),
    ] {
        let place = damaged(old, new);
        fails(&place, "compare --baseline good.csv --candidate bad.csv", 1, &said);
    }
}

#[test]
fn files_of_other_classes_are_refused_by_name() {
    let place = damaged("probability:no", "probability:never");
    let other = GOOD.replace("no,", "never,").replace("probability:no", "probability:never");
    place.write("bad.csv", other);
    let said = ["bad.csv: its classes are `never`, `yes`", "good.csv `no`, `yes`"];
    fails(&place, "compare --baseline good.csv --candidate bad.csv", 1, &said);
}

#[test]
fn items_that_a_file_lacks_are_counted_and_none_in_common_is_an_error() {
    let place = damaged("c,yes,yes,0.1,0.9\n", "");
    let said =
        place.mmc("compare --baseline good.csv --candidate bad.csv --metric accuracy").done();
    assert!(said.contains("`bad.csv` lacks 1 items of the other files"), "{said}");
    let renamed = GOOD.replace("\na,", "\nA,").replace("\nb,", "\nB,");
    place.write("bad.csv", renamed.replace("\nc,", "\nC,").replace("\nd,", "\nD,"));
    let said = ["no item in common"];
    fails(&place, "compare --baseline good.csv --candidate bad.csv", 1, &said);
}

#[test]
fn a_metric_of_two_classes_needs_both() {
    let place = Place::new();
    place.write("one.csv", GOOD.replace("a,no", "a,yes").replace("d,no", "d,yes"));
    let sides = "compare --baseline one.csv --candidate one.csv";
    let said = ["one.csv: rows 1 to 4 all have the label `yes`", "`auroc` needs two", "--metric"];
    fails(&place, sides, 1, &said);
    place.mmc(&format!("{sides} --metric accuracy")).done();
    let json = place.mmc("evaluate --predictions one.csv --json").json();
    assert!(json["auroc"].is_null() && json["undefined"]["auroc"].is_string(), "{json}");
}

#[test]
fn a_file_that_is_none_is_named() {
    let place = damaged("0.1,0.9", "0.1,0.9");
    place.write("bad.jsonl", "{\"id\": \"a\"\n");
    place.write("bad.parquet", "PAR1 it is not");
    for (file, said) in [
        ("bad.jsonl", vec!["bad.jsonl:1"]),
        ("bad.parquet", vec!["bad.parquet"]),
        ("absent.csv", vec!["absent.csv"]),
    ] {
        fails(&place, &format!("compare --baseline good.csv --candidate {file}"), 1, &said);
    }
}
