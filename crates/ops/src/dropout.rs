//! Dropout (Srivastava et al., 2014): each element is kept with probability `1 − p` and then
//! scaled by `1/(1 − p)`, else 0.
//!
//! Whether an element is kept is a pure function of (seed, step, layer, row of the step, position,
//! channel): one word of the counter-based generator each. So padding, the cut into shards,
//! threads and a second forward change no mask.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use mmc_random::{Purpose, generator, name_index};
use rand::Rng;

use crate::error::{OpsError, Result};
use crate::real::{Real, are_native, contiguous, elements, read, tensor_of, with_type};

/// One application of dropout.
#[derive(Clone, Debug, PartialEq)]
pub struct Dropout {
    /// The probability of an element to be set to 0, in `0..1`.
    pub probability: f64,
    /// The run's seed.
    pub seed: u64,
    /// The optimiser step.
    pub step: u64,
    /// The layer, by [`Dropout::layer`] of its name.
    pub layer: u64,
    /// Where the first row of the tensor stands among the rows of the step.
    pub first_row: u64,
    /// A number below 2²⁴ for each position of the tensor that does not depend on padding, such
    /// as a token's place in its text.
    pub positions: Arc<[u32]>,
}

/// Channels of a position, and queries of a head, for which words are set aside.
const SPAN: u128 = 1 << 24;

impl Dropout {
    /// The number of the layer of this name.
    #[must_use]
    pub fn layer(name: &str) -> u64 {
        name_index(name)
    }

    /// Which elements of `[rows, positions, channels]` are kept.
    fn keep_states(&self, rows: usize, channels: usize) -> Vec<bool> {
        let mut keep = Vec::with_capacity(rows * self.positions.len() * channels);
        let mut words = self.words();
        for row in 0..rows {
            words.row(self.first_row + row as u64);
            for &position in &*self.positions {
                words.draw(u128::from(position) * SPAN, channels, &mut keep);
            }
        }
        keep
    }

    /// Which elements of `[rows, heads, queries, positions]` are kept; the queries are the first
    /// positions.
    fn keep_attention(&self, rows: usize, heads: usize, queries: usize) -> Vec<bool> {
        let mut keep = Vec::with_capacity(rows * heads * queries * self.positions.len());
        let mut words = self.words();
        for row in 0..rows {
            words.row(self.first_row + row as u64);
            for head in 0..heads {
                for &query in self.positions.iter().take(queries) {
                    let start = (head as u128 * SPAN + u128::from(query)) * SPAN;
                    for run in self.positions.chunk_by(|a, b| a + 1 == *b) {
                        words.draw(start + u128::from(run[0]), run.len(), &mut keep);
                    }
                }
            }
        }
        keep
    }

    fn words(&self) -> Words {
        let threshold = (self.probability * 4_294_967_296.0).round() as u64;
        let random = generator(self.seed, Purpose::Dropout, self.step, self.layer);
        Words { random, threshold }
    }

    fn check(&self, operation: &'static str, x: &Tensor, wanted: &[usize]) -> Result<()> {
        if !(0.0..1.0).contains(&self.probability) {
            return Err(OpsError::Setting {
                setting: "dropout",
                value: self.probability.to_string(),
                expected: "0 or more and less than 1".to_owned(),
            });
        }
        if x.dims() != wanted {
            let (found, expected) = (x.dims().to_vec(), format!("{wanted:?}"));
            return Err(OpsError::Shape { operation, argument: "x", found, expected });
        }
        Ok(())
    }

    fn apply(&self, x: &Tensor, keep: Vec<bool>) -> Result<Tensor> {
        let scale = 1.0 / (1.0 - self.probability);
        if are_native(&[x]) {
            return Ok(contiguous(x)?.apply_op1(Keep { keep, scale })?);
        }
        let factors: Vec<f32> =
            keep.iter().map(|&keep| if keep { scale as f32 } else { 0.0 }).collect();
        let factors = Tensor::from_vec(factors, x.shape(), x.device())?.to_dtype(x.dtype())?;
        Ok((x * factors)?)
    }
}

/// Words of one layer's generator: the row is the stream, the place in it is the word.
struct Words {
    random: mmc_random::ChaCha8Rng,
    threshold: u64,
}

impl Words {
    fn row(&mut self, row: u64) {
        self.random.set_stream(row);
    }

    fn draw(&mut self, start: u128, count: usize, keep: &mut Vec<bool>) {
        self.random.set_word_pos(start);
        keep.extend((0..count).map(|_| u64::from(self.random.next_u32()) >= self.threshold));
    }
}

/// Dropout on `x` `[rows, positions, channels]`, or `[rows, channels]` with one position.
///
/// # Errors
/// A probability outside `0..1`, a shape that does not fit the positions.
pub fn dropout(x: &Tensor, settings: &Dropout) -> Result<Tensor> {
    let (rows, channels) = match *x.dims() {
        [rows, channels] if settings.positions.len() == 1 => (rows, channels),
        [rows, _, channels] => (rows, channels),
        _ => (0, 0),
    };
    let whole = [rows, settings.positions.len(), channels];
    let flat = [rows, channels];
    settings.check("dropout", x, if x.rank() == 2 { &flat } else { &whole })?;
    settings.apply(x, settings.keep_states(rows, channels))
}

