//! RoBERTa's and CLIP's tokenizers from `vocab.json` and `merges.txt`, as transformers builds them
//! where there is no `tokenizer.json`.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::Files;
use crate::PreprocessError;
use crate::folder::{MOST_VOCABULARY_BYTES, read_file};
use crate::model_kind::ModelKind;

/// What CLIP takes for a word.
const CLIP_WORDS: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// A special token: its text, and its id where the vocabulary has it.
type Special = (String, Option<Value>);

impl Files {
    /// The tokenizer over the ids of `vocabulary`, which the file at `path` holds, and the merges
    /// of these pairs of pieces, the first first.
    pub(super) fn byte_pairs(
        &self,
        path: &Path,
        vocabulary: &Map<String, Value>,
        pairs: &[[String; 2]],
    ) -> Result<Map<String, Value>, PreprocessError> {
        let mut added = Vec::new();
        let mut special = |key: &str, default: &str| -> Result<Special, PreprocessError> {
            let token = self.special(key)?.unwrap_or_else(|| default.to_owned());
            let id = vocabulary.get(&token).cloned();
            if id.is_none() && key != "mask_token" {
                let problem = format!("it lacks the special token `{token}` ({key})");
                return Err(PreprocessError::Tokenizer { path: path.to_owned(), problem });
            }
            if let Some(id) = &id
                && added.iter().all(|other: &Value| other["id"] != *id)
            {
                added.push(self.added(key, &token, id));
            }
            Ok((token, id))
        };
        let is_clip = self.kind == ModelKind::Clip;
        let (start, end, unknown) = if is_clip {
            let unknown = special("unk_token", "<|endoftext|>")?.0;
            special("pad_token", "<|endoftext|>")?;
            let start = special("bos_token", "<|startoftext|>")?;
            (start, special("eos_token", "<|endoftext|>")?, Some(unknown))
        } else {
            for (key, default) in [
                ("bos_token", "<s>"),
                ("eos_token", "</s>"),
                ("unk_token", "<unk>"),
                ("pad_token", "<pad>"),
                ("mask_token", "<mask>"),
            ] {
                special(key, default)?;
            }
            (special("cls_token", "<s>")?, special("sep_token", "</s>")?, None)
        };
        added.sort_by_key(|token| token["id"].as_u64());
        // CLIP's takes no notice of the switch.
        let spaced = !is_clip && self.switch("add_prefix_space")?.unwrap_or(false);
        let bytes = json!({
            "type": "ByteLevel", "add_prefix_space": spaced, "trim_offsets": true,
            "use_regex": true,
        });
        let (normalizer, words) = if is_clip {
            (
                clip_normalizer(),
                json!({ "type": "Sequence", "pretokenizers": [clip_split(), bytes] }),
            )
        } else {
            (Value::Null, bytes)
        };
        let (suffix, version) = (if is_clip { "</w>" } else { "" }, "1.0");
        let definition = json!({
            "version": version,
            "added_tokens": added,
            "normalizer": normalizer,
            "pre_tokenizer": words,
            "post_processor": {
                "type": "RobertaProcessing", "cls": start, "sep": end,
                "trim_offsets": !is_clip, "add_prefix_space": spaced,
            },
            "model": {
                "type": "BPE", "unk_token": unknown, "vocab": vocabulary, "merges": pairs,
                "continuing_subword_prefix": "", "end_of_word_suffix": suffix, "fuse_unk": false,
            },
        });
        let Value::Object(definition) = definition else {
            let problem = "it makes no tokenizer".to_owned();
            return Err(PreprocessError::Tokenizer { path: path.to_owned(), problem });
        };
        Ok(definition)
    }

    /// A special token as `tokenizer.json` lists it, with the switches that its file gives it.
    fn added(&self, key: &str, token: &str, id: &Value) -> Value {
        let configs = [&self.config, &self.special_tokens];
        let described = configs.into_iter().flatten().find_map(|config| config.get(key));
        let switch = |name: &str| {
            described.and_then(|token| token.get(name)).and_then(Value::as_bool).unwrap_or(false)
        };
        json!({
            "id": id, "content": token, "special": true, "normalized": switch("normalized"),
            "single_word": switch("single_word"), "lstrip": switch("lstrip"),
            "rstrip": switch("rstrip"),
        })
    }
}

/// Composed letters, single spaces, no capitals.
fn clip_normalizer() -> Value {
    json!({ "type": "Sequence", "normalizers": [
        { "type": "NFC" },
        { "type": "Replace", "pattern": { "Regex": "\\s+" }, "content": " " },
        { "type": "Lowercase" },
    ] })
}

fn clip_split() -> Value {
    json!({
        "type": "Split", "pattern": { "Regex": CLIP_WORDS }, "behavior": "Removed", "invert": true,
    })
}

/// Two pieces a line, behind a line that begins with `#version`.
pub(super) fn read_merges(path: &Path) -> Result<Vec<[String; 2]>, PreprocessError> {
    let bytes = read_file(path, MOST_VOCABULARY_BYTES)?.ok_or(PreprocessError::Missing {
        path: path.to_owned(),
        purpose: "to tokenize texts, since `vocab.json` has the pieces and not how they are made",
        remedy: "copy it from the checkpoint, or `tokenizer.json`",
    })?;
    let bad = |problem: String| PreprocessError::Tokenizer { path: path.to_owned(), problem };
    let text = String::from_utf8(bytes).map_err(|error| bad(error.to_string()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.starts_with("#version"));
    lines
        .map(|(index, line)| match line.split(' ').collect::<Vec<&str>>()[..] {
            [left, right] if !left.is_empty() && !right.is_empty() => {
                Ok([left.to_owned(), right.to_owned()])
            }
            _ => Err(bad(format!("line {} is not two pieces and a space between", index + 1))),
        })
        .collect()
}
