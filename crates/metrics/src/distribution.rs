//! The normal, t, beta and binomial distributions, as far as intervals and tests need them.
//!
//! `statrs` supplies the logarithm of the beta function and a first guess of the normal quantile.
//! Its error function is good to eleven digits, its incomplete beta function stops after 140 terms,
//! too few beyond a few thousand degrees of freedom; both are therefore done here, and held against
//! SciPy and mpmath in the tests.

use std::f64::consts::{FRAC_1_SQRT_2, PI, TAU};

use statrs::function::beta::ln_beta;
use statrs::function::erf::erfc_inv;

/// Beyond these degrees of freedom the first terms of the expansion around the normal distribution
/// are exact to a dozen digits (Abramowitz and Stegun 26.7.5), where the continued fraction loses.
const NEARLY_NORMAL: f64 = 1e6;

/// `P(Z ≤ x)` of the standard normal distribution.
#[must_use]
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x * FRAC_1_SQRT_2)
}

/// `P(|Z| ≥ |z|)` of the standard normal distribution.
#[must_use]
pub fn normal_two_sided(z: f64) -> f64 {
    erfc(z.abs() * FRAC_1_SQRT_2)
}

/// The `probability` quantile of the standard normal distribution; ±∞ at 1 and 0.
#[must_use]
pub fn normal_quantile(probability: f64) -> f64 {
    if probability <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if probability >= 1.0 {
        return f64::INFINITY;
    }
    let x = -std::f64::consts::SQRT_2 * erfc_inv(2.0 * probability);
    // One step of Newton takes the approximation to the last digits.
    let density = (-0.5 * x * x).exp() / TAU.sqrt();
    if density > 0.0 { x - (normal_cdf(x) - probability) / density } else { x }
}

/// `P(|T| ≥ |t|)` of Student's distribution with `df` degrees of freedom, `df` > 0; the normal
/// distribution for infinite `df`.
#[must_use]
pub fn t_two_sided(t: f64, df: f64) -> f64 {
    if df.is_infinite() || t.is_infinite() {
        return normal_two_sided(t);
    }
    if df > NEARLY_NORMAL {
        let cubic = t * (1.0 + t * t) / (4.0 * df);
        let quintic = t * (3.0 + t * t * (8.0 + 13.0 * t * t)) / (96.0 * df * df);
        return normal_two_sided(t - cubic + quintic);
    }
    let square = t * t / df;
    let log_x = -square.ln_1p(); // x = df / (df + t²), exact also where x rounds to 1
    let log_y = square.ln() + log_x;
    beta_from_logs(0.5 * df, 0.5, log_x, log_y)
}

/// `P(T ≤ t)` of Student's distribution with `df` degrees of freedom, `df` > 0.
#[must_use]
pub fn t_cdf(t: f64, df: f64) -> f64 {
    let tail = 0.5 * t_two_sided(t, df);
    if t < 0.0 { tail } else { 1.0 - tail }
}

