//! What of a `tokenizer.json` is supported: the kinds of steps that BERT, RoBERTa, CLIP, FLAVA and
//! ViLT are published with, in amounts that cannot fill the memory or the day.
//!
//! The library that runs a tokenizer takes its file at its word: it looks up special tokens that a
//! template names and the file lacks, cuts merges at a prefix that is longer than they are, and
//! doubles a text with each of any number of replacements. So the file is read here first.

use serde_json::{Map, Value};

/// Steps of one kind, those in sequences included.
const MOST_STEPS: usize = 32;
/// How many times longer replacements may make a text, all together.
const MOST_GROWTH: usize = 64;
/// Bytes of a pattern. It runs in linear time: see [`check_pattern`].
const MOST_PATTERN_BYTES: usize = 512;
/// Tokens beside the vocabulary, and bytes of one.
const MOST_ADDED: usize = 20_000;
const MOST_ADDED_BYTES: usize = 1_000;
/// Special tokens around a text.
const MOST_SPECIALS: usize = 16;
/// Letters of a word that is looked up piece by piece, in time that grows with their square.
const MOST_WORD: u64 = 1_000;

const NORMALIZERS: &[&str] = &[
    "BertNormalizer",
    "Lowercase",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Replace",
    "Sequence",
    "Strip",
    "StripAccents",
];
const PRE_TOKENIZERS: &[&str] = &[
    "BertPreTokenizer",
    "ByteLevel",
    "Digits",
    "Punctuation",
    "Sequence",
    "Split",
    "Whitespace",
    "WhitespaceSplit",
];
const POST_PROCESSORS: &[&str] =
    &["BertProcessing", "ByteLevel", "RobertaProcessing", "Sequence", "TemplateProcessing"];
const MODELS: &[&str] = &["BPE", "WordPiece"];

/// GPT-2's pattern, which looks ahead by one letter and so is linear all the same.
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

/// Checks a definition, and takes out what is not used: cutting and padding, which are ours
/// whatever the file has stored, and the way back from tokens to texts. The error says what is not
/// supported.
pub(crate) fn check(definition: &mut Map<String, Value>) -> Result<(), String> {
    for key in ["truncation", "padding", "decoder"] {
        definition.insert(key.to_owned(), Value::Null);
    }
    let part = |key| definition.get(key).unwrap_or(&Value::Null);
    check_added(part("added_tokens"))?;
    check_model(part("model"))?;
    let normalizers = steps(part("normalizer"), "normalizers", NORMALIZERS)?;
    check_growth(&normalizers)?;
    let splits = steps(part("pre_tokenizer"), "pretokenizers", PRE_TOKENIZERS)?;
    for step in normalizers.iter().chain(&splits) {
        if let Some(pattern) = step.get("pattern") {
            check_pattern(pattern)?;
        }
    }
    for step in steps(part("post_processor"), "processors", POST_PROCESSORS)? {
        if kind(step) == Some("TemplateProcessing") {
            check_template(step)?;
        }
    }
    Ok(())
}

fn kind(step: &Value) -> Option<&str> {
    step.get("type").and_then(Value::as_str)
}

/// The steps of a part, each of a known kind, those inside of sequences in the place of these.
fn steps<'a>(part: &'a Value, inside: &str, known: &[&str]) -> Result<Vec<&'a Value>, String> {
    let (mut waiting, mut steps) = (vec![part], Vec::new());
    while let Some(step) = waiting.pop() {
        if step.is_null() {
            continue;
        }
        let kind = kind(step).unwrap_or_default();
        if !known.contains(&kind) {
            return Err(format!("`{kind:.40}` is none of `{}`", known.join("`, `")));
        }
        match step.get(inside).and_then(Value::as_array) {
            Some(nested) if kind == "Sequence" => waiting.extend(nested),
            _ => steps.push(step),
        }
        if waiting.len() + steps.len() > MOST_STEPS {
            return Err(format!("it has more than {MOST_STEPS} `{inside}`"));
        }
    }
    Ok(steps)
}

