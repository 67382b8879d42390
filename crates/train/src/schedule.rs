//! The learning rate as a pure function of the step.

use mmc_run::Schedule as Shape;

/// Warm-up, then decay: a linear rise from 0 over the first `warmup` steps, then `shape` down to
/// the last step.
///
/// The linear and the cosine shape are those of transformers' `get_linear_schedule_with_warmup`
/// and `get_cosine_schedule_with_warmup`, whose first step (of a warmed-up run) has rate 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The highest learning rate.
    pub peak: f64,
    /// Steps of warm-up, W.
    pub warmup: u64,
    /// Steps in all, T.
    pub steps: u64,
    /// What follows the warm-up.
    pub shape: Shape,
}

impl Schedule {
    /// A schedule over `steps` steps of which the part `warmup_ratio`, rounded up, is warm-up.
    #[must_use]
    pub fn new(peak: f64, warmup_ratio: f64, steps: u64, shape: Shape) -> Self {
        Self { peak, warmup: (warmup_ratio * steps as f64).ceil() as u64, steps, shape }
    }

    /// The learning rate that `step` (counted from 1) uses.
    #[must_use]
    pub fn rate(&self, step: u64) -> f64 {
        let done = step.saturating_sub(1);
        if done < self.warmup {
            return self.peak * done as f64 / self.warmup as f64;
        }
        let span = self.steps.saturating_sub(self.warmup).max(1) as f64;
        let part = match self.shape {
            Shape::Linear => (self.steps.saturating_sub(done)) as f64 / span,
            Shape::Cosine => {
                let progress = ((done - self.warmup) as f64 / span).min(1.0);
                0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
            }
            Shape::Constant => 1.0,
        };
        self.peak * part
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_rises_from_zero_and_falls_to_one_step_above_zero() {
        let schedule = Schedule::new(1.0, 0.2, 10, Shape::Linear);
        assert_eq!(schedule.warmup, 2);
        let rates: Vec<f64> = (1..=10).map(|step| schedule.rate(step)).collect();
        // s / 2 for s = 0, 1; then (10 - s) / 8 for s = 2 ... 9.
        assert_eq!(rates, [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]);
        assert!(schedule.rate(12).abs() < f64::MIN_POSITIVE);
    }

    #[test]
    fn warm_up_is_rounded_up() {
        assert_eq!(Schedule::new(1.0, 0.1, 11, Shape::Constant).warmup, 2);
        assert_eq!(Schedule::new(1.0, 0.0, 11, Shape::Constant).warmup, 0);
        assert_eq!(Schedule::new(1.0, 1.0, 11, Shape::Linear).warmup, 11);
    }

    #[test]
    fn cosine_is_half_way_down_in_the_middle() {
        let schedule = Schedule::new(4.0, 0.0, 4, Shape::Cosine);
        // 2 (1 + cos(0, π/4, π/2, 3π/4)).
        let half_root = 2.0_f64.sqrt() / 2.0;
        let expected = [4.0, 2.0 * (1.0 + half_root), 2.0, 2.0 * (1.0 - half_root)];
        for (step, expected) in (1..).zip(expected) {
            assert!((schedule.rate(step) - expected).abs() < 1e-12, "step {step}");
        }
    }

    #[test]
    fn without_warm_up_the_first_step_has_the_whole_rate() {
        for shape in [Shape::Linear, Shape::Cosine, Shape::Constant] {
            let schedule = Schedule::new(2e-5, 0.0, 7, shape);
            assert!((schedule.rate(1) - 2e-5).abs() < 1e-18, "{shape}");
        }
        assert!((Schedule::new(2e-5, 0.0, 7, Shape::Constant).rate(7) - 2e-5).abs() < 1e-18);
    }
}
