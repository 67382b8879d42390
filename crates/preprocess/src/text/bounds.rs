//! What is certain of the number of a text's tokens where the vocabulary is not there.

use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::{OffsetReferential, OffsetType, PreTokenizer, Tokenizer};

use super::{Files, caught};
use crate::PreprocessError;
use crate::folder::Config;
use crate::model_kind::ModelKind;

/// Special tokens around a text: every tokenizer here puts one before it and one behind.
const SPECIALS: usize = 2;

/// The fewest and the most tokens that a text can have, whatever the vocabulary.
///
/// A tokenizer cuts a text into words and marks before it looks into its vocabulary, and none of
/// its tokens spans two of these: so each is one token at least, and at most one a letter (word
/// pieces: Wu et al., 2016) or a byte (byte pairs: Sennrich et al., 2016; Radford et al., 2019).
#[derive(Debug)]
pub struct TokenBounds {
    definition: Map<String, Value>,
    tokenizer: Tokenizer,
    limit: usize,
}

impl TokenBounds {
    /// Of the model that a `config.json` describes; `config` is its object. `keeps_case`: whether a
    /// tokenizer of word pieces tells capitals and accents apart.
    ///
    /// # Errors
    /// A `model_type` that is not known, or a position table that is too short.
    pub fn of_config(
        config: Map<String, Value>,
        keeps_case: bool,
    ) -> Result<Self, PreprocessError> {
        let path = Path::new("config.json");
        let (kind, limit) = ModelKind::of(&Config::of(path, config))?;
        let files = Files { kind, config: None, special_tokens: None };
        let mut definition = if kind.has_word_pieces() {
            let words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
            files.word_pieces(path, path, words.as_bytes().to_vec())?
        } else {
            let specials: &[&str] = match kind {
                ModelKind::Clip => &["<|startoftext|>", "<|endoftext|>"],
                _ => &["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
            };
            let ids = specials.iter().enumerate();
            let vocabulary = ids.map(|(id, token)| ((*token).to_owned(), id.into())).collect();
            files.byte_pairs(path, &vocabulary, &[])?
        };
        if kind.has_word_pieces()
            && let Some(Value::Object(normalizer)) = definition.get_mut("normalizer")
        {
            normalizer.insert("lowercase".to_owned(), json!(!keeps_case));
        }
        // As RoBERTa's is published: the mask takes the space before it.
        let added = definition.get_mut("added_tokens").and_then(Value::as_array_mut);
        for token in added.into_iter().flatten().filter(|token| token["content"] == "<mask>") {
            token["lstrip"] = json!(true);
        }
        let problem =
            |problem: String| PreprocessError::Tokenizer { path: path.to_owned(), problem };
        let bytes = serde_json::to_vec(&definition).map_err(|error| problem(error.to_string()))?;
        let tokenizer =
            caught(|| Tokenizer::from_bytes(bytes)).map_err(|error| problem(error.to_string()))?;
        Ok(Self { definition, tokenizer, limit })
    }

    /// The most tokens the model takes, special tokens included.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether both say the same of every text.
    #[must_use]
    pub fn counts_as(&self, other: &Self) -> bool {
        self.definition == other.definition
    }

    /// The fewest and the most tokens of a text, special tokens included; `None` if the tokenizer's
    /// library cannot cut it.
    #[must_use]
    pub fn of(&self, text: &str) -> Option<(usize, usize)> {
        let counted = caught(|| {
            let normalizer = self.tokenizer.get_normalizer();
            let added = self.tokenizer.get_added_vocabulary();
            let mut words = added.extract_and_normalize(normalizer, text);
            if let Some(step) = self.tokenizer.get_pre_tokenizer() {
                step.pre_tokenize(&mut words)?;
            }
            let mut bounds = (SPECIALS, SPECIALS);
            for (word, _, tokens) in
                words.get_splits(OffsetReferential::Normalized, OffsetType::None)
            {
                // A special token that is written out in the text is one, and so is what it takes of
                // the spaces before it, or they stay as they are.
                let spaces = word.len() - word.trim_start().len();
                let most = if tokens.is_some() { 1 + spaces } else { word.chars().count() };
                bounds.0 += most.min(1);
                bounds.1 += most;
            }
            Ok(bounds)
        });
        counted.ok()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use mmc_data::Arm;
    use proptest::prelude::*;
    use tokenizers::pre_tokenizers::byte_level::ByteLevel;

    use super::*;
    use crate::Processor;

    fn of(model_type: &str, keeps_case: bool) -> TokenBounds {
        let config = json!({ "model_type": model_type });
        let Value::Object(config) = config else { unreachable!() };
        TokenBounds::of_config(config, keeps_case).unwrap()
    }

    #[test]
    fn words_and_marks_are_counted_as_each_kind_cuts_them() {
        let text = "Don't  stop, Zo\u{e9}!";
        // don ' t stop , zoe !
        assert_eq!(of("bert", false).of(text), Some((2 + 7, 2 + 14)));
        assert_eq!(of("bert", true).of(text), Some((2 + 7, 2 + 14)));
        // Don 't · ·stop , ·Zoé !; é has two bytes.
        assert_eq!(of("roberta", false).of(text), Some((2 + 7, 2 + 18)));
        // don 't stop , zoé !
        assert_eq!(of("clip", false).of(text), Some((2 + 6, 2 + 15)));
        for kind in ["bert", "roberta", "clip", "flava", "vilt"] {
            assert_eq!(of(kind, false).of(""), Some((2, 2)), "{kind}");
        }
        // One token, although its letters and marks are many.
        assert_eq!(of("vilt", false).of("a [SEP] b"), Some((5, 5)));
        assert_eq!(of("roberta", false).of("a <mask>"), Some((4, 5)));
    }

    #[test]
    fn limits_are_those_of_the_published_tables() {
        for (kind, limit) in [("bert", 512), ("clip", 77), ("flava", 512), ("vilt", 40)] {
            assert_eq!(of(kind, false).limit(), limit, "{kind}");
        }
        assert!(of("bert", true).counts_as(&of("bert", true)));
        assert!(of("vilt", false).counts_as(&of("flava", false)));
        assert!(!of("bert", true).counts_as(&of("bert", false)));
    }

    /// Tokenizers with vocabularies, small as they are, of each kind.
    fn with_vocabulary(kind: &str) -> Processor {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write("config.json", &format!(r#"{{"model_type": "{kind}"}}"#));
        if kind == "bert" {
            let letters: Vec<String> = ('a'..='z')
                .flat_map(|letter| [letter.to_string(), format!("##{letter}")])
                .collect();
            let words = format!(
                "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##re\nab\n{}\n",
                letters.join("\n")
            );
            write("vocab.txt", &words);
        } else {
            let mut pieces: Vec<String> =
                ["<s>", "<pad>", "</s>", "<unk>", "<mask>"].map(str::to_owned).to_vec();
            if kind == "clip" {
                pieces = ["<|startoftext|>", "<|endoftext|>"].map(str::to_owned).to_vec();
            }
            let mut bytes: Vec<char> = ByteLevel::alphabet().into_iter().collect();
            bytes.sort_unstable();
            pieces.extend(bytes.iter().map(char::to_string));
            if kind == "clip" {
                pieces.extend(bytes.iter().map(|letter| format!("{letter}</w>")));
            }
            pieces.push("ab".to_owned());
            let ids: Map<String, Value> =
                pieces.into_iter().enumerate().map(|(id, piece)| (piece, id.into())).collect();
            write("vocab.json", &Value::Object(ids).to_string());
            write("merges.txt", "#version: 0.2\na b\n");
        }
        Processor::from_folder(folder.path(), Arm::Text).unwrap()
    }

    static KINDS: LazyLock<Vec<(&str, Processor, TokenBounds)>> = LazyLock::new(|| {
        let kinds = ["bert", "roberta", "clip"];
        kinds.map(|kind| (kind, with_vocabulary(kind), of(kind, false))).into()
    });

    proptest! {
        /// Whatever the text, a tokenizer with a vocabulary gives a number within the bounds.
        #[test]
        fn no_tokenizer_leaves_the_bounds(
            text in "([a-cT]{1,4}|[ \\t\\n'.,!]|there|\\[SEP\\]|<mask>|<\\|endoftext\\|>|\\PC|\u{301}|\u{b}){0,12}",
        ) {
            for (kind, processor, bounds) in KINDS.iter() {
                let count = processor.full_length(&text).unwrap();
                let (least, most) = bounds.of(&text).unwrap();
                prop_assert!(least <= count && count <= most, "{kind}: {least} {count} {most}");
            }
        }
    }
}
