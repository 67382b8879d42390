//! What training takes of memory on the CPU, from a description of what is held.
//!
//! ```text
//! held throughout:  the program, weights, their gradients, two moments of those that train,
//!                   prepared batches, the buffers of layers (a pool that keeps what it was given)
//! and the more of:  what else a step holds (states between operations, their gradients)
//!                   what saving holds (the largest pair of moments as it is written)
//! ```
//!
//! A step computes one shard at a time, so the rows of a shard count and not those of a batch.

use mmc_models::{Classifier, EncoderStates};
use mmc_preprocess::LoaderOptions;

/// What a step is made of, as far as memory depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Tokens of every text: the most that there may be.
    pub text_tokens: usize,
    /// Height and width of every picture as the model reads it.
    pub picture: Option<(usize, usize)>,
    /// Rows of a forward pass.
    pub shard_rows: usize,
    /// Layers of each encoder that are computed again in the backward pass.
    pub recomputed_layers: usize,
    /// Whether operands of products are rounded to 16 bits, in buffers of their own.
    pub rounds_operands: bool,
    /// Threads that prepare batches; each holds two shards, or all hold
    /// [`LoaderOptions::ahead_bytes`].
    pub workers: usize,
}

/// Bytes by what they are for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// The program, its threads and the tokenizer.
    pub program: u64,
    /// All parameters, f32.
    pub weights: u64,
    /// One sum for each number that trains.
    pub gradients: u64,
    /// Two moments for each.
    pub moments: u64,
    /// Batches that are prepared ahead.
    pub batches: u64,
    /// The buffers of layers: what they keep for the backward pass and what they work in.
    pub layers: u64,
    /// States between operations and their gradients, in a step alone.
    pub states: u64,
    /// What is written at once, where a state is saved.
    pub saving: u64,
}

const NUMBER: u64 = size_of::<f32>() as u64;

/// The program with its threads and libraries, in bytes.
const PROGRAM: u64 = 18 << 20;

/// What the tokenizer takes for each entry of its vocabulary, in bytes.
const VOCABULARY_ENTRY: u64 = 700;

/// What the pool of buffers holds beside what was ever lent at once, as a share of it: shapes differ
/// between halves of a layer, so not every buffer fits the next.
const POOL_SLACK: f64 = 0.2;

impl Memory {
    /// What training `model` takes.
    #[must_use]
    pub fn of(model: &dyn Classifier, work: &Workload) -> Self {
        let parameters = model.parameters();
        let numbers = |one: &mmc_models::Parameter| one.var.elem_count() as u64;
        let active = || parameters.iter().filter(|parameter| parameter.active);
        let trained: u64 = active().map(numbers).sum();
        let vocabulary = parameters.iter().filter_map(|one| one.var.dims2().ok());
        let vocabulary = vocabulary.map(|(rows, _)| rows as u64).max().unwrap_or(0);
        let rows = work.shard_rows as u64;
        let states = model.states(work.text_tokens, work.picture);
        let (mut kept, mut between, mut working, mut passing) = (0, states.outside as u64, 0, 0);
        for encoder in &states.encoders {
            let layers = Layers::of(encoder, work);
            kept += rows * layers.kept;
            between += layers.between;
            working = working.max(rows * layers.working + layers.scratch);
            passing = passing.max(layers.passing);
        }
        let lent = (NUMBER * (kept + working)) as f64;
        // Ids and masks are small beside pixels.
        let batch = rows * NUMBER * (states.pixels as u64 + 4 * work.text_tokens as u64);
        let (workers, least) = (work.workers as u64, LoaderOptions::default().ahead_bytes as u64);
        let ahead = if workers == 0 { 0 } else { (2 * workers * batch).max(least) };
        Self {
            program: PROGRAM + VOCABULARY_ENTRY * vocabulary,
            weights: NUMBER * parameters.iter().map(numbers).sum::<u64>(),
            gradients: NUMBER * trained,
            moments: 2 * NUMBER * trained,
            batches: batch + ahead,
            layers: (lent * (1.0 + POOL_SLACK)) as u64,
            states: rows * NUMBER * (between + passing),
            saving: 2 * NUMBER * active().map(numbers).max().unwrap_or(0),
        }
    }

    /// The most that there is at once.
    #[must_use]
    pub fn peak_bytes(&self) -> u64 {
        let Self { program, weights, gradients, moments, batches, layers, states, saving } = self;
        program + weights + gradients + moments + batches + layers + states.max(saving)
    }
}

