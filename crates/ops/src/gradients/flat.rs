//! All sums as one row of numbers, for those who send them elsewhere.

use candle_core::{DType, Tensor, bail};

use super::{Entry, Gradients, State};
use crate::error::Result;
use crate::in_place::in_place;
use crate::real::hold;

impl Gradients {
    /// How many numbers all sums have.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.entries.iter().map(|entry| entry.parameter.elem_count()).sum()
    }

    /// Copies the sums from number `from` on, of all of them laid one after the other in the order
    /// of their parameters.
    ///
    /// # Errors
    /// A sum that nothing was added to since the last reset, or that is not in f32; more numbers than
    /// there are.
    pub fn copy_to(&self, from: usize, into: &mut [f32]) -> Result<()> {
        let mut rest = into;
        for (entry, start) in self.covering(from) {
            let (Some(sum), true) = (&entry.sum, entry.state != State::Stale) else {
                return refused("a sum that nothing was added to");
            };
            let length = (sum.elem_count() - start).min(rest.len());
            let (now, later) = rest.split_at_mut(length);
            take(sum, start, now)?;
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        if rest.is_empty() { Ok(()) } else { refused("more numbers than the sums have") }
    }

    /// Puts numbers in the place of those from `from` on, which [`Gradients::copy_to`] copies.
    ///
    /// # Errors
    /// Parameters that are not in f32; more numbers than there are.
    pub fn copy_from(&mut self, from: usize, values: &[f32]) -> Result<()> {
        let mut rest = values;
        let mut start = from;
        for entry in &mut self.entries {
            let elements = entry.parameter.elem_count();
            if start >= elements {
                start -= elements;
                continue;
            }
            let (now, later) = rest.split_at((elements - start).min(rest.len()));
            entry.put(start, now)?;
            (rest, start) = (later, 0);
            if rest.is_empty() {
                break;
            }
        }
        if rest.is_empty() { Ok(()) } else { refused("more numbers than the sums have") }
    }

    /// The entries from number `from` on, and where in each they begin.
    fn covering(&self, from: usize) -> impl Iterator<Item = (&Entry, usize)> {
        let mut start = from;
        self.entries.iter().filter_map(move |entry| {
            let elements = entry.parameter.elem_count();
            if start >= elements {
                start -= elements;
                return None;
            }
            Some((entry, std::mem::take(&mut start)))
        })
    }
}

impl Entry {
    /// Replaces a part of the sum, from element `start` on.
    fn put(&mut self, start: usize, values: &[f32]) -> candle_core::Result<()> {
        if self.parameter.dtype() != DType::F32 {
            bail!("sums of {:?} are not replaced", self.parameter.dtype());
        }
        let sum = self.buffer()?;
        if sum.device().is_cpu() {
            in_place(sum, |sum: &mut [f32]| {
                sum[start..start + values.len()].copy_from_slice(values);
            })?;
        } else {
            let values = Tensor::new(values, sum.device())?;
            sum.flatten_all()?.slice_set(&values, 0, start)?;
        }
        self.state = State::Waiting;
        Ok(())
    }
}

/// Copies the elements of a sum from `start` on, be it on the CPU or elsewhere.
fn take(sum: &Tensor, start: usize, into: &mut [f32]) -> candle_core::Result<()> {
    let sum = sum.contiguous()?;
    if sum.device().is_cpu() {
        into.copy_from_slice(&hold(&sum).values::<f32>()?[start..start + into.len()]);
    } else {
        let part = sum.flatten_all()?.narrow(0, start, into.len())?;
        into.copy_from_slice(&part.to_vec1::<f32>()?);
    }
    Ok(())
}

fn refused(what: &str) -> Result<()> {
    Err(candle_core::Error::Msg(format!("{what} cannot be copied")).into())
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;
    use crate::linear;

    #[test]
    fn what_is_copied_out_in_parts_comes_back() {
        let weights = [(3_usize, 2_usize), (1, 1), (2, 3)]
            .map(|shape| Var::ones(shape, DType::F32, &Device::Cpu).unwrap());
        let mut gradients = Gradients::of(weights.iter().map(Var::as_tensor));
        assert_eq!(gradients.elements(), 13);
        assert!(gradients.copy_to(0, &mut [0.0; 13]).is_err(), "nothing was added yet");
        for (at, weight) in weights.iter().enumerate() {
            let shape = (1, weight.dims()[1]);
            let x = Tensor::full(1.0 + at as f32, shape, &Device::Cpu).unwrap();
            gradients.add(&linear(&x, weight, None).unwrap().sum_all().unwrap()).unwrap();
        }
        let mut all = [0.0_f32; 13];
        gradients.copy_to(0, &mut all).unwrap();
        assert_eq!(all.to_vec(), [1., 1., 1., 1., 1., 1., 2., 3., 3., 3., 3., 3., 3.]);
        for length in 1..=13 {
            for from in 0..=13 - length {
                let mut part = vec![0.0; length];
                gradients.copy_to(from, &mut part).unwrap();
                assert_eq!(part, all[from..from + length]);
            }
        }
        assert!(gradients.copy_to(1, &mut [0.0; 13]).is_err());
        assert!(gradients.copy_from(13, &[1.0]).is_err());

        let counted: Vec<f32> = (0..13_u8).map(f32::from).collect();
        let mut other = Gradients::of(weights.iter().map(Var::as_tensor));
        for (part, values) in counted.chunks(4).enumerate() {
            other.copy_from(4 * part, values).unwrap();
        }
        assert_eq!(other.sum(0).unwrap().to_vec2::<f32>().unwrap(), [[0., 1.], [2., 3.], [4., 5.]]);
        assert_eq!(other.sum(1).unwrap().to_vec2::<f32>().unwrap(), [[6.]]);
        other.copy_to(0, &mut all).unwrap();
        assert_eq!(all.to_vec(), counted);
    }
}
