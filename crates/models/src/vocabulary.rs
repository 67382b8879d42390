//! A vocabulary of word pieces counted from texts alone, the same on every machine.
//!
//! The trainers of tokenizer libraries break ties by the order of a hash map, so that two runs
//! give two vocabularies. Here: special tokens, then every character, then every character as it
//! stands inside a word, then whole words, each by count and then by bytes.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokenizers::normalizers::BertNormalizer;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::{NormalizedString, Normalizer, OffsetReferential, OffsetType};
use tokenizers::{PreTokenizedString, PreTokenizer};

/// Special tokens, whose places are their ids.
pub(crate) const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// Most entries of a vocabulary; characters take at most half of them, in their two forms.
const MOST: usize = 4096;

/// The word pieces of some texts, in the order of their ids.
pub(crate) struct Vocabulary {
    pieces: Vec<String>,
    accents: bool,
}

impl Vocabulary {
    /// Counts the words of `texts`, in lower case, with or without their accents.
    pub(crate) fn of(texts: &[&str], accents: bool) -> Self {
        let mut words: BTreeMap<String, usize> = BTreeMap::new();
        for text in texts {
            for word in split(text, accents) {
                *words.entry(word).or_default() += 1;
            }
        }
        let mut starts: BTreeMap<char, usize> = BTreeMap::new();
        for (word, count) in &words {
            for letter in word.chars() {
                *starts.entry(letter).or_default() += count;
            }
        }
        let characters = by_count(starts);
        let room = (MOST - SPECIAL.len()) / 4;
        let characters = &characters[..characters.len().min(room)];
        let mut pieces: Vec<String> = SPECIAL.map(str::to_owned).to_vec();
        pieces.extend(characters.iter().map(char::to_string));
        pieces.extend(characters.iter().map(|letter| format!("##{letter}")));
        let longer = words.into_iter().filter(|(word, _)| word.chars().nth(1).is_some());
        pieces.extend(by_count(longer.collect()));
        pieces.truncate(MOST);
        Self { pieces, accents }
    }

    pub(crate) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// `vocab.txt`: a piece a line.
    pub(crate) fn text(&self) -> String {
        self.pieces.join("\n") + "\n"
    }

    /// `tokenizer.json`.
    pub(crate) fn tokenizer(&self) -> Value {
        let ids: serde_json::Map<String, Value> =
            self.pieces.iter().enumerate().map(|(id, piece)| (piece.clone(), json!(id))).collect();
        let special: Vec<Value> = SPECIAL
            .iter()
            .enumerate()
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
            "added_tokens": special,
            "normalizer": {
                "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": !self.accents, "lowercase": true,
            },
            "pre_tokenizer": { "type": "BertPreTokenizer" },
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [
                    { "SpecialToken": { "id": "[CLS]", "type_id": 0 } },
                    { "Sequence": { "id": "A", "type_id": 0 } },
                    { "SpecialToken": { "id": "[SEP]", "type_id": 0 } },
                ],
                "pair": [
                    { "SpecialToken": { "id": "[CLS]", "type_id": 0 } },
                    { "Sequence": { "id": "A", "type_id": 0 } },
                    { "SpecialToken": { "id": "[SEP]", "type_id": 0 } },
                    { "Sequence": { "id": "B", "type_id": 1 } },
                    { "SpecialToken": { "id": "[SEP]", "type_id": 1 } },
                ],
                "special_tokens": {
                    "[CLS]": { "id": "[CLS]", "ids": [2], "tokens": ["[CLS]"] },
                    "[SEP]": { "id": "[SEP]", "ids": [3], "tokens": ["[SEP]"] },
                },
            },
            "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
            "model": {
                "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": ids,
            },
        })
    }

    /// `tokenizer_config.json`.
    pub(crate) fn tokenizer_config(&self, longest: usize) -> Value {
        json!({
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": true,
            "strip_accents": !self.accents,
            "tokenize_chinese_chars": true,
            "model_max_length": longest,
            "pad_token": SPECIAL[0],
            "unk_token": SPECIAL[1],
            "cls_token": SPECIAL[2],
            "sep_token": SPECIAL[3],
            "mask_token": SPECIAL[4],
        })
    }
}

/// The words of a text as the tokenizer will see them.
fn split(text: &str, accents: bool) -> Vec<String> {
    let mut normal = NormalizedString::from(text);
    let normalizer = BertNormalizer::new(true, true, Some(!accents), true);
    if normalizer.normalize(&mut normal).is_err() {
        return Vec::new(); // it has no errors of its own
    }
    let mut words = PreTokenizedString::from(normal.get());
    if BertPreTokenizer.pre_tokenize(&mut words).is_err() {
        return Vec::new();
    }
    words
        .get_splits(OffsetReferential::Normalized, OffsetType::Byte)
        .into_iter()
        .map(|(word, ..)| word.to_owned())
        .collect()
}

/// Keys by falling count, then in their own order.
fn by_count<K: Ord>(counts: BTreeMap<K, usize>) -> Vec<K> {
    let mut entries: Vec<(K, usize)> = counts.into_iter().collect();
    entries.sort_by_key(|(_, count)| Reverse(*count)); // stable: ties stay in order
    entries.into_iter().map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_by_count_and_then_by_bytes() {
        let vocabulary = Vocabulary::of(&["Bé ab", "ab, AB ba"], false);
        assert_eq!(
            vocabulary.pieces,
            [
                "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "b", "a", ",", "e", "##b", "##a",
                "##,", "##e", "ab", "ba", "be"
            ]
        );
        let accents = Vocabulary::of(&["Bé"], true);
        assert!(accents.pieces.contains(&"bé".to_owned()), "{:?}", accents.pieces);
    }

    #[test]
    fn a_vocabulary_is_bounded() {
        let many: Vec<String> = (0..9000).map(|number| format!("w{number}")).collect();
        let texts: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(Vocabulary::of(&texts, false).len(), MOST);
        let signs: String = (0x3041..0x9000).filter_map(char::from_u32).collect();
        assert!(Vocabulary::of(&[&signs], false).len() <= MOST);
        assert_eq!(Vocabulary::of(&[], false).len(), SPECIAL.len());
    }
}