/// Numbers that the layers of an encoder hold, for one row unless said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Layers {
    /// In buffers from the forward to the backward pass.
    kept: u64,
    /// In tensors between layers.
    between: u64,
    /// In buffers, while one layer's backward pass is computed.
    working: u64,
    /// In tensors, meanwhile.
    passing: u64,
    /// In buffers, for all rows together: as large as the largest weight.
    scratch: u64,
}

impl Layers {
    fn of(encoder: &EncoderStates, work: &Workload) -> Self {
        let count = |number: usize| number as u64;
        let (hidden, inner) = (count(encoder.hidden), count(encoder.inner));
        let (tokens, last) = (count(encoder.tokens), count(encoder.last_tokens));
        // Key and value of every token; of those that are computed the query, what it read, the sum
        // of each half that is normalised behind it, and the inner states.
        let sums = if encoder.norms_after { 2 } else { 1 };
        let layer = |computed: u64| 2 * hidden * tokens + computed * ((2 + sums) * hidden + inner);
        let layers = encoder.layers;
        let recomputed = work.recomputed_layers.min(layers);
        let plain = count(layers - recomputed);
        // The last layer may compute fewer tokens; it is the last to be computed again.
        let kept = if plain == 0 { 0 } else { (plain - 1) * layer(tokens) + layer(last) };
        let full = if layers > 1 { tokens } else { last };
        let rounded = if work.rounds_operands { inner + hidden } else { 0 };
        let (mut working, mut passing) = (full * (4 * hidden + inner + rounded), 2 * hidden * full);
        if recomputed > 0 {
            working += layer(full);
            // The input and its copy, the state and its product with its gradient, and theirs.
            passing += 5 * hidden * full;
        }
        let scratch = hidden * inner * if work.rounds_operands { 2 } else { 1 };
        let between = hidden * (count(layers.saturating_sub(1)) * tokens + last);
        Self { kept, between, working, passing, scratch }
    }
}

#[cfg(test)]
mod tests {
    use mmc_models::{CATALOG, OutlineRequest, Trained, outline};

    use super::*;

    const PLAIN: Workload = Workload {
        text_tokens: 40,
        picture: None,
        shard_rows: 8,
        recomputed_layers: 0,
        rounds_operands: false,
        workers: 2,
    };

    /// Counted by hand: a layer keeps key and value of 3 tokens, and of each computed one query, what
    /// it read, two sums and 8 inner numbers.
    #[test]
    fn a_layer_keeps_what_its_backward_reads() {
        let encoder = EncoderStates {
            layers: 2,
            tokens: 3,
            last_tokens: 1,
            hidden: 4,
            inner: 8,
            heads: 2,
            norms_after: true,
        };
        let layers = Layers::of(&encoder, &PLAIN);
        let (full, last) = (24 + 3 * 24, 24 + 24);
        let expected = Layers {
            kept: full + last,
            between: 4 * (3 + 1),
            working: 3 * (4 * 4 + 8),
            passing: 2 * 3 * 4,
            scratch: 32,
        };
        assert_eq!(layers, expected);
        let again = Layers::of(&encoder, &Workload { recomputed_layers: 1, ..PLAIN });
        assert_eq!((again.kept, again.working), (last, expected.working + full));
        let again = Layers::of(&encoder, &Workload { recomputed_layers: 9, ..PLAIN });
        assert_eq!((again.kept, again.between), (0, expected.between));
    }

    #[test]
    fn memory_grows_with_what_it_depends_on() {
        for preset in CATALOG.iter().filter(|row| !row.tiny) {
            let (folder, arm, head, trained) = (None, None, None, Trained::Everything);
            let request = OutlineRequest { preset, folder, arm, head, classes: 2, trained };
            let model = outline(&request).unwrap();
            let plain = Workload { picture: model.picture(1.0), ..PLAIN };
            let peak = |work: Workload| Memory::of(model.as_ref(), &work).peak_bytes();
            let numbers = |one: &mmc_models::Parameter| one.var.elem_count() as u64;
            let weights: u64 = model.parameters().iter().map(numbers).sum();
            assert!(peak(plain) > 3 * NUMBER * weights, "{}", preset.name);
            let (rows, tokens) = (16, 39);
            assert!(peak(Workload { shard_rows: rows, ..plain }) > peak(plain));
            assert!(peak(Workload { text_tokens: tokens, ..plain }) < peak(plain));
            assert!(peak(Workload { rounds_operands: true, ..plain }) > peak(plain));
            assert!(
                peak(Workload { recomputed_layers: usize::MAX, shard_rows: rows, ..plain })
                    < peak(Workload { shard_rows: rows, ..plain })
            );
        }
    }
}
