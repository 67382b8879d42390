//! From a text to its tokens, by the checkpoint's own tokenizer files.

pub(crate) mod bounds;
mod byte_pairs;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokenizers::{Encoding, PostProcessor, Tokenizer, TruncationDirection};

use crate::definition;
use crate::folder::{Config, MOST_VOCABULARY_BYTES, read_file};
use crate::model_kind::ModelKind;
use crate::{PreprocessError, Tokens};

/// `model_max_length` of a tokenizer without a limit is 1e30.
const NO_LIMIT: f64 = 1e9;

/// A tokenizer with its limits.
#[derive(Clone)]
pub(crate) struct Tokenization {
    tokenizer: Tokenizer,
    /// Special tokens around each text.
    specials: usize,
    /// The most tokens the model takes.
    limit: usize,
    /// Where texts are cut: at most `limit`.
    max_length: usize,
    pad_id: u32,
}

impl Tokenization {
    /// Reads `tokenizer.json`, else `vocab.txt` or `vocab.json` and `merges.txt`, with `tokenizer_config.json` and
    /// `special_tokens_map.json` where there are any. `positions`: the most tokens the model takes.
    pub(crate) fn from_folder(
        folder: &Path,
        kind: ModelKind,
        positions: usize,
    ) -> Result<Self, PreprocessError> {
        let files = Files::read(folder, kind)?;
        let (path, mut definition) = files.definition(folder)?;
        let problem = |problem: String| PreprocessError::Tokenizer { path: path.clone(), problem };
        definition::check(&mut definition).map_err(problem)?;
        let bytes = serde_json::to_vec(&definition).map_err(|error| problem(error.to_string()))?;
        let tokenizer =
            caught(|| Tokenizer::from_bytes(bytes)).map_err(|error| problem(error.to_string()))?;
        let specials = tokenizer.get_post_processor().map_or(0, |steps| steps.added_tokens(false));
        if specials == 0 {
            return Err(problem("it puts no special tokens around a text".to_owned()));
        }
        let pad_token = files.special("pad_token")?.unwrap_or_else(|| kind.pad_token().to_owned());
        let pad_id = tokenizer
            .token_to_id(&pad_token)
            .ok_or_else(|| problem(format!("its vocabulary lacks the pad token `{pad_token}`")))?;
        let limit = files.limit()?.map_or(positions, |limit| limit.min(positions)).max(specials);
        Ok(Self { tokenizer, specials, limit, max_length: limit, pad_id })
    }

    pub(crate) fn pad_id(&self) -> u32 {
        self.pad_id
    }

    pub(crate) fn max_length(&self) -> usize {
        self.max_length
    }

    /// The special tokens and one of the text.
    pub(crate) fn min_length(&self) -> usize {
        self.specials + 1
    }

    /// Cuts texts at `tokens`, within what the model takes and its special tokens need.
    pub(crate) fn set_max_length(&mut self, tokens: usize) {
        self.max_length = tokens.clamp(self.specials, self.limit);
    }

    /// How many tokens a text has before it is cut, special tokens included.
    pub(crate) fn full_length(&self, text: &str) -> tokenizers::Result<usize> {
        caught(|| Ok(self.tokenizer.encode_fast(text, false)?.len() + self.specials))
    }

    /// The tokens of a text, special tokens included, cut on the right but for the closing one.
    pub(crate) fn encode(&self, text: &str) -> tokenizers::Result<Tokens> {
        caught(|| self.tokens(text))
    }

    fn tokens(&self, text: &str) -> tokenizers::Result<Tokens> {
        let mut encoding: Encoding = self.tokenizer.encode_fast(text, false)?;
        let full_length = encoding.len() + self.specials;
        encoding.truncate(self.max_length - self.specials, 0, TruncationDirection::Right);
        encoding.take_overflowing();
        let encoding = self.tokenizer.post_process(encoding, None, true)?;
        Ok(Tokens {
            ids: encoding.get_ids().to_vec(),
            type_ids: encoding.get_type_ids().to_vec(),
            full_length,
        })
    }
}

