//! Tests of two files, and of several p-values.

use mmc_metrics::correction::{benjamini_hochberg, benjamini_yekutieli, bonferroni};
use mmc_metrics::{
    Comparison, Contrast, Items, MetricError, compare, delong_paired, holm, mcnemar, metric,
};
use serde_json::{Value, json};

use crate::{Answer, both, get};

pub(super) fn delong(case: &Value, quantity: &str) -> Answer {
    let labels: Vec<usize> = get(case, "labels");
    let positive: Vec<bool> = labels.iter().map(|&label| label == 1).collect();
    let (a, b): (Vec<f64>, Vec<f64>) = (get(case, "scores_a"), get(case, "scores_b"));
    let test = delong_paired(&a, &b, &positive)?;
    Ok(match quantity {
        "auc" => json!(test.auroc),
        "covariance" => json!(test.covariance),
        "difference" => json!(test.difference),
        "z" => json!(test.z),
        "p_value" => {
            // One file a side: the comparison of two files is DeLong's test.
            let [a, b] = [&a, &b].map(|scores| ranked(scores, &labels));
            let comparison = contrast(&[a], &[b], false)?;
            both(json!(test.p_value), &json!(comparison.p_value))
        }
        "ci95" => json!(test.interval(0.95)?),
        "published_abs_z" => json!(test.z.abs()),
        "published_p" => json!(test.p_value),
        _ => panic!("quantity `{quantity}` is not tested"),
    })
}

/// Rows whose logit difference is the score.
pub(super) struct Ranked {
    labels: Vec<usize>,
    predictions: Vec<usize>,
    probabilities: Vec<Vec<f64>>,
    logits: Vec<Vec<f64>>,
}

pub(super) fn ranked(scores: &[f64], labels: &[usize]) -> Ranked {
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    Ranked {
        labels: labels.to_vec(),
        predictions: scores.iter().map(|&score| usize::from(score > 0.0)).collect(),
        probabilities: scores.iter().map(|&s| vec![logistic(-s), logistic(s)]).collect(),
        logits: scores.iter().map(|&score| vec![0.0, score]).collect(),
    }
}

pub(super) fn contrast(
    baseline: &[Ranked],
    candidate: &[Ranked],
    paired_seeds: bool,
) -> Result<Comparison, MetricError> {
    fn items(side: &[Ranked]) -> Vec<Items<'_>> {
        fn row(file: &Ranked) -> Items<'_> {
            Items {
                logits: Some(&file.logits),
                ..Items::new(&file.labels, &file.predictions, &file.probabilities, 2)
            }
        }
        side.iter().map(row).collect()
    }
    compare(&Contrast {
        metric: metric("auroc")?,
        baseline: &items(baseline),
        candidate: &items(candidate),
        paired_seeds,
        margin: 0.0,
        lower_level: 0.95,
        upper_level: 0.95,
        seed: 0,
    })
}

pub(super) fn discordant(case: &Value, quantity: &str) -> Value {
    let test = mcnemar(get(case, "only_a_right"), get(case, "only_b_right"));
    json!(match quantity {
        "exact_p" => test.exact,
        "mid_p" => test.mid_p,
        "chi2_corrected_p" => test.chi2_corrected_p,
        "chi2_uncorrected_p" => test.chi2_p,
        _ => panic!("quantity `{quantity}` is not tested"),
    })
}

pub(super) fn corrections(case: &Value, quantity: &str) -> Answer {
    let p_values: Vec<f64> = get(case, "p_values");
    let (stem, reject) = match quantity.strip_suffix("_reject_at_0.05") {
        Some(stem) => (stem, true),
        None => (quantity.strip_suffix("_adjusted").unwrap(), false),
    };
    let adjusted = match stem {
        "holm" => holm(&p_values),
        "bonferroni" => bonferroni(&p_values),
        "benjamini_hochberg" => benjamini_hochberg(&p_values),
        "benjamini_yekutieli" => benjamini_yekutieli(&p_values),
        _ => panic!("quantity `{quantity}` is not tested"),
    }?;
    if reject {
        // The level itself rejects; products of decimals land a rounding beside it.
        return Ok(json!(adjusted.iter().map(|p| *p <= 0.05 + 1e-12).collect::<Vec<_>>()));
    }
    Ok(json!(adjusted))
}