/// Replacements one behind the other multiply.
fn check_growth(normalizers: &[&Value]) -> Result<(), String> {
    let lengths = normalizers.iter().filter_map(|step| step.get("content"));
    let growth = lengths.fold(1usize, |growth, content| {
        // Each letter may become the content, or have it before it.
        growth.saturating_mul(1 + content.as_str().map_or(0, str::len))
    });
    if growth > MOST_GROWTH {
        return Err(format!("its replacements may make a text {growth} times as long"));
    }
    Ok(())
}

/// A pattern must need no backtracking: no looking around, no references back, nothing possessive,
/// no counted repetition.
fn check_pattern(pattern: &Value) -> Result<(), String> {
    if let Some(text) = pattern.get("String").and_then(Value::as_str) {
        return if text.len() > MOST_PATTERN_BYTES {
            Err(format!("a pattern has more than {MOST_PATTERN_BYTES} bytes"))
        } else {
            Ok(())
        };
    }
    let Some(pattern) = pattern.get("Regex").and_then(Value::as_str) else {
        return Err("a pattern is neither a `String` nor a `Regex`".to_owned());
    };
    if pattern == GPT2 {
        return Ok(());
    }
    let letters: Vec<char> = pattern.chars().collect();
    let followed = letters.windows(2).any(|pair| match (pair[0], pair[1]) {
        ('(' | '+' | '*' | '?', '?') | ('+' | '*' | '?', '+') => true,
        ('{', next) => next.is_ascii_digit() || next == ',',
        ('\\', next) => {
            !matches!(next, 's' | 'S' | 'd' | 'D' | 'w' | 'W' | 'p' | 'P' | 'r' | 'n' | 't')
                && next.is_ascii_alphanumeric()
        }
        _ => false,
    });
    if followed || pattern.len() > MOST_PATTERN_BYTES {
        return Err(format!("the pattern `{pattern:.80}` is not supported"));
    }
    Ok(())
}

fn check_added(added: &Value) -> Result<(), String> {
    let added = added.as_array().map_or(&[][..], Vec::as_slice);
    let content = |token: &Value| token.get("content").and_then(Value::as_str).map_or(0, str::len);
    if added.len() > MOST_ADDED || added.iter().any(|token| content(token) > MOST_ADDED_BYTES) {
        return Err(format!(
            "`added_tokens` has more than {MOST_ADDED}, or one of more than {MOST_ADDED_BYTES} bytes"
        ));
    }
    Ok(())
}

fn check_model(model: &Value) -> Result<(), String> {
    // Old files leave the kind out: only pairs have merges.
    let told = if model.get("merges").is_some() { "BPE" } else { "WordPiece" };
    let kind = kind(model).unwrap_or(told);
    if !MODELS.contains(&kind) {
        return Err(format!("its model `{kind:.40}` is none of `{}`", MODELS.join("`, `")));
    }
    let key = |key| model.get(key).filter(|value| !value.is_null());
    if let Some(dropout) = key("dropout")
        && dropout.as_f64() != Some(0.0)
    {
        return Err("its `dropout` would give a text other tokens each time".to_owned());
    }
    let prefix = key("continuing_subword_prefix").and_then(Value::as_str).unwrap_or_default();
    if kind == "BPE" && !prefix.is_empty() {
        return Err("a `BPE` model with a `continuing_subword_prefix` is not supported".to_owned());
    }
    let word = key("max_input_chars_per_word").and_then(Value::as_u64).unwrap_or(0);
    if word > MOST_WORD {
        return Err(format!("its `max_input_chars_per_word` is above {MOST_WORD}"));
    }
    Ok(())
}

