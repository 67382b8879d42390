//! LoRA (Hu et al., 2021): a frozen weight plus a trained product of two thin matrices,
//! `W + alpha / rank · B A`.
//!
//! On the query and value maps of every attention that the arm uses: PEFT's default for BERT and
//! RoBERTa, and the same maps of CLIP, FLAVA and ViLT, for which PEFT has none. `A` is drawn as
//! PEFT draws it, uniform in ±1/√inputs (Kaiming with a = √5), from the seed and its name; `B`
//! begins as 0, so that training begins at the checkpoint's own function. Names are PEFT's:
//! `….query.lora_A.weight`.

use candle_core::{DType, Device, Tensor, Var};
use mmc_random::{Purpose, generator, name_index};
use rand::RngExt;

use mmc_ops::OpsError;

use crate::ModelError;

/// What of a model trains.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Trained {
    /// All that the arm uses.
    #[default]
    Everything,
    /// The head alone; the backbone stays as it is.
    Head,
    /// Low-rank changes of the attention's query and value maps, the head, and what the checkpoint
    /// lacks and was made; the rest stays as it is.
    Lora(LoraSettings),
}

/// How a weight is changed by LoRA.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoraSettings {
    /// Rank of the change, at least 1 and at most the width of the maps.
    pub rank: usize,
    /// The change is multiplied by `alpha / rank`.
    pub alpha: f64,
    /// What `A` is drawn from.
    pub seed: u64,
}

/// The change of one weight `[out, in]`.
#[derive(Clone, Debug)]
pub struct LowRank {
    pub(crate) a: Var, // [rank, in]
    pub(crate) b: Var, // [out, rank]
    pub(crate) settings: LoraSettings,
}

impl LoraSettings {
    /// What the product of the two matrices is multiplied by.
    pub(crate) fn scaling(&self) -> f64 {
        self.alpha / self.rank as f64
    }

    /// The change of the weight `module.weight` `[outputs, inputs]`, which is none yet.
    pub(crate) fn begin(
        &self,
        module: &str,
        [outputs, inputs]: [usize; 2],
        device: &Device,
    ) -> Result<LowRank, ModelError> {
        let (rank, largest) = (self.rank, inputs.min(outputs));
        if rank == 0 || rank > largest {
            return Err(ModelError::LoraRank { module: module.to_owned(), rank, largest });
        }
        let name = name_of_a(module);
        let random = &mut generator(self.seed, Purpose::Initialise, 0, name_index(&name));
        let bound = 1.0 / (inputs as f64).sqrt();
        let values: Vec<f32> = (0..rank * inputs)
            .map(|_| (bound * (2.0 * random.random::<f64>() - 1.0)) as f32)
            .collect();
        let a = Tensor::from_vec(values, (rank, inputs), &Device::Cpu)?.to_device(device)?;
        let b = Tensor::zeros((outputs, rank), DType::F32, device)?;
        Ok(LowRank { a: Var::from_tensor(&a)?, b: Var::from_tensor(&b)?, settings: *self })
    }
}

impl LowRank {
    /// The weight `[out, in]` with its change, whose gradient reaches the two thin matrices.
    pub(crate) fn added_to(&self, weight: &Tensor) -> Result<Tensor, OpsError> {
        let change = self.b.as_tensor().matmul(self.a.as_tensor())?;
        Ok((weight + (change * self.settings.scaling())?)?)
    }

    /// The weight with its change: `[out, in]`.
    pub(crate) fn merged(&self, weight: &Tensor) -> Result<Tensor, ModelError> {
        let change = self.b.as_detached_tensor().matmul(&self.a.as_detached_tensor())?;
        Ok((weight.detach() + (change * self.settings.scaling())?)?)
    }
}

/// The name of a module's `A`.
pub(crate) fn name_of_a(module: &str) -> String {
    format!("{module}.lora_A.weight")
}

/// The name of a module's `B`.
pub(crate) fn name_of_b(module: &str) -> String {
    format!("{module}.lora_B.weight")
}

/// Whether a parameter is one of the thin matrices.
pub(crate) fn is_factor(name: &str) -> bool {
    name.ends_with(".lora_A.weight") || name.ends_with(".lora_B.weight")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: LoraSettings = LoraSettings { rank: 2, alpha: 6.0, seed: 1 };

    #[test]
    fn a_is_uniform_by_its_name_and_b_is_zero() {
        let begin = |module| SETTINGS.begin(module, [8, 400], &Device::Cpu).unwrap();
        let values =
            |low_rank: LowRank| low_rank.a.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let a = values(begin("query"));
        assert_eq!(a, values(begin("query")));
        assert_ne!(a, values(begin("value")));
        assert!(a.iter().all(|value| value.abs() <= 0.05), "1 / √400");
        // The standard deviation of a uniform in ± 0.05 is 0.05 / √3.
        let deviation = (a.iter().map(|value| value * value).sum::<f32>() / 800.0).sqrt();
        assert!((deviation - 0.0289).abs() < 0.002, "{deviation}");
        let weight = Tensor::ones((8, 400), DType::F32, &Device::Cpu).unwrap();
        let merged = begin("query").merged(&weight).unwrap();
        assert_eq!(merged.to_vec2::<f32>().unwrap(), weight.to_vec2::<f32>().unwrap());
    }

    #[test]
    fn the_change_is_alpha_over_rank_times_the_product() {
        let low_rank = SETTINGS.begin("query", [2, 3], &Device::Cpu).unwrap();
        let set = |var: &Var, values: Vec<f32>| {
            let shape = var.dims().to_vec();
            var.set(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap();
        };
        set(&low_rank.a, vec![1.0, 0.0, 2.0, 0.0, 1.0, 1.0]);
        set(&low_rank.b, vec![1.0, 0.0, 0.0, -1.0]);
        let weight = Tensor::ones((2, 3), DType::F32, &Device::Cpu).unwrap();
        let merged = low_rank.merged(&weight).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(merged, [[4.0, 1.0, 7.0], [1.0, -2.0, -2.0]]);
    }

    #[test]
    fn ranks_that_make_no_sense_are_named() {
        for rank in [0, 9] {
            let settings = LoraSettings { rank, ..SETTINGS };
            let error = settings.begin("a.query", [8, 16], &Device::Cpu).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("`a.query`"), "{error}");
        }
    }
}