/// What a call into the tokenizer's library gives. It has given up on odd files before; one must
/// not end a long run.
fn caught<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> tokenizers::Result<T> {
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_panic| Err("the tokenizer's library gave up".into()))
}

/// The small files beside a tokenizer.
struct Files {
    kind: ModelKind,
    config: Option<Config>,
    special_tokens: Option<Config>,
}

impl Files {
    fn read(folder: &Path, kind: ModelKind) -> Result<Self, PreprocessError> {
        Ok(Self {
            kind,
            config: Config::read(&folder.join("tokenizer_config.json"))?,
            special_tokens: Config::read(&folder.join("special_tokens_map.json"))?,
        })
    }

    /// The text of a special token: a string, or an object with `content`.
    fn special(&self, name: &str) -> Result<Option<String>, PreprocessError> {
        for config in [&self.config, &self.special_tokens].into_iter().flatten() {
            match config.get(name) {
                None => {}
                Some(Value::String(token)) => return Ok(Some(token.clone())),
                Some(Value::Object(token)) => {
                    if let Some(Value::String(content)) = token.get("content") {
                        return Ok(Some(content.clone()));
                    }
                    return Err(config.unsupported(name, "an object with the text `content`"));
                }
                Some(_) => return Err(config.unsupported(name, "a token's text")),
            }
        }
        Ok(None)
    }

    /// `model_max_length`, where it is a limit at all.
    fn limit(&self) -> Result<Option<usize>, PreprocessError> {
        let Some(config) = &self.config else { return Ok(None) };
        let limit: Option<f64> = config.typed("model_max_length", "a number of tokens")?;
        Ok(limit.filter(|limit| *limit < NO_LIMIT).map(|limit| limit as usize))
    }

    /// A switch of `tokenizer_config.json`.
    fn switch(&self, key: &str) -> Result<Option<bool>, PreprocessError> {
        match &self.config {
            Some(config) => config.typed(key, "`true` or `false`"),
            None => Ok(None),
        }
    }

    /// The tokenizer in the form of `tokenizer.json`, and the file it comes from.
    fn definition(&self, folder: &Path) -> Result<(PathBuf, Map<String, Value>), PreprocessError> {
        let path = folder.join("tokenizer.json");
        if let Some(config) = Config::read_up_to(&path, MOST_VOCABULARY_BYTES)? {
            let mut definition = config.into_object();
            self.overrule(&mut definition)?;
            return Ok((path, definition));
        }
        let vocabulary = folder.join("vocab.txt");
        if self.kind.has_word_pieces()
            && let Some(bytes) = read_file(&vocabulary, MOST_VOCABULARY_BYTES)?
        {
            let definition = self.word_pieces(folder, &vocabulary, bytes)?;
            return Ok((vocabulary, definition));
        }
        let vocabulary = folder.join("vocab.json");
        if !self.kind.has_word_pieces()
            && let Some(words) = Config::read_up_to(&vocabulary, MOST_VOCABULARY_BYTES)?
        {
            let pairs = byte_pairs::read_merges(&folder.join("merges.txt"))?;
            let definition = self.byte_pairs(&vocabulary, &words.into_object(), &pairs)?;
            return Ok((vocabulary, definition));
        }
        Err(PreprocessError::Missing {
            path,
            purpose: "to tokenize texts",
            remedy: if self.kind.has_word_pieces() {
                "copy it, or `vocab.txt`, from the checkpoint"
            } else {
                "copy it, or `vocab.json` and `merges.txt`, from the checkpoint, or let \
                 transformers write it (`save_pretrained`)"
            },
        })
    }

