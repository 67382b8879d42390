//! Scaling of the loss, so that small gradients do not vanish in 16-bit products.
//!
//! Micikevicius et al. (2018), with the rule of `torch.amp.GradScaler`: a step whose gradients are
//! not finite changes nothing and halves the scale; after [`GROWTH_STEPS`] steps without one it is
//! doubled.

use mmc_run::LossScale;
use serde::{Deserialize, Serialize};

/// What a dynamic scale begins with.
const FIRST: f64 = 65_536.0;
/// Steps without an overflow after which it grows.
const GROWTH_STEPS: u64 = 2000;
/// It does not grow beyond this: a larger one would be infinite in some of the products.
const LARGEST: f64 = 16_777_216.0;
/// Below this the scale has collapsed: gradients that overflow unscaled are no matter of scale.
const SMALLEST: f64 = 1.0;

/// The scale of the loss and what is known of it: part of a run's state.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LossScaler {
    /// What the loss is multiplied by.
    pub(crate) scale: f64,
    /// Steps that were skipped, over the run.
    pub(crate) skipped: u64,
    /// Steps since the last skipped one, or since the last growth.
    steps: u64,
    dynamic: bool,
}

/// What becomes of a step whose gradients are not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// It is skipped; the next one has a smaller scale.
    Skipped,
    /// A smaller scale would not help, or is not allowed.
    Fatal,
}

impl LossScaler {
    pub(crate) fn new(asked: LossScale) -> Self {
        let (scale, dynamic) = match asked {
            LossScale::Dynamic => (FIRST, true),
            LossScale::Fixed(scale) => (scale, false),
        };
        Self { scale, skipped: 0, steps: 0, dynamic }
    }

    /// After a step that was taken.
    pub(crate) fn taken(&mut self) {
        self.steps += 1;
        if self.dynamic && self.steps == GROWTH_STEPS {
            self.steps = 0;
            self.scale = (2.0 * self.scale).min(LARGEST);
        }
    }

    /// After gradients that are not finite.
    pub(crate) fn overflowed(&mut self) -> Overflow {
        if !self.dynamic || self.scale / 2.0 < SMALLEST {
            return Overflow::Fatal;
        }
        self.scale /= 2.0;
        self.skipped += 1;
        self.steps = 0;
        Overflow::Skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(scaler: &LossScaler, scale: f64) -> bool {
        (scaler.scale - scale).abs() < 1e-12
    }

    #[test]
    fn a_scale_grows_after_many_steps_and_falls_at_once() {
        let mut scaler = LossScaler::new(LossScale::Dynamic);
        assert!(is(&scaler, 65_536.0));
        assert_eq!(scaler.overflowed(), Overflow::Skipped);
        for _ in 0..GROWTH_STEPS - 1 {
            scaler.taken();
        }
        assert!(is(&scaler, 32_768.0));
        scaler.taken();
        assert!(is(&scaler, 65_536.0) && scaler.skipped == 1);
        for _ in 0..100 * GROWTH_STEPS {
            scaler.taken();
        }
        assert!(is(&scaler, LARGEST));
    }

    #[test]
    fn a_scale_that_collapses_or_is_fixed_is_fatal() {
        let mut scaler = LossScaler::new(LossScale::Dynamic);
        for _ in 0..16 {
            assert_eq!(scaler.overflowed(), Overflow::Skipped);
        }
        assert!(is(&scaler, 1.0));
        assert_eq!(scaler.overflowed(), Overflow::Fatal);
        let mut fixed = LossScaler::new(LossScale::Fixed(8.0));
        assert_eq!(fixed.overflowed(), Overflow::Fatal);
        for _ in 0..2 * GROWTH_STEPS {
            fixed.taken();
        }
        assert!(is(&fixed, 8.0));
    }
}