/// A template must put special tokens that it has around one text.
fn check_template(template: &Value) -> Result<(), String> {
    let special = |id: &Value| template.get("special_tokens")?.get(id.as_str()?);
    let list = |value: &Value, key: &str| value.get(key).and_then(Value::as_array).map(Vec::len);
    for (key, texts) in [("single", 1), ("pair", 2)] {
        let Some(pieces) = template.get(key).and_then(Value::as_array) else { continue };
        let (mut found, mut specials) = (0, 0);
        for piece in pieces {
            let Some(token) = piece.get("SpecialToken") else {
                found += 1;
                continue;
            };
            let id = token.get("id").unwrap_or(&Value::Null);
            let ids = special(id).and_then(|special| {
                list(special, "ids").filter(|&ids| Some(ids) == list(special, "tokens"))
            });
            specials += ids.ok_or_else(|| {
                format!("its template names the special token {id:.40}, which it does not describe")
            })?;
        }
        if found > texts || specials > MOST_SPECIALS {
            return Err(format!(
                "its template `{key}` has {found} texts and {specials} special tokens, expected \
                 {texts} and at most {MOST_SPECIALS}"
            ));
        }
        if key == "single" && found != 1 {
            return Err("its template `single` shows no text".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problem(key: &str, value: Value) -> String {
        let mut definition = Map::new();
        definition.insert("model".to_owned(), json!({"type": "WordPiece", "vocab": {}}));
        definition.insert(key.to_owned(), value);
        check(&mut definition).err().unwrap_or_default()
    }

    #[test]
    fn what_the_models_are_published_with_is_supported() {
        let clip = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
        for (key, value) in [
            ("normalizer", Value::Null),
            (
                "normalizer",
                json!({"type": "Sequence", "normalizers": [{"type": "NFC"},
                {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}, {"type": "Lowercase"}]}),
            ),
            ("pre_tokenizer", json!({"type": "Split", "pattern": {"Regex": clip}})),
            ("pre_tokenizer", json!({"type": "Split", "pattern": {"Regex": GPT2}})),
            ("post_processor", json!({"type": "RobertaProcessing", "sep": ["</s>", 2]})),
        ] {
            assert_eq!(problem(key, value), "", "{key}");
        }
    }

    /// Forty doublings of one letter are a terabyte.
    #[test]
    fn replacements_that_double_a_text_again_and_again_are_refused() {
        let double = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
        let many = json!({"type": "Sequence", "normalizers": vec![double; 30]});
        assert!(problem("normalizer", many).contains("times as long"));
        let deep = json!({"type": "Sequence", "normalizers": vec![json!({"type": "NFC"}); 40]});
        assert!(problem("normalizer", deep).contains("more than 32"));
    }

    #[test]
    fn patterns_that_go_back_are_refused() {
        for pattern in ["(?=a)", r"(a)\1", "a++", "(a{9}){9}", r"\Ga", "(?>a)", "a*+"] {
            let split = json!({"type": "Split", "pattern": {"Regex": pattern}});
            assert!(problem("pre_tokenizer", split).contains("is not supported"), "{pattern}");
        }
        let split = json!({"type": "Split", "pattern": {"Regex": "a".repeat(600)}});
        assert!(!problem("pre_tokenizer", split).is_empty());
    }

    /// The library looks the token up and does not ask whether it is there.
    #[test]
    fn a_template_of_a_special_token_that_is_not_there_is_refused() {
        let template = |pieces: Value, ids: Value| {
            json!({"type": "TemplateProcessing", "single": pieces,
                "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": ids, "tokens": ["[CLS]"]}}})
        };
        let (text, cls) =
            (json!({"Sequence": {"id": "A"}}), json!({"SpecialToken": {"id": "[CLS]"}}));
        let good = template(json!([cls, text]), json!([2]));
        assert_eq!(problem("post_processor", good), "");
        let absent = json!({"SpecialToken": {"id": "[SEP]"}});
        for bad in [
            template(json!([cls, absent, text]), json!([2])),
            template(json!([cls, text]), json!([2, 3])),
            template(json!([cls]), json!([2])),
            template(json!([cls, text, text]), json!([2])),
        ] {
            assert!(problem("post_processor", bad).contains("its template"));
        }
    }

    #[test]
    fn models_that_are_slow_random_or_cut_wrongly_are_refused() {
        for (model, part) in [
            (json!({"type": "Unigram"}), "none of"),
            (json!({"type": "BPE", "dropout": 0.1}), "other tokens each time"),
            (json!({"type": "BPE", "continuing_subword_prefix": "##"}), "prefix"),
            (json!({"type": "WordPiece", "max_input_chars_per_word": 100_000}), "above"),
        ] {
            assert!(problem("model", model).contains(part), "{part}");
        }
        assert!(
            problem("pre_tokenizer", json!({"type": "FixedLength", "length": 0}))
                .contains("none of")
        );
    }
}
