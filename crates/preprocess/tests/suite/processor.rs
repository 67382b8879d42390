//! Arms, errors, the cache and the loader on real folders and pictures.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use crate::{fixture, sample};
use mmc_data::{Arm, OnBadItem, Split};
use mmc_preprocess::{Example, Loader, LoaderOptions, PreprocessError, Processor};

fn processor(folder: &str, arm: Arm) -> Processor {
    Processor::from_folder(&fixture("tokens").join(folder), arm).unwrap()
}

#[test]
fn the_arm_decides_which_inputs_exist() {
    let both = sample("a", "the red car", Some("wide"));
    let inputs = |folder: &str, arm: Arm| -> (Option<usize>, bool) {
        let Example { text, image, .. } = processor(folder, arm).prepare(&both).unwrap();
        (text.map(|text| text.ids.len()), image.is_some())
    };
    assert_eq!(inputs("clip-json", Arm::Both), (Some(5), true));
    assert_eq!(inputs("clip-json", Arm::Text), (Some(5), false));
    assert_eq!(inputs("clip-json", Arm::Image), (None, true));
    assert_eq!(inputs("vilt-json", Arm::Both), (Some(5), true));
    assert_eq!(inputs("vilt-json", Arm::Text), (Some(5), false));
    // [CLS] [SEP]: its pooled output is the state of [CLS].
    assert_eq!(inputs("vilt-json", Arm::Image), (Some(2), true));
}

#[test]
fn a_row_without_its_picture_is_named() {
    let error = processor("clip-json", Arm::Both).prepare(&sample("row 7", "the", None));
    let error = error.unwrap_err();
    assert_eq!(error.bad_item(), Some("row 7"));
    assert!(error.to_string().contains("`row 7` has no picture"), "{error}");
    assert!(processor("clip-json", Arm::Text).prepare(&sample("a", "the", None)).is_ok());
}

