//! How often the verdict is right and how often it cries wolf, over many experiments whose true
//! gain is known: the binormal model of Hateful Memes' dev set, 500 items, three seeds with a
//! standard deviation of 0.012, AUROC 0.72 of the text model, margin 0.02.
//!
//! The bounds are the nominal error rates and the shares that an independent implementation of the
//! same rule had on 400 repeats (0.766 multimodal at a gain of 0.06), each widened by a few
//! binomial standard errors.

use mmc_data::Arm;
use mmc_metrics::distribution::{normal_cdf, normal_quantile};
use mmc_report::{Answer, verdict};

use crate::synthetic::{Synthetic, arm};

const REPEATS: u64 = 200;
const TEXT_AUROC: f64 = 0.72;
const SEED_DEVIATION: f64 = 0.012;

/// How many of [`REPEATS`] experiments with this true gain end with each answer.
fn shares(gain: f64) -> [f64; 3] {
    // The separation's standard deviation over seeds that gives AUROC that of SEED_DEVIATION.
    let slope = {
        let at = normal_quantile(TEXT_AUROC);
        (normal_cdf(at + 1e-5) - normal_cdf(at - 1e-5)) / 2e-5
    };
    let seed_deviation = SEED_DEVIATION * 2.0_f64.sqrt() / slope;
    let spread = (2.0 + seed_deviation.powi(2)).sqrt();
    let separation = |auroc: f64| normal_quantile(auroc) * spread;
    let mut counts = [0.0; 3];
    for draw in 0..REPEATS {
        let experiment = Synthetic {
            items: 500,
            common: 0.5,
            of_arm: 0.3,
            seed_deviation,
            draw,
            ..Synthetic::new(vec![
                arm("bert", Arm::Text, separation(TEXT_AUROC)),
                arm("vilt", Arm::Both, separation(TEXT_AUROC + gain)),
            ])
        };
        let at = match verdict(&experiment.results(), 0.02).unwrap().verdict {
            Answer::Multimodal => 0,
            Answer::TextSuffices => 1,
            Answer::Undecided => 2,
        };
        counts[at] += 1.0 / REPEATS as f64;
    }
    counts
}

#[test]
fn the_picture_is_seldom_said_to_help_where_it_does_not() {
    let [multimodal, suffices, _] = shares(0.0);
    // Nominal 0.025; standard error 0.011.
    assert!(multimodal <= 0.025 + 3.0 * 0.011, "multimodal {multimodal}");
    // 0.132 in the reference; standard error 0.024.
    assert!((suffices - 0.132).abs() <= 3.0 * 0.03, "text suffices {suffices}");
}

#[test]
fn the_text_is_seldom_said_to_suffice_where_the_gain_is_the_margin() {
    let [_, suffices, _] = shares(0.02);
    assert!(suffices <= 0.025 + 3.0 * 0.011, "text suffices {suffices}");
}

#[test]
fn a_gain_of_three_margins_is_mostly_found() {
    let [multimodal, suffices, _] = shares(0.06);
    assert!(multimodal >= 0.766 - 3.0 * 0.037, "multimodal {multimodal}");
    assert!(suffices <= 0.005, "text suffices {suffices}");
}
