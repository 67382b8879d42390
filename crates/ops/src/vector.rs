//! Elementwise mathematics that the compiler can turn into vector instructions, and the choice of
//! those instructions at run time.
//!
//! The functions are free of branches and calls, and multiply and add separately, so every kind of
//! processor computes the same bits.

use std::sync::LazyLock;

use pulp::Arch;

/// What this processor can do, found out once.
pub(crate) static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);

/// Functions that run compiled for the widest vectors that this processor has.
///
/// What such a function calls has to be inlined into it: anything that stays a call of its own, as a
/// closure may, is compiled for the narrowest vectors.
macro_rules! vectorised {
    ($(
        $(#[$attribute:meta])*
        $visible:vis fn $name:ident<$life:lifetime, $type:ident>(
            $($argument:ident: $of:ty),* $(,)?
        ) $body:block
    )*) => {$(
        $(#[$attribute])*
        $visible fn $name<$life, $type: crate::real::Real>($($argument: $of),*) {
            struct Kernel<$life, $type: crate::real::Real> {
                $($argument: $of),*
            }

            impl<$life, $type: crate::real::Real> pulp::NullaryFnOnce for Kernel<$life, $type> {
                type Output = ();

                #[inline(always)]
                fn call(self) {
                    let Self { $($argument),* } = self;
                    $body
                }
            }

            crate::vector::ARCH.dispatch(Kernel { $($argument),* });
        }
    )*};
}
pub(crate) use vectorised;

/// eˣ within 1.5e-7 relative; 0 below −87, where it would be about to vanish, and infinite above 88.7.
///
/// Cody and Waite's reduction `x = n ln 2 + r`, then the series of `eʳ` up to `r⁷`, and `n` put
/// into the exponent.
#[inline(always)]
pub(crate) fn exp_f32(x: f32) -> f32 {
    const LOWEST: f32 = -87.0;
    const HIGHEST: f32 = 88.7;
    // Adding it rounds to a whole number, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³
    const LN_2_HIGH: f32 = 0.693_359_4; // exact products with |n| < 2⁹
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let bounded = if x < LOWEST { LOWEST } else { x };
    let bounded = if bounded > HIGHEST { HIGHEST } else { bounded };
    let shifted = bounded * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (bounded - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut series = 1.0 / 5040.0;
    for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        series = series * r + factor;
    }
    // 2ⁿ in two factors, since n may be 128.
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    let power = |n: i32| f32::from_bits((n.wrapping_add(127) << 23) as u32);
    let value = series * power(half) * power(n.wrapping_sub(half));
    let value = if x < LOWEST { 0.0 } else { value };
    if x > HIGHEST { f32::INFINITY } else { value }
}

/// The standard normal distribution function Φ(x) and its density φ(x), both within 2e-7.
///
/// `Φ(−a) = φ(a) M(a)` with Mills' ratio `M`, a polynomial in `1/(1 + 0.3 a)` that was fitted for
/// this by least squares, reweighted until its relative error is even: 6e-8 for `a` up to 14, where
/// φ is 0 in f32.
#[inline(always)]
pub(crate) fn normal_f32(x: f32) -> (f32, f32) {
    const PEAK: f32 = 0.398_942_3; // 1/√(2π)
    const MILLS: [f32; 8] = [
        -0.424_036_56,
        0.573_165_8,
        -0.191_773_3,
        0.357_283_6,
        0.237_336_4,
        0.305_609,
        0.299_511_22,
        1.797_069_7e-5,
    ];
    let density = PEAK * exp_f32(-0.5 * x * x);
    let distance = if x < 0.0 { -x } else { x };
    let t = 1.0 / (1.0 + 0.3 * distance);
    let mut ratio = 0.096_200_1;
    for factor in MILLS {
        ratio = ratio * t + factor;
    }
    let tail = density * ratio;
    (if x < 0.0 { tail } else { 1.0 - tail }, density)
}

/// σ(x) = 1/(1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid_f32(x: f32) -> f32 {
    1.0 / (1.0 + exp_f32(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From −100 to 100 in steps that hit neither whole numbers nor powers of two.
    fn arguments() -> impl Iterator<Item = f32> {
        (0..200_001).map(|index| (index as f32 - 100_000.0) * 1.000_13e-3)
    }

    #[test]
    fn powers_are_those_of_the_library() {
        for x in arguments() {
            let (found, expected) = (exp_f32(x), f64::from(x).exp());
            let error = (f64::from(found) - expected).abs();
            if x <= -87.0 {
                assert!(found == 0.0, "{x}: {found}");
            } else if x < 88.7 {
                assert!(error <= 1.5e-7 * expected, "{x}: {found} {expected}");
            } else {
                assert!(found == f32::INFINITY);
            }
        }
        assert!(exp_f32(f32::NAN).is_nan());
        assert!(exp_f32(f32::NEG_INFINITY) == 0.0 && exp_f32(f32::INFINITY) == f32::INFINITY);
        assert!((exp_f32(0.0) - 1.0).abs() == 0.0);
    }

    /// The library's `erf` in f64 is the reference; A&S 7.1.1.
    #[test]
    fn distribution_and_density_are_those_of_the_library() {
        for x in arguments() {
            let (found, density) = normal_f32(x);
            let z = f64::from(x);
            let erf = candle_core::cpu::erf::erf_f64(z * std::f64::consts::FRAC_1_SQRT_2);
            assert!((f64::from(found) - 0.5 * (1.0 + erf)).abs() <= 2e-7, "{x}: {found}");
            let expected = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
            assert!((f64::from(density) - expected).abs() <= 2e-7, "{x}: {density}");
        }
        assert!(normal_f32(f32::NAN).0.is_nan());
        assert!((normal_f32(f32::INFINITY).0 - 1.0).abs() == 0.0);
        assert!(normal_f32(f32::NEG_INFINITY).0 == 0.0);
    }

    #[test]
    fn sigmoids_are_symmetric_and_bounded() {
        for x in arguments() {
            let (found, expected) = (sigmoid_f32(x), 1.0 / (1.0 + (-f64::from(x)).exp()));
            assert!((f64::from(found) - expected).abs() <= 2e-7, "{x}: {found}");
        }
    }
}
