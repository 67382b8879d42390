//! Bad input: an error that names the place and the remedy, exit code 1 or 2, and not a file more
//! or less than before.

use std::fs;

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use crate::place::Place;

pub(crate) const TRAIN: &str = "train --dataset table --data-root data --workers 1 --out run";

/// Breaks something, runs a command, and checks that it fails in words with nothing left behind.
pub(crate) fn fails(place: &Place, words: &str, code: i32, said: &[&str]) {
    let before = place.files("");
    let ran = place.mmc(words);
    assert_eq!(ran.code, code, "mmc {words}: {}", ran.stderr);
    let error = ran.stderr.split("error: ").nth(1).unwrap_or_default();
    for words_said in said {
        assert!(error.contains(words_said), "no `{words_said}` in: {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    let after = place.files("");
    let strange: Vec<&String> = after.keys().filter(|name| !before.contains_key(*name)).collect();
    assert!(strange.is_empty(), "mmc {words} left {strange:?} behind");
    assert!(after == before, "mmc {words} changed a file");
}

#[test]
fn a_missing_data_root_is_named_with_how_to_get_the_data() {
    let place = Place::new();
    let words = "train --model bert-tiny --dataset table --data-root nowhere --out run";
    fails(&place, words, 1, &["nowhere", "no such folder", "--data-root"]);
    let words = "train --model vilt-tiny --dataset hateful_memes --out run";
    fails(&place, words, 1, &["data/hateful_memes", "train.jsonl", "mmc data demo"]);
    fails(&place, "data check --dataset table --data-root nowhere", 1, &["nowhere"]);
}

#[test]
fn a_missing_picture_is_named_with_its_row() {
    let place = Place::with_table();
    fs::remove_file(place.path("data/img/train4.png")).unwrap();
    let words = format!("{TRAIN} --model vilt-tiny");
    fails(&place, &words, 1, &["data/train.csv:6", "img/train4.png"]);
    let words = "data check --dataset table --data-root data";
    fails(&place, words, 1, &["data: not usable; problems: 1"]);
}

#[test]
fn a_row_without_a_picture_is_known_before_training() {
    let place = Place::with_table();
    let table = place.read("data/train.csv").replace("img/train4.png", "");
    place.write("data/train.csv", table);
    let train = format!("{TRAIN} --model vilt-tiny");
    fails(&place, &train, 1, &["data/train.csv:6: no `image` (id `train-4`)", "--arm text"]);
    let words = "data check --dataset table --data-root data";
    fails(&place, words, 1, &["data: not usable; problems: 1"]);
    let skipped = place.mmc(&format!("{train} --max-steps 1 --on-bad-item skip"));
    assert_eq!(skipped.code, 0, "{}", skipped.stderr);
    assert!(
        skipped.stderr.contains("1 of 24 items of `train` cannot be used"),
        "{}",
        skipped.stderr
    );

    let bare = place.read("data/val.csv");
    let bare: Vec<String> = (0..8)
        .fold(bare, |text, row| text.replace(&format!("img/val{row}.png"), ""))
        .lines()
        .map(str::to_owned)
        .collect();
    place.write("data/val.csv", bare.join("\n"));
    let train = train.replace("--out run", "--on-bad-item skip --out again");
    fails(&place, &train, 1, &["data/val.csv: no row has a picture, and the model is shown"]);
}

#[test]
fn what_has_no_effect_is_refused_or_said() {
    let place = Place::with_table();
    let check = "data check --dataset table --data-root data";
    fails(&place, &format!("{check} --html absent/page.html"), 1, &["absent: no such folder"]);
    fails(&place, &format!("{check} --html data"), 1, &["data: ", "`--html`"]);
    place.mmc(&format!("{check} --html page.html")).done();
    assert!(place.read("page.html").contains("train-0"));
    fs::remove_dir_all(place.path("data/img")).unwrap();
    fails(&place, check, 1, &["problems: 40"]);
    place.mmc(&format!("{check} --arm text")).done();

    let cached = "--picture-cache cache --jpeg-scaling --max-steps 1";
    let ran = place.mmc(&format!("{TRAIN} --model bert-tiny {cached}"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    for flag in ["`--picture-cache`", "`--jpeg-scaling`"] {
        let words = format!("{flag} has no effect: the arm `text` sees no pictures");
        assert!(ran.stderr.contains(&words), "{}", ran.stderr);
    }

    place.mmc("data demo --dataset snli_ve --truth text --items 60 --out ve").done();
    let set = "--dataset snli_ve --data-root ve";
    let column = "`--text-column` is for tables, and the columns of `snli_ve` are known";
    let words = format!("data check {set} --text-column sentence1");
    fails(&place, &words, 2, &[column]);
    let train = format!("train {set} --model bert-tiny --out other");
    fails(&place, &format!("{train} --text-column sentence1"), 2, &[column]);
    let answers = "`--answers train+val` is for answers to questions, and `snli_ve` has classes";
    fails(&place, &format!("{train} --answers train+val"), 2, &[answers]);
    fails(&place, &format!("{train} --labels a,b,c"), 2, &["`entailment`, `neutral`"]);
    let evaluate = format!("evaluate --checkpoint run/checkpoint {set} --split test");
    fails(&place, &format!("{evaluate} --out s.json"), 2, &["VQA's evaluation server", "`.jsonl`"]);
}

/// The rows stay the same ones, but not what was trained on.
#[test]
fn a_picture_that_comes_later_is_noticed() {
    let place = Place::with_table();
    let picture = fs::read(place.path("data/img/train4.png")).unwrap();
    fs::remove_file(place.path("data/img/train4.png")).unwrap();
    let train = format!("{TRAIN} --model vilt-tiny --max-steps 1 --on-bad-item skip");
    let ran = place.mmc(&train);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let said = "1 of 24 rows will be skipped: their picture is missing";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    let again = place.mmc(&format!("{train} --resume")).done();
    assert!(again.contains("complete already"), "{again}");
    place.write("data/img/train4.png", picture);
    let words =
        ["the train split was train (24 items, 1 without picture, ", "now train (24 items, "];
    fails(&place, &format!("{train} --resume"), 2, &words);
}

/// Whether the backbone is computed once or in each step, what cannot be read is left out alike.
#[test]
fn a_frozen_run_counts_what_it_skips_as_any_does() {
    let place = Place::with_table();
    for picture in ["train4", "train5", "val1"] {
        place.write(&format!("data/img/{picture}.png"), "this is no picture");
    }
    let train = "train --dataset table --data-root data --model vilt-tiny --epochs 2 \
                 --shard-rows 2 --no-shuffle --batch-size 6";
    let refused = place.mmc(&format!("{train} --freeze backbone --out refused"));
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("img/train4.png"), "{}", refused.stderr);
    let cost = |run: &str, more: &str| -> serde_json::Value {
        place.mmc(&format!("{train} --on-bad-item skip {more} --out {run}")).done();
        serde_json::from_str(&place.read(&format!("{run}/cost.json"))).unwrap()
    };
    let (plain, frozen) = (cost("plain", ""), cost("frozen", "--freeze backbone"));
    assert_eq!(plain["skipped_items"], serde_json::json!({"train": 2, "val": 1, "test": 0}));
    assert_eq!(frozen["skipped_items"], plain["skipped_items"]);
    let items = |run: &str| place.read(&format!("{run}/predictions/val.jsonl")).lines().count();
    assert_eq!((items("plain"), items("frozen")), (7, 7));
    let evaluate =
        "evaluate --checkpoint plain/checkpoint --dataset table --data-root data --split val";
    fails(&place, evaluate, 1, &["img/val1.png"]);
    let again = place.mmc(&format!("{evaluate} --on-bad-item skip --json"));
    assert!(again.stderr.contains("1 of 8 items of `val` cannot be used"), "{}", again.stderr);
    let scores: serde_json::Value = serde_json::from_str(&place.read("plain/scores.json")).unwrap();
    assert_eq!(again.json(), scores["val"]);
}

#[test]
fn a_picture_outside_the_data_root_is_refused() {
    let place = Place::with_table();
    trained(&place, "vilt-tiny");
    place.write("new.jsonl", "{\"text\": \"a\", \"image\": \"../../etc/passwd\"}\n");
    let words = "predict --checkpoint run/checkpoint --input new.jsonl --out p.jsonl";
    fails(&place, words, 1, &["new.jsonl:1", "../../etc/passwd"]);
    place.write("bare.jsonl", "{\"id\": \"x\", \"text\": \"a\"}\n");
    let words = "predict --checkpoint run/checkpoint --input bare.jsonl --out p.jsonl";
    fails(&place, words, 1, &["bare.jsonl", "`x`", "`image`"]);
    place.edit("data/train.csv", "img/train4.png", "../../etc/passwd");
    let words = "train --model vilt-tiny --dataset table --data-root data --out other";
    fails(&place, words, 1, &["data/train.csv:6", "../../etc/passwd"]);
}

#[test]
fn pictures_that_cannot_be_decoded_are_named_by_file_and_id() {
    let place = Place::with_table();
    trained(&place, "vilt-tiny");
    let whole = fs::read(place.path("data/img/test0.png")).unwrap();
    place.write("cut.png", &whole[..whole.len() / 2]);
    place.write("huge.png", png_header(60_000, 60_000));
    place.write("words.png", "this is no picture");
    for (name, said) in [("cut.png", ""), ("huge.png", "too large"), ("words.png", "")] {
        let row = serde_json::json!({"id": "first", "text": "good", "image": name});
        place.write("new.jsonl", row.to_string() + "\n");
        for verb in ["predict", "embed"] {
            let out = if verb == "predict" { "p.jsonl" } else { "e.safetensors" };
            let words = format!("{verb} --checkpoint run/checkpoint --input new.jsonl --out {out}");
            fails(&place, &words, 1, &[name, "first", said]);
        }
        // `data check` finds it before anything is trained.
        place.write("data/img/test3.png", fs::read(place.path(name)).unwrap());
        let check = place.mmc("data check --dataset table --data-root data");
        assert_eq!(check.code, 1, "{}", check.stderr);
        assert!(check.stdout.contains("test3.png"), "{}", check.stdout);
    }
    // A run that meets one in the middle stops there; what it has done can be gone on with.
    let words = "train --model vilt-tiny --dataset table --data-root data --epochs 1 --out second";
    let ran = place.mmc(words);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("test3.png") && ran.stderr.contains("test-3"), "{}", ran.stderr);
    assert!(!place.path("second/scores.json").exists() && !place.path("second/cost.json").exists());
}

#[test]
fn a_mistyped_key_is_named_with_the_nearest() {
    let place = Place::with_table();
    place.write("run.toml", "model = \"bert-tiny\"\nlerning_rate = 0.1\nepochs = \"two\"\n");
    let words = format!("{TRAIN} --config run.toml");
    fails(&place, &words, 2, &["run.toml:2:1", "`learning_rate`"]);
    fails(&place, &format!("{TRAIN} --config absent.toml"), 1, &["absent.toml"]);
}

#[test]
fn an_occupied_or_unwritable_folder_is_left_alone() {
    let place = Place::with_table();
    place.write("run/notes.txt", "mine");
    let words = format!("{TRAIN} --model bert-tiny");
    fails(&place, &words, 2, &["run", "notes.txt", "move that away"]);
    fails(&place, &format!("{words} --resume"), 2, &["notes.txt", "move that away"]);
    let below_a_file = "train --dataset table --data-root data --model bert-tiny \
                        --out data/train.csv/run";
    fails(&place, below_a_file, 1, &["data/train.csv/run"]);
    let demo = "data demo --dataset hateful_memes --truth text --items 8 --out";
    fails(&place, &format!("{demo} run"), 1, &["run"]);
    fails(&place, &format!("{demo} absent/demo"), 1, &["absent"]);
}

#[test]
fn a_run_is_not_gone_on_with_under_other_settings_or_data() {
    let place = Place::with_table();
    trained(&place, "bert-tiny");
    let words = format!("{TRAIN} --model bert-tiny --epochs 1");
    fails(&place, &words, 2, &["run", "--resume"]);
    fails(&place, &format!("{words} --seed 5 --resume"), 2, &["`seed`", "`0`", "`5`"]);
    place.edit("data/train.csv", ",up\n", ",down\n");
    fails(&place, &format!("{words} --resume"), 2, &["train"]);
    place.edit("data/train.csv", ",down\n", ",up\n");
    let before = place.files("run");
    place.mmc(&format!("{words} --resume --save-every 3")).done();
    assert!(before == place.files("run"), "a complete run is left as it is");
}

#[test]
fn a_checkpoint_that_does_not_fit_is_refused() {
    let place = Place::with_table();
    trained(&place, "bert-tiny");
    let evaluate = "evaluate --checkpoint broken --dataset table --data-root data --split test";
    let copy = || {
        for (name, bytes) in place.files("run/checkpoint") {
            place.write(&format!("broken/{name}"), bytes);
        }
    };

    fails(&place, evaluate, 1, &["broken"]);
    copy();
    let weights = fs::read(place.path("broken/model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&weights).unwrap();
    let lost = tensors.names().into_iter().find(|name| name.contains("attention")).unwrap();
    let rest: Vec<(String, TensorView<'_>)> =
        tensors.tensors().into_iter().filter(|(name, _)| name != lost).collect();
    place.write("broken/model.safetensors", safetensors::serialize(rest, None).unwrap());
    fails(&place, evaluate, 1, &["broken", lost]);

    place.write("broken/model.safetensors", &weights[..weights.len() / 2]);
    fails(&place, evaluate, 1, &["broken/model.safetensors"]);

    copy();
    place.edit("broken/config.json", "\"model_type\": \"bert\"", "\"model_type\": \"gpt2\"");
    fails(&place, evaluate, 1, &["broken/config.json", "gpt2"]);

    // A BERT folder is no ViLT.
    let words = "train --model vilt-tiny --checkpoint run/checkpoint --dataset table \
                 --data-root data --out other";
    let before = place.files("");
    let ran = place.mmc(words);
    assert!(ran.code == 1 || ran.code == 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("run/checkpoint"), "{}", ran.stderr);
    assert!(!place.path("other/checkpoint").exists());
    let after = place.files("");
    assert!(before.iter().all(|(name, bytes)| after.get(name) == Some(bytes)));

    // Its classes are not those of another data set.
    place.mmc("data demo --dataset hateful_memes --truth text --items 8 --out demo").done();
    let words = "evaluate --checkpoint run/checkpoint --dataset hateful_memes --data-root demo \
                 --split test_unseen";
    fails(&place, words, 1, &["hateful"]);
}

/// A run of one epoch in `run`.
fn trained(place: &Place, model: &str) {
    place.mmc(&format!("{TRAIN} --model {model} --epochs 1")).done();
}

/// The beginning of a PNG that claims to be this large, with a true checksum.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d".to_vec();
    bytes.extend(&chunk);
    bytes.extend(crc32(&chunk).to_be_bytes());
    bytes
}

/// CRC-32 as PNG defines it.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}
