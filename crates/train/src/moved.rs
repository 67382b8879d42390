//! Which parameters training has changed.

use mmc_models::Parameter;
use rayon::prelude::*;

use crate::TrainError;

/// The values of parameters at one moment, as checksums by name.
pub(crate) struct Moment {
    checksums: Vec<(String, u64)>,
}

impl Moment {
    /// What `parameters` are now.
    pub(crate) fn of(parameters: &[&Parameter]) -> Result<Self, TrainError> {
        let checksum = |parameter: &&Parameter| -> Result<_, TrainError> {
            let values = parameter.var.flatten_all()?.to_vec1::<f32>()?;
            Ok((parameter.name.clone(), checksum(&values)))
        };
        Ok(Self { checksums: parameters.par_iter().map(checksum).collect::<Result<_, _>>()? })
    }

    /// A checksum of each, in their order.
    pub(crate) fn checksums(&self) -> Vec<u64> {
        self.checksums.iter().map(|(_, checksum)| *checksum).collect()
    }

    /// Names of those that have the same bits at `later`.
    pub(crate) fn unmoved(&self, later: &Self) -> Vec<String> {
        let same = |(name, bits): &&(String, u64)| {
            later.checksums.iter().any(|(other, now)| other == name && now == bits)
        };
        self.checksums.iter().filter(same).map(|(name, _)| name.clone()).collect()
    }
}

/// Of the bits of all values, in eight lanes, as fast as they can be read: it tells an accident from
/// a change, and nobody has to be kept from making two sets of values with the same.
fn checksum(values: &[f32]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15; // odd, so that no bit is lost
    let mut lanes = [0_u64; 8];
    for run in values.chunks(8) {
        for (lane, value) in lanes.iter_mut().zip(run) {
            *lane = (*lane ^ u64::from(value.to_bits())).wrapping_mul(FACTOR);
        }
    }
    lanes.iter().fold(values.len() as u64, |sum, lane| (sum ^ lane).wrapping_mul(FACTOR))
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor, Var};

    use super::*;

    #[test]
    fn what_no_step_changed_is_named() {
        let parameter =
            |name: &str| Parameter::new(name, Var::new(&[0.0_f32; 3], &Device::Cpu).unwrap());
        let (moved, stuck) = (parameter("moved"), parameter("stuck"));
        let before = Moment::of(&[&moved, &stuck]).unwrap();
        let step = Tensor::new(&[0.0_f32, 1e-20, 0.0], &Device::Cpu).unwrap();
        moved.var.set(&step).unwrap();
        let after = Moment::of(&[&moved, &stuck]).unwrap();
        assert_eq!(before.unmoved(&after), ["stuck"]);
    }
}
