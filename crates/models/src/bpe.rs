//! Byte-pair encoding (Gage, 1994; Sennrich et al., 2016) over the bytes of words, as GPT-2 writes
//! them, learned from counted words; the same on every machine.
//!
//! Every byte has a printable character and is a token, so no text has an unknown one. Then the
//! most frequent pair of neighbours becomes a token, again and again; among equals the pair whose
//! characters come first. Pairs that stand in one place only stay apart.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

/// Tokens and the merges that make them from bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bpe {
    /// The bytes, each also at the end of a word where words have an ending, then what merges make,
    /// each once. No special tokens.
    pub(crate) vocabulary: Vec<String>,
    /// In the order in which they are applied.
    pub(crate) merges: Vec<(String, String)>,
}

impl Bpe {
    /// Learns from words and their counts. Words are written with the printable characters of
    /// bytes, as [`count_words`] gives them; `ending` (`</w>`, or nothing) is joined to the last
    /// character of each. The vocabulary holds at most `tokens` entries, or the bytes alone.
    pub(crate) fn train(words: &BTreeMap<String, u64>, ending: &str, tokens: usize) -> Self {
        let mut training = Training::new(words, ending);
        let mut merges = Vec::new();
        while training.vocabulary.len() < tokens {
            let Some((pair, left, right)) = training.most_frequent() else { break };
            training.merge(pair, format!("{left}{right}"));
            merges.push((left, right));
        }
        Self { vocabulary: training.vocabulary, merges }
    }

    /// `merges.txt`: a merge a line.
    pub(crate) fn merges_text(&self) -> String {
        let lines = self.merges.iter().map(|(left, right)| format!("{left} {right}\n"));
        "#version: 0.2\n".to_owned() + &lines.collect::<String>()
    }
}

