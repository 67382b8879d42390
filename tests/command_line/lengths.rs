//! `mmc data check` and the tokens of texts.

use crate::place::{Place, finish, workspace};
use serde_json::{Value, json};

/// A table whose longest training texts have 600 words of one letter, and one word of 100 letters.
fn place() -> Place {
    let place = Place::new();
    let (words, letters) = (["a"; 600].join(" "), "b".repeat(100));
    let train = format!("id,text,label\n1,{words},x\n2,{letters},y\n3,short,x\n");
    place.write("data/train.csv", train);
    place.write("data/val.csv", "id,text,label\n4,one,x\n5,two,y\n");
    place.write("data/test.csv", "id,text,label\n6,three,x\n7,four,y\n");
    place
}

fn check(place: &Place, more: &str) -> crate::place::Ran {
    let words = format!("data check --dataset table --data-root data {more}");
    let mut command = place.command(&words);
    // Nothing of whoever runs this test.
    command.env("HF_HOME", place.path("hub"));
    finish(command)
}

#[test]
fn without_a_tokenizer_texts_beyond_each_model_are_bounded() {
    let place = place();
    let report = check(&place, "--json").json();
    let lengths = report["text_lengths"].as_array().unwrap();
    let models: Vec<&str> = lengths.iter().map(|found| found["model"].as_str().unwrap()).collect();
    assert_eq!(models, ["bert", "flava", "vilt", "roberta", "beto", "clip", "clip-l14"]);
    for found in lengths {
        let (model, train) = (&found["model"], &found["splits"][0]);
        assert_eq!(found["tokenizer"], Value::Null, "{model}");
        assert_eq!(train["texts"], 3, "{model}");
        // 600 words are 600 tokens at least; a word of 100 letters is one token at least, and 100 at most.
        let most = if found["limit"].as_u64() < Some(100) { 2 } else { 1 };
        assert_eq!(train["beyond_limit"], json!({"at_least": 1, "at_most": most}), "{model}");
        assert_eq!(found["splits"][1]["beyond_limit"], json!({"at_least": 0, "at_most": 0}));
        assert_eq!(train["longest"]["at_least"], 602, "{model}");
    }
    assert_eq!((&lengths[1]["limit"], &lengths[1]["max_length"]), (&json!(512), &json!(77)));
    let text = check(&place, "--html page.html").done();
    assert!(
        text.contains("  bert      1 over 512, 1 over 128 (`--max-length`, unless given)"),
        "{text}"
    );
    assert!(text.contains("  vilt      at least 1 and at most 2 over 40, the longest"), "{text}");
    assert!(text.contains("bounds, for want of a tokenizer"), "{text}");
    let page = place.read("page.html");
    assert!(page.contains("tokens of the longest") && page.contains("at least 1 and at most 2"));
}

#[test]
fn a_checkpoint_counts_tokens_exactly() {
    let place = place();
    let folder = workspace().join("data/checkpoints/bert-tiny-emoji");
    let folder = folder.display();
    let report = check(&place, &format!("--checkpoint {folder} --json")).json();
    let [found] = report["text_lengths"].as_array().unwrap().as_slice() else {
        panic!("{report}");
    };
    assert_eq!(found["tokenizer"].as_str(), Some(folder.to_string().as_str()));
    let train = &found["splits"][0];
    assert_eq!(train["longest"], json!({"at_least": 602, "at_most": 602}));
    // Its vocabulary has the letter, and so the long word is a token a letter.
    assert_eq!(train["beyond_limit"], json!({"at_least": 2, "at_most": 2}));
    assert_eq!(found["splits"][1]["beyond_limit"], json!({"at_least": 0, "at_most": 0}));
    let text = check(&place, &format!("--checkpoint {folder}")).done();
    assert!(text.contains("(counted by the tokenizer in ") && !text.contains("bounds"), "{text}");
    // What has no tokenizer of its own yet, and what is not there.
    let refused = check(&place, "--checkpoint bert-tiny");
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("whose vocabulary is made from the texts"),
        "{}",
        refused.stderr
    );
    let absent = check(&place, "--checkpoint bert");
    assert_eq!(absent.code, 1);
    assert!(absent.stderr.contains("mmc fetch bert"), "{}", absent.stderr);
}

/// Which model a folder is of, nobody knows that is not there.
#[test]
fn a_checkpoint_that_is_not_there_is_named_and_no_model() {
    let place = place();
    place.write("run/checkpoint/config.json", "{}");
    for (given, said) in [
        ("/nowhere", "`/nowhere`: no such folder; give the folder"),
        ("./gone", "`./gone`: no such folder; give the folder"),
        ("owner/name", "neither the folder `owner/name` nor a whole copy of `owner/name` in"),
        ("owner/name", "`mmc fetch owner/name`"),
        ("rbert", "did you mean `bert`"),
        ("data/train.csv", "`data/train.csv`, which is a file"),
        ("data", "data: no `config.json`"),
        ("run", "run: a run, not a checkpoint; did you mean `run/checkpoint`"),
        ("none", "`none`, which has no tokenizer"),
    ] {
        let ran = check(&place, &format!("--checkpoint {given}"));
        assert!(ran.code != 0 && ran.stdout.is_empty(), "{given}: {}", ran.stdout);
        assert!(ran.stderr.contains(said), "{given}: {}", ran.stderr);
        assert!(!ran.stderr.contains("no weights for"), "{given}: {}", ran.stderr);
    }
}
