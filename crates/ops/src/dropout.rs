//! Dropout (Srivastava et al., 2014): each element is kept with probability `1 − p` and then
//! scaled by `1/(1 − p)`, else 0. Which are kept: `mask.rs`.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};
use mmc_random::name_index;

use crate::error::{OpsError, Result};
use crate::mask::{Mask, keep, keep_rows};
use crate::real::{Real, are_native, contiguous, elements, read, tensor_of, with_type};
use crate::recording::applied1;
use crate::sequences::Sequences;
use crate::threads::for_row_blocks;

/// One application of dropout.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// The probability of an element to be set to 0, in `0..1`.
    pub probability: f64,
    /// The run's seed.
    pub seed: u64,
    /// The optimiser step.
    pub step: u64,
    /// The layer, by [`Dropout::layer`] of its name.
    pub layer: u64,
    /// Where the first sequence stands among the rows of the step.
    pub first_row: u64,
}

impl Dropout {
    /// The number of the layer of this name.
    #[must_use]
    pub fn layer(name: &str) -> u64 {
        name_index(name)
    }

    /// Refuses a probability outside `0..1`.
    pub(crate) fn check(&self) -> Result<()> {
        if (0.0..1.0).contains(&self.probability) {
            return Ok(());
        }
        Err(OpsError::Setting {
            setting: "dropout",
            value: self.probability.to_string(),
            expected: "0 or more and less than 1".to_owned(),
        })
    }
}

/// Dropout on `x` `[tokens, channels]`, the tokens of these sequences.
///
/// # Errors
/// A probability outside `0..1`, a shape that does not fit the sequences.
pub fn dropout(x: &Tensor, settings: &Dropout, sequences: &Sequences) -> Result<Tensor> {
    settings.check()?;
    let [tokens, channels] = *x.dims() else { return wrong_shape(x, sequences) };
    if tokens != sequences.tokens() {
        return wrong_shape(x, sequences);
    }
    #[cfg(feature = "cuda")]
    if crate::cuda::takes(&[x]) {
        return Ok(crate::cuda::dropout(x, settings, sequences)?);
    }
    let mask = Mask::of_states(settings, sequences, channels);
    let scale = settings.scale();
    if are_native(&[x]) {
        return Ok(applied1(&contiguous(x)?, Keep { mask: Arc::new(mask), channels, scale })?);
    }
    let mut flags = vec![1_f32; tokens * channels];
    for (token, flags) in flags.chunks_mut(channels.max(1)).enumerate() {
        keep(flags, mask.line(token), 1.0);
    }
    let flags = Tensor::from_vec(flags, x.shape(), x.device())?.to_dtype(x.dtype())?;
    Ok(((x * flags)? * scale)?)
}

fn wrong_shape<R>(x: &Tensor, sequences: &Sequences) -> Result<R> {
    Err(OpsError::Shape {
        operation: "dropout",
        argument: "x",
        found: x.dims().to_vec(),
        expected: format!("[{}, channels]", sequences.tokens()),
    })
}

struct Keep {
    mask: Arc<Mask>,
    channels: usize,
    scale: f64,
}

impl Keep {
    fn kept<T: Real>(&self, x: &[T]) -> Vec<T> {
        let mut output = x.to_vec();
        for_row_blocks(&mut output, self.channels, |first, block| {
            keep_rows(block, self.channels, (&self.mask, first), T::of_f64(self.scale));
        });
        output
    }
}

