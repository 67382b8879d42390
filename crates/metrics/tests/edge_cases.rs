//! What happens at the borders: no spread, rare classes, numbers that are not.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use mmc_metrics::bootstrap::{Resampling, bootstrap};
use mmc_metrics::calibration::{Binning, calibration};
use mmc_metrics::correction::{benjamini_hochberg, benjamini_yekutieli, bonferroni};
use mmc_metrics::delong::Placements;
use mmc_metrics::emap::emap;
use mmc_metrics::interval::{clopper_pearson, unanimous_bound, wilson};
use mmc_metrics::labels::{Confusion, vqa_soft_accuracy};
use mmc_metrics::paired::paired_permutation;
use mmc_metrics::two_way::{Pairing, Runs, items_only, two_way};
use mmc_metrics::{MetricError, auroc, average_precision, delong_paired, holm};

fn mean(values: &[f64]) -> impl Fn(&[usize]) -> Result<f64, MetricError> {
    |rows| Ok(rows.iter().map(|&row| values[row]).sum::<f64>() / rows.len() as f64)
}

#[test]
fn a_bootstrap_without_spread_has_no_corrected_interval() {
    let found = bootstrap(9, None, &Resampling::default(), mean(&[0.5; 9])).unwrap();
    assert_eq!((found.bca, found.acceleration, found.redrawn), (None, None, 0));
    assert!(found.percentile.width() <= 0.0 && found.standard_error <= 0.0);
}

#[test]
fn a_bootstrap_draws_whole_clusters_and_the_same_ones_for_the_same_seed() {
    let values: Vec<f64> = (0..40).map(|item| f64::from(item / 4 % 2)).collect();
    let clusters: Vec<usize> = (0..40).map(|item| item / 4).collect();
    let run = |clusters, seed| {
        let resampling = Resampling { seed, ..Resampling::default() };
        bootstrap(40, clusters, &resampling, mean(&values)).unwrap()
    };
    // Ten clusters of equal values: the standard error of ten items, twice that of forty.
    let together = run(Some(clusters.as_slice()), 3).standard_error;
    assert!((together - (0.25_f64 / 10.0).sqrt()).abs() < 0.01, "{together}");
    let alone = run(None, 3).standard_error;
    assert!((alone - (0.25_f64 / 40.0).sqrt()).abs() < 0.005, "{alone}");
    assert_eq!(run(None, 3), run(None, 3));
    assert_ne!(run(None, 3), run(None, 4));
}

#[test]
fn a_bootstrap_whose_resamples_lack_a_class_too_often_errs() {
    let scores: Vec<f64> = (0..60).map(|item| f64::from(item * 7 % 60)).collect();
    let run = |positives: usize| {
        let positive: Vec<bool> = (0..60).map(|item| item < positives).collect();
        bootstrap(60, None, &Resampling::default(), |rows| {
            let drawn: Vec<f64> = rows.iter().map(|&row| scores[row]).collect();
            auroc(&drawn, &rows.iter().map(|&row| positive[row]).collect::<Vec<_>>())
        })
    };
    // Four of sixty: 1.6 % of the resamples have none; two: 13 %.
    let few = run(4).unwrap();
    assert!((1..100).contains(&few.redrawn), "{}", few.redrawn);
    assert!(matches!(run(2), Err(MetricError::Degenerate { redrawn: 101, .. })));
}

#[test]
fn random_permutations_agree_with_all_of_them() {
    let gaps = [0.4, -0.1, 0.3, 0.2, 0.5, -0.2, 0.1, 0.6, 0.3, -0.4, 0.2, 0.1];
    let exact = paired_permutation(&[0.0; 12], &gaps, None, 0, 0).unwrap();
    assert!(exact.exact);
    // The same pairs twice, in clusters of two: the same test with doubled gaps.
    let twice: Vec<f64> = gaps.iter().chain(&gaps).copied().collect();
    let clusters: Vec<usize> = (0..24).map(|item| item % 12).collect();
    let clustered = paired_permutation(&[0.0; 24], &twice, Some(&clusters), 0, 0).unwrap();
    assert!(clustered.exact && (clustered.p_value - exact.p_value).abs() < 1e-12);
    // Zero gaps beyond twenty items change no p-value but call for random patterns.
    let padded: Vec<f64> = gaps.iter().copied().chain([0.0; 20]).collect();
    let random = paired_permutation(&[0.0; 32], &padded, None, 20_000, 1).unwrap();
    let error = (exact.p_value * (1.0 - exact.p_value) / 20_000.0).sqrt();
    assert!(!random.exact && (random.p_value - exact.p_value).abs() < 4.0 * error + 1e-4);
    let none = paired_permutation(&[0.0; 32], &padded, None, 0, 1);
    let expected = MetricError::TooFew { what: "replicates", found: 0, expected: 1 };
    assert_eq!(none, Err(expected));
}

