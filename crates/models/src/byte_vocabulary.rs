//! The byte-level vocabulary of RoBERTa, learned from texts alone, the same on every machine.

use serde_json::{Map, Value, json};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use crate::bpe::{Bpe, count_words};

/// Special tokens before all others, whose places are their ids.
const FIRST: [&str; 4] = ["<s>", "<pad>", "</s>", "<unk>"];

/// The special token behind all others.
const MASK: &str = "<mask>";

/// Ids that a configuration names.
pub(crate) const START: usize = 0;
pub(crate) const PAD: usize = 1;
pub(crate) const END: usize = 2;

/// Most entries of a vocabulary.
const MOST: usize = 4096;

/// Tokens in the order of their ids, and the merges that make them.
pub(crate) struct ByteVocabulary {
    tokens: Vec<String>,
    bpe: Bpe,
}

impl ByteVocabulary {
    /// Learns from the words of `texts`, capitals, accents and the space before a word included.
    pub(crate) fn of(texts: &[&str]) -> Self {
        let words = count_words(texts.iter().copied(), &ByteLevel::new(false, true, true));
        let bpe = Bpe::train(&words, "", MOST - FIRST.len() - 1);
        let mut tokens: Vec<String> = FIRST.map(str::to_owned).to_vec();
        tokens.extend(bpe.vocabulary.iter().cloned());
        tokens.push(MASK.to_owned());
        Self { tokens, bpe }
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// `vocab.json`.
    pub(crate) fn ids(&self) -> Value {
        let ids = self.tokens.iter().enumerate().map(|(id, token)| (token.clone(), json!(id)));
        Value::Object(ids.collect::<Map<_, _>>())
    }

    /// `merges.txt`.
    pub(crate) fn merges_text(&self) -> String {
        self.bpe.merges_text()
    }

    /// `tokenizer.json`.
    pub(crate) fn tokenizer(&self) -> Value {
        let last = self.len() - 1;
        let specials = FIRST.iter().enumerate().chain([(last, &MASK)]);
        let specials: Vec<Value> = specials
            .map(|(id, content)| {
                json!({
                    "id": id, "content": content, "single_word": false, "lstrip": false,
                    "rstrip": false, "normalized": false, "special": true,
                })
            })
            .collect();
        json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": specials,
            "normalizer": null,
            "pre_tokenizer": {
                "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
                "use_regex": true,
            },
            "post_processor": {
                "type": "RobertaProcessing", "sep": [FIRST[END], END], "cls": [FIRST[START], START],
                "trim_offsets": true, "add_prefix_space": false,
            },
            "decoder": {
                "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true,
                "use_regex": true,
            },
            "model": {
                "type": "BPE", "dropout": null, "unk_token": null,
                "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false,
                "byte_fallback": false, "ignore_merges": false, "vocab": self.ids(),
                "merges": self.bpe.merges,
            },
        })
    }
}

/// `tokenizer_config.json`.
pub(crate) fn tokenizer_config(longest: usize) -> Value {
    json!({
        "tokenizer_class": "RobertaTokenizer",
        "add_prefix_space": false,
        "trim_offsets": true,
        "errors": "replace",
        "model_max_length": longest,
        "bos_token": FIRST[START],
        "cls_token": FIRST[START],
        "pad_token": FIRST[PAD],
        "eos_token": FIRST[END],
        "sep_token": FIRST[END],
        "unk_token": FIRST[3],
        "mask_token": MASK,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_into_known_words_and_bytes_and_comes_back() {
        let vocabulary = ByteVocabulary::of(&["a red car", "the red Café", "a red car"]);
        let definition = serde_json::to_vec(&vocabulary.tokenizer()).unwrap();
        let tokenizer = tokenizers::Tokenizer::from_bytes(definition).unwrap();
        let encoding = tokenizer.encode("a red car é", true).unwrap();
        assert_eq!(encoding.get_tokens(), ["<s>", "a", "Ġred", "Ġcar", "Ġ", "Ã", "©", "</s>"]);
        assert_eq!(tokenizer.decode(encoding.get_ids(), true).unwrap(), "a red car é");
        assert_eq!(tokenizer.get_vocab_size(true), vocabulary.len());
        assert_eq!(tokenizer.token_to_id("<mask>"), Some(vocabulary.len() as u32 - 1));
    }

    #[test]
    fn a_vocabulary_is_bounded() {
        let many: Vec<String> = (0..9000).map(|number| format!("w{number} w{number}")).collect();
        let texts: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(ByteVocabulary::of(&texts).len(), MOST);
    }
}
