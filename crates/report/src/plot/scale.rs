//! From values to places on an axis.

/// An axis: values from `low` to `high` lie from `from` to `to`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    logarithmic: bool,
}

impl Scale {
    pub(super) fn linear((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        Self { low, high, from, to, logarithmic: false }
    }

    /// Of values above 0.
    pub(super) fn logarithmic((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        Self { low: low.log10(), high: high.log10(), from, to, logarithmic: true }
    }

    /// The place of a value; what lies beyond an end is put on it.
    pub(super) fn at(&self, value: f64) -> f64 {
        let value = if self.logarithmic { value.log10() } else { value };
        let part = (value - self.low) / (self.high - self.low);
        self.from + part.clamp(0.0, 1.0) * (self.to - self.from)
    }

    pub(super) fn ends(&self) -> (f64, f64) {
        (self.from, self.to)
    }

    /// Round values with their words, about `wanted` of them.
    pub(super) fn ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        if self.logarithmic { self.logarithmic_ticks() } else { self.linear_ticks(wanted) }
    }

    fn linear_ticks(&self, wanted: usize) -> Vec<(f64, String)> {
        let rough = (self.high - self.low) / wanted.max(1) as f64;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .map(|factor| factor * power)
            .into_iter()
            .find(|step| *step >= rough * 0.999)
            .unwrap_or(rough);
        let digits = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
        let (first, last) =
            ((self.low / step - 1e-6).ceil() as i64, (self.high / step + 1e-6).floor() as i64);
        (first..=last.min(first + 50))
            .map(|at| {
                let value = at as f64 * step;
                (value, format!("{value:.digits$}"))
            })
            .collect()
    }

    fn logarithmic_ticks(&self) -> Vec<(f64, String)> {
        let factors: &[f64] = if self.high - self.low > 2.5 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let (first, last) = (self.low.floor() as i32, self.high.ceil() as i32);
        (first..=last)
            .flat_map(|power| factors.iter().map(move |factor| (factor, power)))
            .map(|(factor, power)| factor * 10_f64.powi(power))
            .filter(|value| (self.low - 1e-9..=self.high + 1e-9).contains(&value.log10()))
            .map(|value| (value, format!("{value}")))
            .collect()
    }
}

/// The smallest and the largest of the finite values, widened by a share of what lies between; of no
/// or of equal values something around them.
pub(super) fn extent(values: impl Iterator<Item = f64>, widen: f64) -> (f64, f64) {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.filter(|value| value.is_finite()) {
        low = low.min(value);
        high = high.max(value);
    }
    if low > high {
        return (0.0, 1.0);
    }
    let width = high - low;
    let around = if width > 1e-12 { width * widen } else { low.abs().max(0.1) * 0.5 };
    (low - around, high + around)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(scale: Scale, wanted: usize) -> Vec<String> {
        scale.ticks(wanted).into_iter().map(|(_, words)| words).collect()
    }

    #[test]
    fn values_lie_between_the_ends() {
        let scale = Scale::linear((0.0, 2.0), (100.0, 300.0));
        for (value, place) in [(0.0, 100.0), (1.0, 200.0), (5.0, 300.0)] {
            assert!((scale.at(value) - place).abs() < 1e-12);
        }
        let scale = Scale::logarithmic((1.0, 100.0), (0.0, 10.0));
        assert!((scale.at(10.0) - 5.0).abs() < 1e-12);
    }

    #[test]
    fn ticks_are_round_and_within() {
        let scale = Scale::linear((0.47, 0.96), (0.0, 1.0));
        assert_eq!(words(scale, 5), ["0.5", "0.6", "0.7", "0.8", "0.9"]);
        let scale = Scale::linear((-0.013, 0.021), (0.0, 1.0));
        assert_eq!(words(scale, 4), ["-0.01", "0.00", "0.01", "0.02"]);
        let scale = Scale::logarithmic((0.0003, 0.003), (0.0, 1.0));
        assert_eq!(words(scale, 4), ["0.0005", "0.001", "0.002"]);
    }

    #[test]
    fn an_extent_is_never_empty() {
        assert_eq!(extent([].into_iter(), 0.1), (0.0, 1.0));
        assert_eq!(extent([f64::NAN, 0.0].into_iter(), 0.1), (-0.05, 0.05));
        assert_eq!(extent([0.0, 1.0].into_iter(), 0.5), (-0.5, 1.5));
    }
}
