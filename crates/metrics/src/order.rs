//! Numbers in order. Finite numbers become integers of the same order, which are sorted digit by
//! digit; equal ones keep their places, so no algorithm and no number of threads can change an order.

use rayon::prelude::*;

/// Below this many numbers a second thread costs more than it brings.
const WORTH_THREADS: usize = 1 << 14;

/// Below this many numbers a sort by comparison is faster.
const WORTH_DIGITS: usize = 1 << 10;

/// Positives that one task looks at. Part of the result: sums of fractions are added task by task.
const CHUNK: usize = 1 << 15;

/// Bits of a digit, and the digits of a key.
const DIGIT: u32 = 11;
const DIGITS: usize = 6;

/// An integer that orders as the finite `value` does; −0 equals 0.
fn key(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits(); // adding 0 turns −0 into 0
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// Sorts by `key`, stably: by its lowest digit, then by the next, … A digit that all share is left
/// out.
fn sort<T: Copy>(mut items: Vec<T>, key: impl Fn(&T) -> u64) -> Vec<T> {
    if items.len() < WORTH_DIGITS {
        items.sort_by_key(key);
        return items;
    }
    let digit =
        |item: &T, pass: usize| (key(item) >> (DIGIT * pass as u32)) as usize & ((1 << DIGIT) - 1);
    let mut counts = vec![[0_usize; 1 << DIGIT]; DIGITS];
    for item in &items {
        for (pass, counts) in counts.iter_mut().enumerate() {
            counts[digit(item, pass)] += 1;
        }
    }
    let mut other = items.clone();
    for (pass, counts) in counts.iter_mut().enumerate() {
        if counts.contains(&items.len()) {
            continue;
        }
        let mut before = 0;
        for count in counts.iter_mut() {
            before += std::mem::replace(count, before);
        }
        for item in &items {
            let next = &mut counts[digit(item, pass)];
            other[*next] = *item;
            *next += 1;
        }
        std::mem::swap(&mut items, &mut other);
    }
    items
}

/// A key and the place it came from.
type Placed = (u64, usize);

/// Keys of finite values with their places, ascending, ties by place.
fn placed(values: impl Iterator<Item = (usize, f64)>) -> Vec<Placed> {
    sort(values.map(|(place, value)| (key(value), place)).collect(), |placed| placed.0)
}

/// Indices of finite `values` by ascending value, ties in input order.
pub(crate) fn ascending(values: &[f64]) -> Vec<usize> {
    placed(values.iter().copied().enumerate()).into_iter().map(|(_, place)| place).collect()
}

/// The scores of two classes, each ascending.
pub(crate) struct Split {
    positives: Vec<u64>,
    negatives: Vec<u64>,
}

impl Split {
    /// Parts finite `scores` by class and sorts both.
    pub(crate) fn new(scores: &[f64], positive: &[bool]) -> Self {
        // Writing to both sides and keeping one needs no branch on a coin's toss.
        let (mut positives, mut negatives) = (vec![0; scores.len()], vec![0; scores.len()]);
        let (mut hits, mut rest) = (0, 0);
        for (&score, &positive) in scores.iter().zip(positive) {
            let key = key(score);
            positives[hits] = key;
            negatives[rest] = key;
            hits += usize::from(positive);
            rest += usize::from(!positive);
        }
        positives.truncate(hits);
        negatives.truncate(rest);
        let (positives, negatives) =
            both(scores.len(), || sort(positives, |key| *key), || sort(negatives, |key| *key));
        Self { positives, negatives }
    }

    /// Twice the number of pairs in which the positive scores higher, ties counting one.
    pub(crate) fn wins(&self) -> u128 {
        let of = |chunk: &[u64]| {
            let mut below = Counter::start(&self.negatives, chunk[0]);
            let mut not_above = Counter { reached: below.reached };
            let count = |&key: &u64| {
                (below.advance(&self.negatives, |other| other < key)
                    + not_above.advance(&self.negatives, |other| other <= key))
                    as u128
            };
            chunk.iter().map(count).sum::<u128>()
        };
        if self.positives.len() < WORTH_THREADS {
            return self.positives.chunks(CHUNK).map(of).sum();
        }
        self.positives.par_chunks(CHUNK).map(of).sum()
    }

    /// `Σ new hits · hits / seen` over distinct scores of positives from the highest down, divided
    /// by all hits; there is at least one.
    pub(crate) fn average_precision(&self) -> f64 {
        let parts: Vec<&[u64]> = self.positives.chunks(CHUNK).collect();
        let of = |(number, chunk): (usize, &&[u64])| self.precision_sum(number * CHUNK, chunk);
        let sums: Vec<f64> = if self.positives.len() < WORTH_THREADS {
            parts.iter().enumerate().map(of).collect()
        } else {
            parts.par_iter().enumerate().map(of).collect()
        };
        sums.iter().rev().sum::<f64>() / self.positives.len() as f64
    }

    /// The part of the sum whose distinct scores begin in `chunk`, which begins at `first`.
    fn precision_sum(&self, first: usize, chunk: &[u64]) -> f64 {
        let (hits_in_all, seen_of_others) = (self.positives.len(), self.negatives.len());
        let mut below = Counter::start(&self.negatives, chunk[0]);
        let mut sum = 0.0;
        let mut at = first;
        let end = first + chunk.len();
        if first > 0 {
            // Ties with the chunk before were counted there.
            at += chunk.partition_point(|key| *key == self.positives[first - 1]);
        }
        while at < end {
            let key = self.positives[at];
            let mut next = at + 1;
            while next < hits_in_all && self.positives[next] == key {
                next += 1;
            }
            let hits = hits_in_all - at; // this score's and all above
            let others = seen_of_others - below.advance(&self.negatives, |other| other < key);
            sum += real(next - at) * real(hits) / real(hits + others);
            at = next;
        }
        sum
    }
}

/// How far a sorted list has been passed by keys that only rise.
struct Counter {
    reached: usize,
}

impl Counter {
    fn start(sorted: &[u64], key: u64) -> Self {
        Self { reached: sorted.partition_point(|other| *other < key) }
    }

    /// How many entries pass; they are the first ones.
    fn advance(&mut self, sorted: &[u64], passes: impl Fn(u64) -> bool) -> usize {
        while self.reached < sorted.len() && passes(sorted[self.reached]) {
            self.reached += 1;
        }
        self.reached
    }
}

/// Does both, in two threads where there are items enough.
fn both<A: Send, B: Send>(
    items: usize,
    first: impl FnOnce() -> A + Send,
    second: impl FnOnce() -> B + Send,
) -> (A, B) {
    if items < WORTH_THREADS { (first(), second()) } else { rayon::join(first, second) }
}

/// For each score, `[items]`, the number of scores of the other class below it, ties counting half.
pub(crate) fn passed(scores: &[f64], positive: &[bool]) -> Vec<f64> {
    let of = |class: bool| {
        let items = scores.iter().copied().enumerate();
        placed(items.filter(|(item, _)| positive[*item] == class))
    };
    let (positives, negatives) = both(scores.len(), || of(true), || of(false));
    let mut passed = vec![0.0; scores.len()];
    for (own, other) in [(&positives, &negatives), (&negatives, &positives)] {
        let (mut below, mut not_above) = (0, 0);
        for &(key, item) in own {
            while below < other.len() && other[below].0 < key {
                below += 1;
            }
            not_above = not_above.max(below);
            while not_above < other.len() && other[not_above].0 <= key {
                not_above += 1;
            }
            passed[item] = 0.5 * (below + not_above) as f64;
        }
    }
    passed
}

/// Items from the lowest score up, tied ones together: sorted once, scored for any weights.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// Item · 4 + 2 if it is positive + 1 if the next item's score is higher.
    places: Vec<usize>,
}