#[test]
fn a_text_model_has_one_arm() {
    for arm in [Arm::Both, Arm::Image] {
        let error = Processor::from_folder(&fixture("tokens/bert-json"), arm).unwrap_err();
        assert!(matches!(error, PreprocessError::Arm { .. }));
        assert!(error.to_string().contains("`bert` model has no arm"), "{error}");
    }
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn problem(files: &[(&str, &str)]) -> String {
    Processor::from_folder(folder(files).path(), Arm::Text).unwrap_err().to_string()
}

#[test]
fn errors_name_the_file_and_the_key() {
    const BERT: (&str, &str) = ("config.json", r#"{"model_type": "bert"}"#);
    const ROBERTA: (&str, &str) = ("config.json", r#"{"model_type": "roberta"}"#);
    const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n";
    for (files, parts) in [
        (vec![], ["config.json", "no such file"]),
        (vec![("config.json", "{}")], ["config.json", "`model_type` is missing"]),
        (vec![("config.json", r#"{"model_type": "t5"}"#)], ["`model_type` is `\"t5\"`", "`vilt`"]),
        (
            vec![("config.json", r#"{"model_type": "bert", "max_position_embeddings": 1}"#)],
            ["`max_position_embeddings` is `1`", "special tokens"],
        ),
        (vec![BERT], ["tokenizer.json", "`vocab.txt`"]),
        (
            vec![("config.json", r#"{"model_type": "roberta"}"#), ("vocab.txt", WORDS)],
            ["tokenizer.json", "save_pretrained"],
        ),
        (
            vec![ROBERTA, ("vocab.json", r#"{"<s>": 0}"#)],
            ["merges.txt", "copy it from the checkpoint"],
        ),
        (
            vec![ROBERTA, ("vocab.json", r#"{"a": 0}"#), ("merges.txt", "#version: 0.2\n")],
            ["vocab.json", "`<s>`"],
        ),
        (
            vec![ROBERTA, ("vocab.json", "{}"), ("merges.txt", "#version: 0.2\na b\na b c\n")],
            ["merges.txt", "line 3"],
        ),
        (vec![ROBERTA], ["tokenizer.json", "`merges.txt`"]),
        (vec![BERT, ("vocab.txt", "the\n")], ["vocab.txt", "`[PAD]`"]),
        (vec![BERT, ("tokenizer.json", "{}")], ["tokenizer.json", "checkpoint's own"]),
        (
            vec![BERT, ("vocab.txt", WORDS), ("tokenizer_config.json", r#"{"do_lower_case": 1}"#)],
            ["tokenizer_config.json: `do_lower_case` is `1`", "`true` or `false`"],
        ),
        (
            vec![BERT, ("vocab.txt", WORDS), ("special_tokens_map.json", r#"{"pad_token": 0}"#)],
            ["special_tokens_map.json: `pad_token` is `0`", "text"],
        ),
    ] {
        let error = problem(&files);
        for part in parts {
            assert!(error.contains(part), "{error}");
        }
    }
}

/// Without `tokenizer_config.json` the folder's name or the vocabulary tells whether capitals
/// count.
#[test]
fn cased_vocabularies_are_recognised() {
    let ids = |root: &Path, name: &str, words: &str| {
        let folder = root.join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("config.json"), r#"{"model_type": "bert"}"#).unwrap();
        let words = format!("[PAD]\n[UNK]\n[CLS]\n[SEP]\n{words}");
        fs::write(folder.join("vocab.txt"), words).unwrap();
        let processor = Processor::from_folder(&folder, Arm::Text).unwrap();
        processor.prepare(&sample("a", "EL el", None)).unwrap().text.unwrap().ids
    };
    let root = tempfile::tempdir().unwrap();
    assert_eq!(ids(root.path(), "bert", "el\n"), [2, 4, 4, 3]);
    assert_eq!(ids(root.path(), "bert-base-uncased", "el\nEL\n"), [2, 4, 4, 3]);
    assert_eq!(ids(root.path(), "bert-base-cased", "el\n"), [2, 1, 4, 3]);
    assert_eq!(ids(root.path(), "mine", "el\nEl\n"), [2, 1, 4, 3]);
    let hub = "models--dccuchile--bert-base-spanish-wwm-cased/snapshots/0123abcd";
    assert_eq!(ids(root.path(), hub, "el\n"), [2, 1, 4, 3]);
}

#[test]
fn the_caches_change_nothing() {
    let without = processor("clip-json", Arm::Both).with_cache_bytes(0);
    let with = processor("clip-json", Arm::Both);
    for (name, text) in
        [("wide", "the red car"), ("tall", "car"), ("wide", "the car"), ("wide", "the red car")]
    {
        let sample = sample(name, text, Some(name));
        assert_eq!(with.prepare(&sample).unwrap(), without.prepare(&sample).unwrap());
    }
}

#[test]
fn a_text_that_is_known_is_cut_where_texts_are_cut_now() {
    let red_car = sample("a", "the red car", None);
    let long = processor("clip-json", Arm::Text);
    let tokens = |processor: &Processor| processor.prepare(&red_car).unwrap().text.unwrap().ids;
    assert_eq!(tokens(&long).len(), 5);
    assert_eq!(tokens(&long.with_max_length(4)).len(), 4);
}

#[test]
fn a_split_is_loaded_in_the_order_of_the_plan() {
    let mut samples = vec![
        sample("a", "the red car", Some("wide")),
        sample("b", "not", Some("tall")),
        sample("c", "", Some("no such picture")),
        sample("d", "car", Some("square")),
    ];
    samples.push(sample("e", "car", None));
    let split = Arc::new(Split::of_inputs(Path::new("rows.csv"), samples));
    let processor = Arc::new(processor("vilt-json", Arm::Both));
    let plan = vec![vec![3, 0], vec![2, 4], vec![1]];
    let load = |workers, on_bad_item| {
        let options =
            LoaderOptions { workers, prefetch: 4, on_bad_item, ..LoaderOptions::default() };
        Loader::new(Arc::clone(&split), Arc::clone(&processor), plan.clone(), options).unwrap()
    };
    for workers in [0, 2] {
        let mut loader = load(workers, OnBadItem::Skip);
        let first = loader.next().unwrap().unwrap();
        assert_eq!(first.ids, ["d", "a"]);
        assert_eq!(first.text.unwrap().lengths, [3, 5]);
        // 48 × 48 gives 16 × 16; 75 × 26 is at most 26 long and cut to multiples of 8.
        assert_eq!(first.image.unwrap().sizes, [(16, 16), (8, 24)]);
        assert_eq!(loader.next().unwrap().unwrap().ids, ["b"]);
        assert_eq!(loader.shard(), Some(2));
        assert!(loader.next().is_none());
        assert_eq!(loader.skipped(), ["c", "e"]);

        let mut loader = load(workers, OnBadItem::Error);
        loader.next().unwrap().unwrap();
        let error = loader.next().unwrap().unwrap_err();
        assert!(error.to_string().contains("no such picture.png"), "{error}");
    }
    let error = Loader::new(split, processor, vec![vec![0], vec![5]], LoaderOptions::default());
    let error = error.err().unwrap().to_string();
    assert!(error.contains("shard 1 of the plan names item 5, but the split has 5"), "{error}");
}
