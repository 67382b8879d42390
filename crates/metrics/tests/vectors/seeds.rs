//! Several seeds a side: the interval over runs and items.

use mmc_metrics::delong::Placements;
use mmc_metrics::two_way::{Pairing, Runs, TwoWay, two_way};
use mmc_metrics::{Contrast, Items, MetricError, compare, metric};
use serde_json::{Value, json};

use crate::pairs::{Ranked, contrast, ranked};
use crate::{Answer, differs, get};

fn described(found: &TwoWay) -> Result<Value, MetricError> {
    Ok(json!({
        "seed_variance": found.seed_variance, "item_variance": found.c,
        "variance": found.variance, "df": found.df, "t": found.t(), "p": found.p_value(),
        "ci95": found.interval(0.95)?,
    }))
}

pub(super) fn two_way_auroc(case: &Value, quantity: &str) -> Answer {
    let labels: Vec<usize> = get(case, "labels");
    let positive: Vec<bool> = labels.iter().map(|&label| label == 1).collect();
    let placed = |key: &str| -> Vec<Placements> {
        let seeds: Vec<Vec<f64>> = get(case, key);
        seeds.iter().map(|scores| Placements::new(scores, &positive).unwrap()).collect()
    };
    let (a, b) = (placed("seeds_a"), placed("seeds_b"));
    let scores = |side: &[Placements]| side.iter().map(Placements::auroc).collect::<Vec<f64>>();
    let all: Vec<&Placements> = a.iter().chain(&b).collect();
    let square = |cell: &dyn Fn(&Placements, &Placements) -> f64| -> Vec<Vec<f64>> {
        all.iter().map(|x| all.iter().map(|y| cell(x, y)).collect()).collect()
    };
    let delong = square(&|x, y| x.covariance(y).unwrap());
    let (baseline, candidate) = (scores(&a), scores(&b));
    let of = |covariance: &[Vec<f64>], pairing| {
        let (baseline, candidate) = (baseline.as_slice(), candidate.as_slice());
        two_way(&Runs { baseline, candidate, covariance, item_df: None }, pairing)
    };
    let whole = |paired: bool| -> Answer {
        let side = |key: &str| -> Vec<Ranked> {
            let seeds: Vec<Vec<f64>> = get(case, key);
            seeds.iter().map(|scores| ranked(scores, &labels)).collect()
        };
        let found = contrast(&side("seeds_a"), &side("seeds_b"), paired)?;
        Ok(json!({
            "seed_variance": found.seed_variance, "item_variance": found.c,
            "variance": found.seed_variance + found.c, "df": found.df,
            "t": found.difference / (found.seed_variance + found.c).sqrt(),
            "p": found.p_value, "ci95": found.interval,
        }))
    };
    let checked = |found: Value, whole: Value| {
        assert!(differs(&found, &whole, 1e-11).is_none(), "{found} and {whole} differ");
        found
    };
    Ok(match quantity {
        "auc_a" => json!(baseline),
        "auc_b" => json!(candidate),
        "difference" => json!(of(&delong, Pairing::Unpaired)?.difference),
        "unpaired_seeds" => checked(described(&of(&delong, Pairing::Unpaired)?)?, whole(false)?),
        "paired_seeds" => checked(described(&of(&delong, Pairing::Paired)?)?, whole(true)?),
        "published_jackknife_paired" => {
            let jackknife = square(&jackknife_covariance);
            // Published with seven digits, so 15.25967 stands for what rounds to it.
            let mut found = described(&of(&jackknife, Pairing::Paired)?)?;
            found["df"] = json!((found["df"].as_f64().unwrap() * 1e5).round() / 1e5);
            found
        }
        _ => panic!("quantity `{quantity}` is not tested"),
    })
}

/// (n − 1)/n Σ of products of the leave-one-out values' deviations.
fn jackknife_covariance(a: &Placements, b: &Placements) -> f64 {
    let values = |side: &Placements| -> Vec<f64> {
        let values: Vec<f64> = side.jackknife().into_iter().map(Option::unwrap).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|value| value - mean).collect()
    };
    let (a, b) = (values(a), values(b));
    let n = a.len() as f64;
    (n - 1.0) / n * a.iter().zip(&b).map(|(a, b)| a * b).sum::<f64>()
}

/// Files of items in clusters, one a seed.
fn clustered<'a>(
    side: &'a [Vec<usize>],
    labels: &'a [usize],
    probabilities: &'a [Vec<f64>],
    clusters: &'a [usize],
) -> Vec<Items<'a>> {
    let file = |predictions: &'a Vec<usize>| Items {
        clusters: Some(clusters),
        ..Items::new(labels, predictions, probabilities, 2)
    };
    side.iter().map(file).collect()
}

pub(super) fn two_way_mean(case: &Value, quantity: &str) -> Answer {
    // Per-item scores of 0 and 1 as predictions of an all-positive file: accuracy is their mean.
    let (a, b): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (get(case, "seeds_a"), get(case, "seeds_b"));
    let clusters: Vec<usize> = get(case, "clusters");
    let n = clusters.len();
    let labels = vec![1; n];
    let probabilities = vec![vec![0.5, 0.5]; n];
    let decide = |seeds: &[Vec<f64>]| -> Vec<Vec<usize>> {
        seeds.iter().map(|row| row.iter().map(|&x| usize::from(x > 0.5)).collect()).collect()
    };
    let (a, b) = (decide(&a), decide(&b));
    let found = compare(&Contrast {
        metric: metric("accuracy")?,
        baseline: &clustered(&a, &labels, &probabilities, &clusters),
        candidate: &clustered(&b, &labels, &probabilities, &clusters),
        paired_seeds: false,
        margin: 0.0,
        lower_level: 0.95,
        upper_level: 0.95,
        seed: 0,
    })?;
    assert_eq!(found.clusters, Some(8));
    Ok(match quantity {
        "difference" => json!(found.difference),
        "unpaired_seeds" => json!({
            "seed_variance": found.v_a + found.v_b, "item_variance": found.c,
            "variance": found.seed_variance + found.c, "df": found.df,
        }),
        "ci95" => json!(found.interval),
        _ => panic!("quantity `{quantity}` is not tested"),
    })
}