impl Order {
    pub(crate) fn new(scores: &[f64], positive: &[bool]) -> Self {
        let placed = placed(scores.iter().copied().enumerate());
        let place = |at: usize| {
            let (key, item) = placed[at];
            let last = placed.get(at + 1).is_none_or(|next| next.0 > key);
            item << 2 | usize::from(positive[item]) << 1 | usize::from(last)
        };
        Self { places: (0..placed.len()).map(place).collect() }
    }

    /// Twice the weighted pairs that a positive wins, ties counting one, and the weights of both
    /// classes. Item i counts `weight(i)` times.
    pub(crate) fn wins(&self, weight: impl Fn(usize) -> u32) -> Wins {
        let (mut twice, mut positives, mut negatives) = (0_u128, 0_u64, 0_u64);
        let (mut new_positives, mut new_negatives) = (0_u64, 0_u64);
        for &place in &self.places {
            let count = u64::from(weight(place >> 2));
            let positive = (place >> 1 & 1) as u64;
            new_positives += count * positive;
            new_negatives += count * (1 - positive);
            if place & 1 == 1 {
                twice += u128::from(new_positives * (2 * negatives + new_negatives));
                positives += new_positives;
                negatives += new_negatives;
                (new_positives, new_negatives) = (0, 0);
            }
        }
        Wins { twice, positives, negatives }
    }

    /// Average precision with item i counted `weight(i)` times; `None` without a positive.
    pub(crate) fn average_precision(&self, weight: impl Fn(usize) -> u32) -> Option<f64> {
        let (mut hits, mut seen, mut new_hits, mut sum) = (0_u64, 0_u64, 0_u64, 0.0);
        for &place in self.places.iter().rev() {
            if place & 1 == 1 {
                (hits, sum, new_hits) = (hits + new_hits, sum + gain(new_hits, hits, seen), 0);
            }
            let count = u64::from(weight(place >> 2));
            seen += count;
            new_hits += count * (place >> 1 & 1) as u64;
        }
        sum += gain(new_hits, hits, seen);
        hits += new_hits;
        (hits > 0).then(|| sum / hits as f64)
    }
}

/// What a group of tied items adds to average precision: its hits times the precision with them.
fn gain(new_hits: u64, hits: u64, seen: u64) -> f64 {
    let [new_hits, hits, seen] = [new_hits, hits, seen].map(|count| real(count as usize));
    if new_hits > 0.0 { new_hits * (hits + new_hits) / seen } else { 0.0 }
}

/// A count as a number: from a signed one, which is one instruction where an unsigned one is five.
fn real(count: usize) -> f64 {
    count as isize as f64
}

/// Weighted pairs of a positive and a negative.
pub(crate) struct Wins {
    pub(crate) twice: u128,
    pub(crate) positives: u64,
    pub(crate) negatives: u64,
}
