//! Token ids equal those of transformers' tokenizers, from `tokenizer.json`, from `vocab.txt` and
//! from `vocab.json` with `merges.txt`.

use std::fs;
use std::path::Path;

use crate::{fixture, json, numbers, sample};
use mmc_data::Arm;
use mmc_preprocess::{Padding, Processor, TokenBounds, collate};
use serde_json::Value;

fn processor(case: &Value) -> Processor {
    let folder = fixture("tokens").join(case["folder"].as_str().unwrap());
    Processor::from_folder(&folder, Arm::Text).unwrap()
}

#[test]
fn ids_are_those_of_transformers() {
    let file = json("tokens.json");
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() >= 100, "{} cases", cases.len());
    for case in cases {
        let name = format!("{}, {}", case["folder"], case["case"]);
        let text = case["text"].as_str().unwrap();
        let whole = processor(case);
        let expected = numbers(&case["ids"]);
        let tokens = whole.prepare(&sample("a", text, None)).unwrap().text.unwrap();
        assert_eq!(tokens.full_length, expected.len(), "{name}");
        assert_eq!(whole.full_length(text), Some(expected.len()), "{name}");
        assert_eq!(whole.text_length(text), tokens.ids.len(), "{name}");
        let limit = whole.max_length().unwrap();
        if expected.len() <= limit {
            assert_eq!(tokens.ids, expected, "{name}");
            assert_eq!(tokens.type_ids, numbers(&case["type_ids"]), "{name}");
        } else {
            assert_eq!(tokens.ids.len(), limit, "{name}");
            assert_eq!(tokens.ids[..limit - 1], expected[..limit - 1], "{name}");
            assert_eq!(tokens.ids.last(), expected.last(), "{name}: the closing token");
        }
        let cut = processor(case).with_max_length(8).prepare(&sample("a", text, None)).unwrap();
        assert_eq!(cut.text.unwrap().ids, numbers(&case["cut_at_8"]), "{name}, cut at 8");
    }
}

/// What is said of a text without a vocabulary holds for the tokens that transformers makes with one.
#[test]
fn bounds_hold_for_the_tokens_of_transformers() {
    let file = json("tokens.json");
    let (mut held, mut told) = (0, 0);
    for case in file["cases"].as_array().unwrap() {
        let (kind, keeps_case) = match case["folder"].as_str().unwrap() {
            "bert-json" | "bert-vocab" => ("bert", false),
            "beto-json" | "beto-vocab" => ("bert", true),
            "clip-json" => ("clip", false),
            "roberta-json" => ("roberta", false),
            "vilt-json" => ("vilt", false),
            _ => continue, // settings that no published model has
        };
        let config = serde_json::Map::from_iter([("model_type".to_owned(), kind.into())]);
        let bounds = TokenBounds::of_config(config, keeps_case).unwrap();
        let (text, tokens) = (case["text"].as_str().unwrap(), numbers(&case["ids"]).len());
        let (least, most) = bounds.of(text).unwrap();
        assert!(
            least <= tokens && tokens <= most,
            "{}, {}: {least} {tokens} {most}",
            case["folder"],
            case["case"]
        );
        held += 1;
        told += usize::from(least > 2);
    }
    assert!(held >= 60 && told >= 50, "{held} texts, {told} of them not empty");
}