    /// transformers builds BERT's normaliser from `tokenizer_config.json`; where that file says
    /// something and `tokenizer.json` says otherwise, it wins.
    fn overrule(&self, definition: &mut Map<String, Value>) -> Result<(), PreprocessError> {
        let Some(Value::Object(normalizer)) = definition.get_mut("normalizer") else {
            return Ok(());
        };
        if normalizer.get("type").and_then(Value::as_str) != Some("BertNormalizer") {
            return Ok(());
        }
        for (key, name) in [
            ("do_lower_case", "lowercase"),
            ("strip_accents", "strip_accents"),
            ("tokenize_chinese_chars", "handle_chinese_chars"),
        ] {
            if let Some(switch) = self.switch(key)? {
                normalizer.insert(name.to_owned(), Value::Bool(switch));
            }
        }
        Ok(())
    }

    /// BERT's tokenizer over the words of `vocab.txt`, a line an id.
    fn word_pieces(
        &self,
        folder: &Path,
        path: &Path,
        bytes: Vec<u8>,
    ) -> Result<Map<String, Value>, PreprocessError> {
        let problem =
            |problem: String| PreprocessError::Tokenizer { path: path.to_owned(), problem };
        let text = String::from_utf8(bytes).map_err(|error| problem(error.to_string()))?;
        let words: Vec<&str> = text.lines().collect();
        let vocabulary: Map<String, Value> =
            words.iter().enumerate().map(|(id, word)| ((*word).to_owned(), id.into())).collect();
        let mut added = Vec::new();
        let mut special = |key: &str, default: &str| {
            let token = self.special(key)?.unwrap_or_else(|| default.to_owned());
            let id = vocabulary.get(&token).cloned();
            if let Some(id) = &id {
                added.push(json!({
                    "id": id, "content": token, "special": true, "normalized": false,
                    "single_word": false, "lstrip": false, "rstrip": false,
                }));
            } else if key != "mask_token" {
                return Err(problem(format!("it lacks the special token `{token}` ({key})")));
            }
            Ok((token, id))
        };
        special("pad_token", "[PAD]")?;
        special("mask_token", "[MASK]")?;
        let (unknown, _) = special("unk_token", "[UNK]")?;
        let (start, start_id) = special("cls_token", "[CLS]")?;
        let (end, end_id) = special("sep_token", "[SEP]")?;
        added.sort_by_key(|token| token["id"].as_u64());
        let lowercase = self
            .switch("do_lower_case")?
            .unwrap_or(self.config.is_some() || !is_cased(folder, &words));
        let definition = json!({
            "version": "1.0",
            "added_tokens": added,
            "normalizer": {
                "type": "BertNormalizer",
                "clean_text": true,
                "handle_chinese_chars": self.switch("tokenize_chinese_chars")?.unwrap_or(true),
                "strip_accents": self.switch("strip_accents")?,
                "lowercase": lowercase,
            },
            "pre_tokenizer": { "type": "BertPreTokenizer" },
            "post_processor": {
                "type": "BertProcessing", "cls": [start, start_id], "sep": [end, end_id],
            },
            "model": {
                "type": "WordPiece", "unk_token": unknown, "vocab": vocabulary,
                "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            },
        });
        match definition {
            Value::Object(definition) => Ok(definition),
            _ => Err(problem("it makes no tokenizer".to_owned())),
        }
    }
}

/// Whether a vocabulary without `tokenizer_config.json` tells capitals apart: its folder (or the
/// repository that a folder of the hub's cache belongs to) is called cased, or it holds capitals.
fn is_cased(folder: &Path, words: &[&str]) -> bool {
    let names = folder.iter().rev().take(3).map(|name| name.to_string_lossy().to_lowercase());
    let cased = |name: &String| name.contains("cased") && !name.contains("uncased");
    let mut names = names.filter(|name| name.contains("cased"));
    match names.next() {
        Some(name) => cased(&name),
        None => words.iter().any(|word| {
            !word.starts_with('[') && word.contains(|letter: char| letter.is_ascii_uppercase())
        }),
    }
}
