//! Parameters as a model is built: taken from a checkpoint by name, or made.

use candle_core::{DType, Device, Tensor, Var};
use mmc_random::{Purpose, generator, name_index, standard_normal};

use crate::architecture::HEAD;
use crate::checkpoint::Source;
use crate::depth::{Stack, below_head};
use crate::lora::{LowRank, name_of_a, name_of_b};
use crate::{LoadReport, ModelError, Parameter, Trained};

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
    pub(crate) trained: Trained,
    pub(crate) stacks: Vec<Stack>,
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
        let (var, is_fresh) = self.value(name, shape, kind)?;
        let trains = match self.trained {
            Trained::Everything => true,
            Trained::Head => name.starts_with(HEAD),
            Trained::Lora(_) => name.starts_with(HEAD) || is_fresh,
        };
        // Detached, it has the same values and costs no gradient.
        let handle = if trains { var.as_tensor().clone() } else { var.as_detached_tensor() };
        let decay = matches!(kind, Kind::Weight | Kind::LogitScale);
        let active = trains && self.is_on_path(name);
        let below_head = below_head(&self.stacks, name);
        self.list.push(Parameter { decay, active, below_head, ..Parameter::new(name, var) });
        Ok(handle)
    }

    /// The value of this parameter, and whether the checkpoint lacks it.
    fn value(
        &mut self,
        name: &str,
        shape: &[usize],
        kind: Kind,
    ) -> Result<(Var, bool), ModelError> {
        if matches!(self.source, Source::Nothing) {
            return Ok((Var::zeros(shape, DType::F32, self.device)?, false));
        }
        let found = self.source.read(name, shape)?;
        let is_fresh = found.is_none();
        let tensor = if let Some(tensor) = found {
            self.report.taken.push(name.to_owned());
            tensor
        } else {
            self.report.fresh.push(name.to_owned());
            self.source.initialiser(name)?.draw(name, shape, kind)?
        };
        let tensor = tensor.to_dtype(DType::F32)?.to_device(self.device)?;
        Ok((Var::from_tensor(&tensor.contiguous()?)?, is_fresh))
    }

    /// Lets LoRA change the weight `module.weight` `[outputs, inputs]`, which was taken before, if
    /// the model is trained so and the arm uses it.
    pub(crate) fn adapt(
        &mut self,
        module: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Option<LowRank>, ModelError> {
        let weight = format!("{module}.weight");
        let Trained::Lora(settings) = self.trained else { return Ok(None) };
        if !self.is_on_path(&weight) {
            return Ok(None);
        }
        let low_rank = settings.begin(module, [outputs, inputs], self.device)?;
        let below_head = below_head(&self.stacks, &weight);
        if let Some(taken) = self.list.iter_mut().rfind(|parameter| parameter.name == weight) {
            taken.low_rank = Some(low_rank.clone());
        }
        for (name, var) in [(name_of_a(module), &low_rank.a), (name_of_b(module), &low_rank.b)] {
            self.list.push(Parameter { below_head, ..Parameter::new(&name, var.clone()) });
        }
        Ok(Some(low_rank))
    }

    fn is_on_path(&self, name: &str) -> bool {
        !self.off_path.iter().any(|part| name.starts_with(part))
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