/// Counts the words that `steps`, which ends in a `ByteLevel`, cuts texts into.
pub(crate) fn count_words<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    steps: &impl PreTokenizer,
) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for text in texts {
        let mut words = PreTokenizedString::from(text);
        if steps.pre_tokenize(&mut words).is_err() {
            continue; // such steps have no errors of their own
        }
        for (word, ..) in words.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
            *counts.entry(word.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// Neighbours, by their places in the vocabulary.
type Pair = (usize, usize);

/// A pair with its count and its characters, by which the heap orders it.
type Candidate = (u64, Reverse<(String, String)>, Pair);

/// The state between two merges.
struct Training {
    vocabulary: Vec<String>,
    places: BTreeMap<String, usize>,
    /// Each word in the tokens of now, and how often it stands in the texts.
    words: Vec<(Vec<usize>, u64)>,
    counts: BTreeMap<Pair, u64>,
    /// Words that hold a pair, or did.
    holders: BTreeMap<Pair, BTreeSet<usize>>,
    /// Counts may be of the past.
    queue: BinaryHeap<Candidate>,
}

impl Training {
    fn new(words: &BTreeMap<String, u64>, ending: &str) -> Self {
        #[allow(clippy::iter_over_hash_type, reason = "collected into a set that is in order")]
        let bytes: BTreeSet<char> = ByteLevel::alphabet().into_iter().collect();
        let mut vocabulary: Vec<String> = bytes.iter().map(char::to_string).collect();
        if !ending.is_empty() {
            vocabulary.extend(bytes.iter().map(|byte| format!("{byte}{ending}")));
        }
        let places: BTreeMap<String, usize> =
            vocabulary.iter().cloned().enumerate().map(|(place, token)| (token, place)).collect();
        let cut = |word: &str| -> Option<Vec<usize>> {
            let mut characters: Vec<String> = word.chars().map(String::from).collect();
            characters.last_mut()?.push_str(ending);
            characters.iter().map(|character| places.get(character).copied()).collect()
        };
        let words = words.iter().filter_map(|(word, &count)| Some((cut(word)?, count))).collect();
        let mut training = Self {
            vocabulary,
            places,
            words,
            counts: BTreeMap::new(),
            holders: BTreeMap::new(),
            queue: BinaryHeap::new(),
        };
        for word in 0..training.words.len() {
            training.add_pairs_of(word);
        }
        let pairs: Vec<Pair> = training.counts.keys().copied().collect();
        for pair in pairs {
            training.enqueue(pair);
        }
        training
    }

    /// The pair that stands in the most places, two or more, and its tokens.
    fn most_frequent(&mut self) -> Option<(Pair, String, String)> {
        while let Some((count, Reverse((left, right)), pair)) = self.queue.pop() {
            // A pair whose count has changed has another entry, with the count of now.
            if count == self.counts.get(&pair).copied().unwrap_or(0) && count > 1 {
                return Some((pair, left, right));
            }
        }
        None
    }

    /// Puts `token` in the place of a pair, everywhere.
    fn merge(&mut self, pair: Pair, token: String) {
        let place = *self.places.entry(token).or_insert_with_key(|token| {
            self.vocabulary.push(token.clone());
            self.vocabulary.len() - 1
        });
        let mut changed = BTreeSet::new();
        for word in self.holders.remove(&pair).unwrap_or_default() {
            changed.extend(self.remove_pairs_of(word));
            if let Some((tokens, _)) = self.words.get_mut(word) {
                *tokens = merged(tokens, pair, place);
            }
            changed.extend(self.add_pairs_of(word));
        }
        self.counts.remove(&pair);
        changed.remove(&pair);
        for pair in changed {
            self.enqueue(pair);
        }
    }

    fn pairs_of(&self, word: usize) -> (Vec<Pair>, u64) {
        self.words.get(word).map_or_else(Default::default, |(tokens, count)| {
            (tokens.iter().copied().zip(tokens.iter().copied().skip(1)).collect(), *count)
        })
    }

    fn add_pairs_of(&mut self, word: usize) -> Vec<Pair> {
        let (pairs, count) = self.pairs_of(word);
        for &pair in &pairs {
            *self.counts.entry(pair).or_default() += count;
            self.holders.entry(pair).or_default().insert(word);
        }
        pairs
    }

    fn remove_pairs_of(&mut self, word: usize) -> Vec<Pair> {
        let (pairs, count) = self.pairs_of(word);
        for pair in &pairs {
            if let Some(total) = self.counts.get_mut(pair) {
                *total -= count;
            }
        }
        pairs
    }

    fn enqueue(&mut self, pair: Pair) {
        let count = self.counts.get(&pair).copied().unwrap_or(0);
        let text = |place: usize| self.vocabulary.get(place).cloned().unwrap_or_default();
        if count > 1 {
            self.queue.push((count, Reverse((text(pair.0), text(pair.1))), pair));
        }
    }
}

/// `tokens` with `place` for each `pair`, from the left.
fn merged(tokens: &[usize], pair: Pair, place: usize) -> Vec<usize> {
    let mut result = Vec::with_capacity(tokens.len());
    let mut rest = tokens;
    while let [first, others @ ..] = rest {
        let is_pair = *first == pair.0 && others.first() == Some(&pair.1);
        result.push(if is_pair { place } else { *first });
        rest = if is_pair { &others[1..] } else { others };
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(words: &[(&str, u64)]) -> BTreeMap<String, u64> {
        words.iter().map(|&(word, count)| (word.to_owned(), count)).collect()
    }

    fn shown(bpe: &Bpe) -> Vec<String> {
        bpe.merges.iter().map(|(left, right)| format!("{left} {right}")).collect()
    }

    /// The worked example of Sennrich et al. (2016), section 3.2, by hand with the rule for ties.
    #[test]
    fn the_most_frequent_pair_is_merged_first() {
        let words = counts(&[("low", 5), ("lower", 2), ("newest", 6), ("widest", 3)]);
        let bpe = Bpe::train(&words, "</w>", 512 + 6);
        let expected = ["e s", "es t</w>", "l o", "e w", "ew est</w>", "n ewest</w>"];
        assert_eq!(shown(&bpe), expected);
        assert_eq!(bpe.vocabulary.len(), 512 + 6);
        assert_eq!((&bpe.vocabulary[0], &bpe.vocabulary[256]), (&"!".into(), &"!</w>".into()));
        assert_eq!(bpe.vocabulary.last().unwrap(), "newest</w>");
        assert!(bpe.merges_text().starts_with("#version: 0.2\ne s\nes t</w>\n"));
    }

    #[test]
    fn words_that_stand_twice_become_one_token_and_others_do_not() {
        let words = counts(&[("Ġred", 2), ("blue", 2), ("aaaa", 2), ("xyz", 1)]);
        let bpe = Bpe::train(&words, "", 4096);
        for word in ["Ġred", "blue", "aaaa"] {
            assert!(bpe.vocabulary.contains(&word.to_owned()), "{word}");
        }
        assert!(!bpe.vocabulary.contains(&"xy".to_owned()));
        let mut sorted = bpe.vocabulary.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), bpe.vocabulary.len());
    }

    #[test]
    fn a_vocabulary_is_bounded_and_holds_every_byte() {
        assert_eq!(Bpe::train(&BTreeMap::new(), "", 0).vocabulary.len(), 256);
        let many: BTreeMap<String, u64> =
            (0..900).map(|number| (format!("w{number}"), 2)).collect();
        assert_eq!(Bpe::train(&many, "", 400).vocabulary.len(), 400);
    }

    #[test]
    fn words_of_texts_are_counted_in_printable_bytes() {
        let steps = ByteLevel::new(false, true, true);
        let found = count_words(["a red é", "a"], &steps);
        assert_eq!(found, counts(&[("a", 2), ("Ġred", 1), ("ĠÃ©", 1)]));
    }
}
