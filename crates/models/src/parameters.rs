//! Parameters as a model is built: taken from a checkpoint by name, or made.

use candle_core::{DType, Device, Tensor, Var};
use mmc_random::{Purpose, generator, name_index, standard_normal};

use crate::checkpoint::Source;
use crate::{LoadReport, ModelError, Parameter};

/// What a parameter is, which decides its initial value and whether it decays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A matrix, an embedding or a token's vector: random, decays.
    Weight,
    /// A bias, or the shift of a norm: 0, does not decay.
    Bias,
    /// The scale of a norm: 1, does not decay.
    Scale,
    /// The logarithm of the factor of contrastive logits, which no classifier uses: ln(1/0.07).
    LogitScale,
}

/// ln(1/0.07), as transformers rounds it.
const LOGIT_SCALE: f32 = 2.6592;

/// How weights that are made are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Initialiser {
    pub(crate) seed: u64,
    /// Standard deviation.
    pub(crate) range: f64,
    /// Whether draws beyond two standard deviations are drawn again.
    pub(crate) truncated: bool,
}

/// Collects the parameters of a model in the order in which it asks for them.
pub(crate) struct Parameters<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) off_path: &'static [&'static str],
    pub(crate) device: &'a Device,
    pub(crate) list: Vec<Parameter>,
    pub(crate) report: LoadReport,
}

impl Parameters<'_> {
    /// The parameter of this name and shape.
    pub(crate) fn take(
        &mut self,
        name: &str,
        shape: &[usize],
        kind: Kind,
    ) -> Result<Tensor, ModelError> {
        let tensor = if let Some(tensor) = self.source.read(name, shape)? {
            self.report.taken.push(name.to_owned());
            tensor
        } else {
            self.report.fresh.push(name.to_owned());
            self.source.initialiser(name)?.draw(name, shape, kind)?
        };
        let tensor = tensor.to_dtype(DType::F32)?.to_device(self.device)?;
        let var = Var::from_tensor(&tensor.contiguous()?)?;
        let handle = var.as_tensor().clone();
        self.list.push(Parameter {
            name: name.to_owned(),
            var,
            decay: matches!(kind, Kind::Weight | Kind::LogitScale),
            active: !self.off_path.iter().any(|part| name.starts_with(part)),
        });
        Ok(handle)
    }
}

impl Initialiser {
    /// The initial value of a parameter: a function of the seed and its name.
    fn draw(&self, name: &str, shape: &[usize], kind: Kind) -> Result<Tensor, ModelError> {
        Ok(match kind {
            Kind::Bias => Tensor::zeros(shape, DType::F32, &Device::Cpu)?,
            Kind::Scale => Tensor::ones(shape, DType::F32, &Device::Cpu)?,
            Kind::LogitScale => Tensor::full(LOGIT_SCALE, shape, &Device::Cpu)?,
            Kind::Weight => {
                let random = &mut generator(self.seed, Purpose::Initialise, 0, name_index(name));
                let one = |_| loop {
                    let draw = standard_normal(random);
                    if !self.truncated || draw.abs() <= 2.0 {
                        break (draw * self.range) as f32;
                    }
                };
                let values: Vec<f32> = (0..shape.iter().product()).map(one).collect();
                Tensor::from_vec(values, shape, &Device::Cpu)?
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_depend_on_the_name_and_keep_to_their_range() {
        let initialiser = Initialiser { seed: 3, range: 0.15, truncated: true };
        let draw = |name, kind| {
            initialiser
                .draw(name, &[50, 40], kind)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
        };
        let weight = draw("a", Kind::Weight);
        assert_eq!(weight, draw("a", Kind::Weight));
        assert_ne!(weight, draw("b", Kind::Weight));
        assert!(weight.iter().all(|value| value.abs() <= 0.3 + 1e-6));
        // The standard deviation of a normal cut at two is 0.8796 of the uncut one's.
        let deviation = (weight.iter().map(|value| value * value).sum::<f32>() / 2000.0).sqrt();
        assert!((deviation - 0.1319).abs() < 0.01, "{deviation}");
        assert_eq!(draw("a", Kind::Bias), [0.0; 2000]);
        assert_eq!(draw("a", Kind::Scale), [1.0; 2000]);
    }
}