/// A copy of a fixture, with its tokenizer in two files as it was before `tokenizer.json`.
fn in_two_files(name: &str, folder: &Path) {
    let from = fixture("tokens").join(name);
    for file in ["config.json", "tokenizer_config.json"] {
        fs::copy(from.join(file), folder.join(file)).unwrap();
    }
    let whole: Value =
        serde_json::from_slice(&fs::read(from.join("tokenizer.json")).unwrap()).unwrap();
    fs::write(folder.join("vocab.json"), whole["model"]["vocab"].to_string()).unwrap();
    let merges = whole["model"]["merges"].as_array().unwrap().iter();
    let lines = merges.map(|pair| match pair {
        Value::String(pair) => pair.clone(),
        pair => format!("{} {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
    });
    let lines: Vec<String> = ["#version: 0.2".to_owned()].into_iter().chain(lines).collect();
    fs::write(folder.join("merges.txt"), lines.join("\n") + "\n").unwrap();
}

/// All texts of the fixtures, whatever tokenizer they are meant for.
fn texts() -> Vec<String> {
    let file = json("tokens.json");
    let cases = file["cases"].as_array().unwrap().iter();
    let mut texts: Vec<String> =
        cases.map(|case| case["text"].as_str().unwrap().to_owned()).collect();
    texts.extend(["a <mask> b", "<s>the</s>", "<|endoftext|>a<|STARTOFTEXT|>"].map(str::to_owned));
    texts
}

#[test]
fn two_files_tell_the_same_as_one() {
    for name in ["roberta-json", "clip-json"] {
        let folder = tempfile::tempdir().unwrap();
        in_two_files(name, folder.path());
        let two = Processor::from_folder(folder.path(), Arm::Text).unwrap();
        let one = Processor::from_folder(&fixture("tokens").join(name), Arm::Text).unwrap();
        assert_eq!(two.pad_id(), one.pad_id(), "{name}");
        assert_eq!(two.max_length(), one.max_length(), "{name}");
        for text in texts() {
            let ids = |processor: &Processor| processor.prepare(&sample("a", &text, None)).unwrap();
            assert_eq!(ids(&two), ids(&one), "{name}: {text}");
        }
    }
}

/// As `tokenizer.json` has it where transformers was told so.
#[test]
fn a_space_goes_before_a_text_where_the_configuration_says_so() {
    let folder = tempfile::tempdir().unwrap();
    in_two_files("roberta-json", folder.path());
    let rewrite = |from: &Path, to: &Path, change: &dyn Fn(&mut Value)| {
        let mut value = serde_json::from_slice(&fs::read(from).unwrap()).unwrap();
        change(&mut value);
        fs::write(to, value.to_string()).unwrap();
    };
    let config = folder.path().join("tokenizer_config.json");
    rewrite(&config, &config, &|config| config["add_prefix_space"] = true.into());
    let two = Processor::from_folder(folder.path(), Arm::Text).unwrap();
    let from = fixture("tokens").join("roberta-json/tokenizer.json");
    rewrite(&from, &folder.path().join("tokenizer.json"), &|whole| {
        whole["pre_tokenizer"]["add_prefix_space"] = true.into();
        whole["post_processor"]["add_prefix_space"] = true.into();
    });
    let one = Processor::from_folder(folder.path(), Arm::Text).unwrap();
    let plain = Processor::from_folder(&fixture("tokens").join("roberta-json"), Arm::Text).unwrap();
    let mut changed = 0;
    for text in texts() {
        let ids = |processor: &Processor| processor.prepare(&sample("a", &text, None)).unwrap();
        assert_eq!(ids(&two), ids(&one), "{text}");
        changed += usize::from(ids(&two) != ids(&plain));
    }
    assert!(changed > 0);
}

#[test]
fn batches_are_padded_as_in_transformers() {
    for case in json("tokens.json")["batches"].as_array().unwrap() {
        let name = &case["folder"];
        let processor = processor(case);
        assert_eq!(u64::from(processor.pad_id()), case["pad_id"].as_u64().unwrap(), "{name}");
        let texts = case["texts"].as_array().unwrap();
        let examples: Vec<_> = texts
            .iter()
            .map(|text| processor.prepare(&sample("a", text.as_str().unwrap(), None)).unwrap())
            .collect();
        let rows = |key: &str| -> Vec<Vec<u32>> {
            case[key].as_array().unwrap().iter().map(numbers).collect()
        };
        for (padding, key) in [(Padding::Longest, "ids"), (Padding::Max(9), "ids_of_9")] {
            let batch = collate(&examples, padding, processor.pad_id()).unwrap().text.unwrap();
            assert_eq!(batch.token_ids.to_vec2::<u32>().unwrap(), rows(key), "{name}");
            if padding == Padding::Longest {
                let mask = batch.attention_mask.to_dtype(candle_core::DType::U32).unwrap();
                assert_eq!(mask.to_vec2::<u32>().unwrap(), rows("attention_mask"), "{name}");
            }
        }
    }
}

/// Limits come from the position table and from `model_max_length`, whichever is smaller.
#[test]
fn the_limit_is_the_models() {
    for (folder, limit) in [
        ("bert-json", 32),    // model_max_length 32, 64 positions
        ("bert-vocab", 64),   // no tokenizer_config.json
        ("beto-vocab", 48),   // model_max_length 48
        ("beto-json", 64),    // model_max_length 1e30
        ("roberta-json", 24), // 34 positions less 2; model_max_length 24
        ("clip-json", 20),    // text_config
        ("vilt-json", 40),    // the default of the architecture
    ] {
        let processor = Processor::from_folder(&fixture("tokens").join(folder), Arm::Text).unwrap();
        assert_eq!(processor.max_length(), Some(limit), "{folder}");
        // More is not to be had, and the special tokens always stay.
        let processor = processor.with_max_length(1000);
        assert_eq!(processor.max_length(), Some(limit), "{folder}");
        let processor = processor.with_max_length(0);
        assert_eq!(processor.text_length("the red car"), 2, "{folder}");
        assert_eq!((processor.max_length(), processor.min_length()), (Some(2), Some(3)));
    }
}