/// Dropout on attention probabilities `[rows, heads, queries, positions]`, whose queries are the
/// first of the positions.
pub(crate) fn dropout_attention(x: &Tensor, settings: &Dropout) -> Result<Tensor> {
    let (rows, heads, queries, _) = x.dims4()?;
    let positions = settings.positions.len();
    let queries = queries.min(positions);
    settings.check("dropout of attention", x, &[rows, heads, queries, positions])?;
    settings.apply(x, settings.keep_attention(rows, heads, queries))
}

struct Keep {
    keep: Vec<bool>,
    scale: f64,
}

impl Keep {
    fn scaled<T: Real>(&self, x: &[T]) -> Vec<T> {
        let scale = T::of_f64(self.scale);
        let one = |(&x, &keep): (&T, &bool)| if keep { x * scale } else { T::default() };
        x.iter().zip(&self.keep).map(one).collect()
    }
}

impl CustomOp1 for Keep {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let output = with_type!(x, T => T::storage(self.scaled::<T>(elements(x, layout)?)));
        Ok((output, layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let storage = read([gradient], |[(gradient, layout)]| {
            Ok(with_type!(gradient, T => T::storage(
                self.scaled::<T>(elements(gradient, layout)?)
            )))
        })?;
        tensor_of(storage, x.shape()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    fn settings(positions: &[u32]) -> Dropout {
        Dropout {
            probability: 0.25,
            seed: 1,
            step: 2,
            layer: Dropout::layer("embeddings"),
            first_row: 0,
            positions: positions.into(),
        }
    }

    fn ones(shape: &[usize]) -> Tensor {
        Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap()
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn a_quarter_is_dropped_and_the_rest_scaled() {
        let positions: Vec<u32> = (0..50).collect();
        let output = values(&dropout(&ones(&[10, 50, 40]), &settings(&positions)).unwrap());
        let kept = output.iter().filter(|&&value| value > 0.0).count() as f64 / 20_000.0;
        // Five standard errors.
        assert!((kept - 0.75).abs() < 5.0 * (0.75_f64 * 0.25 / 20_000.0).sqrt(), "{kept}");
        assert!(output.iter().all(|&value| value == 0.0 || (value - 4.0 / 3.0).abs() < 1e-6));
    }

    #[test]
    fn padding_and_shards_change_no_mask() {
        let long = dropout(&ones(&[4, 7, 5]), &settings(&[0, 1, 2, 3, 4, 5, 6])).unwrap();
        let short = dropout(&ones(&[4, 3, 5]), &settings(&[0, 1, 2])).unwrap();
        assert_eq!(values(&long.narrow(1, 0, 3).unwrap()), values(&short));
        let second = Dropout { first_row: 2, ..settings(&[0, 1, 2]) };
        let second = dropout(&ones(&[2, 3, 5]), &second).unwrap();
        assert_eq!(values(&short.narrow(0, 2, 2).unwrap()), values(&second));
    }

    #[test]
    fn attention_masks_do_not_depend_on_the_padded_length() {
        // Text of up to 3 tokens, then a picture whose positions begin at 100.
        let long = settings(&[0, 1, 2, 100, 101, 102, 164, 165]);
        let short = settings(&[0, 1, 100, 101, 164]);
        let long = dropout_attention(&ones(&[2, 3, 8, 8]), &long).unwrap();
        let short = dropout_attention(&ones(&[2, 3, 5, 5]), &short).unwrap();
        let shared = Tensor::new(&[0_u32, 1, 3, 4, 6], &Device::Cpu).unwrap();
        let shared = long.index_select(&shared, 2).unwrap().index_select(&shared, 3).unwrap();
        assert_eq!(values(&shared), values(&short));
        let first = dropout_attention(&ones(&[2, 3, 1, 5]), &settings(&[0, 1, 100, 101, 164]));
        let same = Tensor::from_vec(values(&short), (2, 3, 5, 5), &Device::Cpu).unwrap();
        assert_eq!(values(&first.unwrap()), values(&same.narrow(2, 0, 1).unwrap()));
    }

    #[test]
    fn each_part_of_the_key_changes_the_mask() {
        let positions: Vec<u32> = (0..20).collect();
        let base = settings(&positions);
        let mask = |settings: &Dropout| values(&dropout(&ones(&[2, 20, 8]), settings).unwrap());
        for other in [
            Dropout { seed: 9, ..base.clone() },
            Dropout { step: 9, ..base.clone() },
            Dropout { layer: 9, ..base.clone() },
            Dropout { first_row: 9, ..base.clone() },
        ] {
            assert_ne!(mask(&other), mask(&base));
        }
        let output = mask(&base);
        assert_ne!(output[..160], output[160..], "rows differ");
        assert_ne!(output[..8], output[8..16], "positions differ");
    }

    #[test]
    fn probabilities_and_shapes_are_checked() {
        let all = Dropout { probability: 1.0, ..settings(&[0]) };
        assert!(dropout(&ones(&[2, 3]), &all).is_err());
        assert!(dropout(&ones(&[2, 3, 4]), &settings(&[0])).is_err());
        assert!(dropout(&ones(&[2]), &settings(&[0])).is_err());
    }
}
