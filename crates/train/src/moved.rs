//! Which parameters training has changed.

use mmc_models::Parameter;
use sha2::{Digest as _, Sha256};

use crate::TrainError;

/// The values of parameters at one moment, as checksums by name.
pub(crate) struct Moment {
    checksums: Vec<(String, [u8; 32])>,
}

impl Moment {
    /// What `parameters` are now.
    pub(crate) fn of(parameters: &[&Parameter]) -> Result<Self, TrainError> {
        let checksum = |parameter: &&Parameter| {
            let mut hash = Sha256::new();
            for values in parameter.var.flatten_all()?.to_vec1::<f32>()?.chunks(4096) {
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                hash.update(bytes);
            }
            Ok((parameter.name.clone(), hash.finalize().into()))
        };
        Ok(Self { checksums: parameters.iter().map(checksum).collect::<Result<_, TrainError>>()? })
    }

    /// Names of those that have the same bits at `later`.
    pub(crate) fn unmoved(&self, later: &Self) -> Vec<String> {
        let same = |(name, bits): &&(String, [u8; 32])| {
            later.checksums.iter().any(|(other, now)| other == name && now == bits)
        };
        self.checksums.iter().filter(same).map(|(name, _)| name.clone()).collect()
    }
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