impl CustomOp1 for Keep {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let output = with_type!(x, T => T::storage(self.kept::<T>(elements(x, layout)?)));
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
                self.kept::<T>(elements(gradient, layout)?)
            )))
        })?;
        tensor_of(storage, x.shape()).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;

    fn settings() -> Dropout {
        Dropout {
            probability: 0.25,
            seed: 1,
            step: 2,
            layer: Dropout::layer("embeddings"),
            first_row: 0,
        }
    }

    /// Which elements of ones are kept.
    fn kept(settings: &Dropout, sequences: &Sequences, channels: usize) -> Vec<Vec<f32>> {
        let ones = Tensor::ones((sequences.tokens(), channels), DType::F32, &Device::Cpu).unwrap();
        dropout(&ones, settings, sequences).unwrap().to_vec2().unwrap()
    }

    #[test]
    fn a_quarter_is_dropped_and_the_rest_scaled() {
        let output = kept(&settings(), &Sequences::new(&[50; 10]), 40).concat();
        let kept = output.iter().filter(|&&value| value > 0.0).count() as f64 / 20_000.0;
        // Five standard errors.
        assert!((kept - 0.75).abs() < 5.0 * (0.75_f64 * 0.25 / 20_000.0).sqrt(), "{kept}");
        assert!(output.iter().all(|&value| value == 0.0 || (value - 4.0 / 3.0).abs() < 1e-6));
    }

    #[test]
    fn lengths_and_shards_change_no_mask() {
        let long = kept(&settings(), &Sequences::new(&[7, 7, 7, 7]), 5);
        let short = kept(&settings(), &Sequences::new(&[3, 1, 2, 7]), 5);
        for (row, length) in [3, 1, 2, 7].into_iter().enumerate() {
            let start: usize = [3, 1, 2, 7][..row].iter().sum();
            assert_eq!(long[row * 7..][..length], short[start..][..length]);
        }
        let second = Dropout { first_row: 2, ..settings() };
        let second = kept(&second, &Sequences::new(&[2, 7]), 5);
        assert_eq!(second, short[4..]);
        let picked = kept(&settings(), &Sequences::new(&[3, 1, 2, 7]).picked(&[1, 3, 5, 9]), 5);
        assert_eq!(picked, [1, 3, 5, 9].map(|token| short[token].clone()));
    }

    #[test]
    fn attention_masks_do_not_depend_on_the_other_keys() {
        // Text of up to 3 tokens, then a picture whose positions begin at 100.
        let (long, short) = ([0, 1, 2, 100, 101, 102, 164, 165], [0, 1, 100, 101, 164]);
        let bits = |positions: &[u32]| -> Vec<Vec<bool>> {
            let mask = Mask::of_head(&settings(), (3, 1), positions, positions);
            let line = |query| {
                let words = mask.line(query);
                (0..positions.len()).map(|key| words[key / 32] >> (key % 32) & 1 == 1).collect()
            };
            (0..positions.len()).map(line).collect()
        };
        let (long, short) = (bits(&long), bits(&short));
        let shared = [0, 1, 3, 4, 6];
        for (query, bits) in short.iter().enumerate() {
            let expected: Vec<bool> = shared.iter().map(|&key| long[shared[query]][key]).collect();
            assert_eq!(*bits, expected);
        }
        assert!(short.concat().iter().any(|&bit| bit) && !short.concat().iter().all(|&bit| bit));
    }

    #[test]
    fn each_part_of_the_key_changes_the_mask() {
        let (base, sequences) = (settings(), Sequences::new(&[20, 20]));
        let expected = kept(&base, &sequences, 8);
        for other in [
            Dropout { seed: 9, ..base },
            Dropout { step: 9, ..base },
            Dropout { layer: 9, ..base },
            Dropout { first_row: 9, ..base },
        ] {
            assert_ne!(kept(&other, &sequences, 8), expected);
        }
        assert_ne!(expected[..20], expected[20..], "rows differ");
        assert_ne!(expected[0], expected[1], "positions differ");
    }

    #[test]
    fn probabilities_and_shapes_are_checked() {
        let ones = |shape: &[usize]| Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
        let all = Dropout { probability: 1.0, ..settings() };
        let two = Sequences::single(2);
        assert!(dropout(&ones(&[2, 3]), &all, &two).is_err());
        assert!(dropout(&ones(&[2, 3, 4]), &settings(), &two).is_err());
        assert!(dropout(&ones(&[3, 4]), &settings(), &two).is_err());
    }
}