#[test]
fn delong_tells_identical_rankings_from_ones_without_variance() {
    let positive = [true, true, true, false, false, false];
    let good = [0.9, 0.8, 0.4, 0.5, 0.2, 0.1];
    let scaled = good.map(|score| 10.0 * score - 3.0);
    let same = delong_paired(&good, &scaled, &positive).unwrap();
    assert_eq!((same.z, same.p_value, same.difference), (0.0, 1.0, 0.0));
    let perfect = [0.9, 0.8, 0.7, 0.3, 0.2, 0.1];
    let none = delong_paired(&[0.5; 6], &perfect, &positive);
    assert!(matches!(none, Err(MetricError::Undefined { .. })));
    // Separable in this sample: a bound, not a point.
    let interval = Placements::new(&perfect, &positive).unwrap().interval(0.95).unwrap();
    assert!((interval.low - (1.0 - unanimous_bound(3, 0.95))).abs() < 1e-12);
    let one_each = Placements::new(&[0.2, 0.7, 0.1], &[true, false, false]).unwrap();
    assert!(matches!(one_each.covariance(&one_each), Err(MetricError::Undefined { .. })));
    assert_eq!(one_each.jackknife()[0], None);
    assert!(one_each.interval(0.95).unwrap().width() > 0.9);
}

#[test]
fn the_unanimous_bound_is_the_end_of_the_exact_interval() {
    for trials in [1, 10, 500] {
        let exact = clopper_pearson(0, trials, 0.95).unwrap().high;
        assert!((unanimous_bound(trials as usize, 0.95) - exact).abs() < 1e-12);
    }
}

#[test]
fn jackknife_values_are_those_of_the_files_without_each_item() {
    let scores = [0.1, 0.4, 0.4, 0.8, 0.3, 0.9, 0.4];
    let positive = [false, true, false, true, false, true, true];
    let found = Placements::new(&scores, &positive).unwrap().jackknife();
    for (left_out, found) in found.iter().enumerate() {
        let rest = |item: &usize| *item != left_out;
        let kept: Vec<usize> = (0..scores.len()).filter(rest).collect();
        let scores: Vec<f64> = kept.iter().map(|&item| scores[item]).collect();
        let positive: Vec<bool> = kept.iter().map(|&item| positive[item]).collect();
        let expected = auroc(&scores, &positive).unwrap();
        assert!((found.unwrap() - expected).abs() < 1e-12);
    }
}

#[test]
fn the_two_way_interval_falls_back_on_the_items_where_seeds_agree() {
    let covariance = vec![vec![1e-4; 4]; 4];
    let mut apart = covariance.clone();
    for (run, row) in apart.iter_mut().enumerate() {
        for (other, cell) in row.iter_mut().enumerate() {
            *cell = if run / 2 == other / 2 { 1e-4 } else { 0.0 };
        }
    }
    let baseline = [0.7, 0.7];
    let candidate = [0.75, 0.75];
    let runs = Runs {
        baseline: &baseline,
        candidate: &candidate,
        covariance: &apart,
        item_df: Some(29.0),
    };
    let found = two_way(&runs, Pairing::Unpaired).unwrap();
    assert_eq!((found.df, found.seed_variance), (Some(29.0), 0.0));
    assert!((found.c - 2e-4).abs() < 1e-18);
    // Noise that all files share cancels: no variance, and never a negative one.
    let shared = Runs { covariance: &covariance, ..runs };
    assert!(items_only(&shared).unwrap().variance < 1e-20);
    let one = Runs { baseline: &baseline[..1], ..runs };
    let expected = MetricError::Lengths { what: "covariance", expected: 3, found: 4 };
    assert_eq!(two_way(&one, Pairing::Unpaired), Err(expected));
    let three = vec![vec![0.0; 3]; 3];
    let one = Runs { covariance: &three, ..one };
    let expected = MetricError::TooFew { what: "seeds", found: 1, expected: 2 };
    assert_eq!(two_way(&one, Pairing::Unpaired), Err(expected));
}

#[test]
fn numbers_that_are_none_err() {
    let not_finite = |what, index| Some(MetricError::NotFinite { what, index });
    assert_eq!(auroc(&[0.1, f64::NAN], &[true, false]).err(), not_finite("scores", 1));
    assert_eq!(average_precision(&[f64::INFINITY], &[true]).err(), not_finite("scores", 0));
    for correct in [holm, bonferroni, benjamini_hochberg, benjamini_yekutieli] {
        assert_eq!(correct(&[0.1, f64::NAN]).err(), not_finite("p_values", 1));
        assert!(correct(&[1.1]).is_err());
        assert_eq!(correct(&[]), Ok(vec![]));
    }
    assert_eq!(emap(&[]), Err(MetricError::Empty));
    assert!(emap(&[vec![vec![1.0]], vec![vec![1.0]]]).is_err()); // not square
    assert!(emap(&[vec![vec![f64::NAN]]]).is_err());
    assert!(calibration(&[0.5], &[true], 0, Binning::EqualMass).is_err());
    assert!(calibration(&[1.5], &[true], 15, Binning::EqualWidth).is_err());
    assert!(wilson(3.0, 2.0, 0.95).is_err() && wilson(0.0, 0.0, 0.95).is_err());
    assert!(wilson(1.0, 2.0, 1.0).is_err() && clopper_pearson(1, 2, 0.0).is_err());
    assert!(vqa_soft_accuracy("yes", &["yes"]).is_err());
}

/// The product of the roots of 6 and 6 is a last digit below 6.
#[test]
fn mcc_of_all_wrong_is_not_below_minus_one() {
    let confusion = Confusion::new(&[1, 0, 1, 1], &[0, 1, 0, 0], 2).unwrap();
    assert!((-1.0..-0.999_999).contains(&confusion.mcc()), "{}", confusion.mcc());
}
