//! The noncentral t distribution and the spread of an estimated standard error, for planning.

use std::f64::consts::LN_2;

use statrs::function::gamma::{gamma_lr, ln_gamma};

use crate::distribution::{bisect, normal_cdf};

/// Nodes and weights of Gauss and Legendre's rule of 16 points, the positive half.
const NODES: [(f64, f64); 8] = [
    (0.095_012_509_837_637_44, 0.189_450_610_455_068_5),
    (0.281_603_550_779_258_9, 0.182_603_415_044_923_6),
    (0.458_016_777_657_227_4, 0.169_156_519_395_002_54),
    (0.617_876_244_402_643_7, 0.149_595_988_816_576_73),
    (0.755_404_408_355_003, 0.124_628_971_255_533_87),
    (0.865_631_202_387_831_7, 0.095_158_511_682_492_78),
    (0.944_575_023_073_232_6, 0.062_253_523_938_647_89),
    (0.989_400_934_991_649_9, 0.027_152_459_411_754_095),
];

/// Panels that an integral is cut into on each side of its kink.
const PANELS: u32 = 48;

/// `P(T ≤ t)` of the noncentral t distribution: T = (Z + `shift`) / S, S² a chi-square variable over
/// its `df` > 0 degrees of freedom.
#[must_use]
pub fn noncentral_t_cdf(t: f64, df: f64, shift: f64) -> f64 {
    if df.is_infinite() {
        return normal_cdf(t - shift);
    }
    mean_over_errors(df, 1.0, |s| normal_cdf(t * s - shift)).clamp(0.0, 1.0)
}

/// `P(X ≤ x)` of the chi-square distribution with `df` > 0 degrees of freedom.
#[must_use]
pub fn chi_square_cdf(x: f64, df: f64) -> f64 {
    if x <= 0.0 { 0.0 } else { gamma_lr(0.5 * df, 0.5 * x) }
}

/// The `probability` quantile, inside (0, 1), of the chi-square distribution.
#[must_use]
pub fn chi_square_quantile(probability: f64, df: f64) -> f64 {
    let mut high = df.max(1.0);
    while chi_square_cdf(high, df) < probability && high < 1e300 {
        high *= 2.0;
    }
    bisect(0.0, high, |x| chi_square_cdf(x, df) < probability)
}

/// The mean of `value(s)` over s = √(χ²/df), the ratio of an estimated standard error to the true
/// one; `kink` is where `value` is not smooth. Integrated over ln s, where the density falls off
/// at least exponentially.
pub(crate) fn mean_over_errors(df: f64, kink: f64, value: impl Fn(f64) -> f64) -> f64 {
    let half = 0.5 * df;
    let constant = LN_2 + half * half.ln() - ln_gamma(half);
    let reach = (45.0 / df).sqrt(); // beyond it the density is below 1e-18
    let (low, high) = (-reach - 45.0 / df, reach);
    let kink = kink.ln().clamp(low, high);
    let at = |u: f64| value(u.exp()) * (constant + df * u - half * (2.0 * u).exp()).exp();
    panels(low, kink, &at) + panels(kink, high, &at)
}

fn panels(low: f64, high: f64, at: &impl Fn(f64) -> f64) -> f64 {
    let half = 0.5 * (high - low) / f64::from(PANELS);
    let mut sum = 0.0;
    for panel in 0..PANELS {
        let centre = low + half * f64::from(2 * panel + 1);
        for (node, weight) in NODES {
            sum += weight * (at(centre - half * node) + at(centre + half * node));
        }
    }
    half * sum
}