/// The `probability` quantile of Student's distribution with `df` degrees of freedom, `df` > 0.
#[must_use]
pub fn t_quantile(probability: f64, df: f64) -> f64 {
    if df.is_infinite() {
        return normal_quantile(probability);
    }
    if df > NEARLY_NORMAL {
        let z = normal_quantile(probability);
        return z + z * (1.0 + z * z) / (4.0 * df);
    }
    if (probability - 0.5).abs() < f64::EPSILON {
        return 0.0;
    }
    let tail = 2.0 * probability.min(1.0 - probability); // both tails together
    if tail <= 0.0 {
        return if probability < 0.5 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    let mut high = 1.0;
    while t_two_sided(high, df) > tail && high < 1e300 {
        high *= 2.0;
    }
    let low = if high > 1.0 { 0.5 * high } else { 0.0 };
    let quantile = bisect(low, high, |t| t_two_sided(t, df) > tail);
    if probability < 0.5 { -quantile } else { quantile }
}

/// The regularised incomplete beta function `I_x(a, b)`, `a`, `b` > 0, `x` in `[0, 1]`.
#[must_use]
pub fn beta_cdf(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    beta_from_logs(a, b, x.ln(), (-x).ln_1p())
}

/// The `probability` quantile of the beta distribution.
#[must_use]
pub fn beta_quantile(probability: f64, a: f64, b: f64) -> f64 {
    bisect(0.0, 1.0, |x| beta_cdf(x, a, b) < probability)
}

/// `P(X ≤ k)` of `n` fair coins.
#[must_use]
pub fn fair_binomial_cdf(k: u64, n: u64) -> f64 {
    if k >= n { 1.0 } else { beta_cdf(0.5, (n - k) as f64, k as f64 + 1.0) }
}

/// `P(X = k)` of `n` fair coins, `k` ≤ `n`.
#[must_use]
pub fn fair_binomial(k: u64, n: u64) -> f64 {
    let (k, n) = (k as f64, n as f64);
    // C(n, k) = 1 / ((n + 1) B(n − k + 1, k + 1))
    (-(n + 1.0).ln() - ln_beta(n - k + 1.0, k + 1.0) - n * std::f64::consts::LN_2).exp()
}

/// The complementary error function: one minus the series of the error function near 0, else its
/// continued fraction (Abramowitz and Stegun 7.1.6, 7.1.14).
fn erfc(x: f64) -> f64 {
    if x < 0.0 {
        return 2.0 - erfc(-x);
    }
    let square = x * x;
    let front = (-square).exp() / PI.sqrt();
    if x < 1.5 {
        let (mut term, mut sum, mut n) = (2.0 * x, 2.0 * x, 1.0);
        while term > 1e-18 * sum {
            term *= 2.0 * square / (2.0 * n + 1.0);
            sum += term;
            n += 1.0;
        }
        return 1.0 - front * sum;
    }
    // 1/(x + (1/2)/(x + (2/2)/(x + (3/2)/(x + …)))), from the inside out.
    let depth = 20 + (600.0 / square) as u32;
    let inner = (1..=depth).rev().fold(x, |tail, n| x + 0.5 * f64::from(n) / tail);
    front / inner
}

/// `I_x(a, b)` from `ln x` and `ln (1 − x)`.
fn beta_from_logs(a: f64, b: f64, log_x: f64, log_y: f64) -> f64 {
    let front = (a * log_x + b * log_y - log_beta(a, b)).exp();
    if log_x.exp() < (a + 1.0) / (a + b + 2.0) {
        front * continued_fraction(a, b, log_x.exp()) / a
    } else {
        1.0 - front * continued_fraction(b, a, log_y.exp()) / b
    }
}

/// `ln B(a, b)`; for `b` = ½ and large `a` by the series of `ln Γ(a + ½) − ln Γ(a)`, which the
/// difference of two large logarithms would lose.
fn log_beta(a: f64, b: f64) -> f64 {
    if a < 25.0 || (b - 0.5).abs() > 0.0 {
        return ln_beta(a, b);
    }
    let r = a.recip();
    let series =
        r * (-1.0 / 8.0 + r * r * (1.0 / 192.0 + r * r * (-1.0 / 640.0 + r * r * 17.0 / 14_336.0)));
    0.5 * PI.ln() - 0.5 * a.ln() - series
}

/// The continued fraction of the incomplete beta function (Abramowitz and Stegun 26.5.8), by
/// Lentz's method.
fn continued_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = away(1.0 - (a + b) * x / (a + 1.0)).recip();
    let mut fraction = d;
    for m in 1..200_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = away(1.0 + even * d).recip();
        c = away(1.0 + even / c);
        fraction *= d * c;
        d = away(1.0 + odd * d).recip();
        c = away(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

/// Halves `[low, high]` to its last digit; `left` says that the answer lies right of a point.
pub(crate) fn bisect(mut low: f64, mut high: f64, left: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if left(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}
