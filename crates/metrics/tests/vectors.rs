//! Every value of `statistics_vectors.json` (scikit-learn, scipy, statsmodels, published analyses)
//! against this crate. A kind or quantity that is not known here fails the test: nothing in the
//! file is out of scope.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test stops at the first surprise, and some values are exact"
)]

use mmc_metrics::bootstrap::{Bootstrap, Resampling, bootstrap};
use mmc_metrics::calibration::{Binning, Calibration, calibration};
use mmc_metrics::correction::{benjamini_hochberg, benjamini_yekutieli, bonferroni};
use mmc_metrics::delong::Placements;
use mmc_metrics::emap::emap;
use mmc_metrics::interval::{clopper_pearson, wilson};
use mmc_metrics::labels::{
    ClassScores, Confusion, predicted_class, vqa_simplified_accuracy, vqa_soft_accuracy,
};
use mmc_metrics::paired::paired_permutation;
use mmc_metrics::probability::{brier, brier_sum, log_loss};
use mmc_metrics::ranking::{
    Average, auroc_one_vs_one, auroc_one_vs_rest, average_precision_one_vs_rest,
};
use mmc_metrics::two_way::{Pairing, Runs, TwoWay, two_way};
use mmc_metrics::{
    Contrast, Interval, Items, MetricError, accuracy, auroc, average_precision, compare,
    delong_paired, evaluate, holm, mcnemar, metric,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

type Answer = Result<Value, MetricError>;

fn get<T: DeserializeOwned>(case: &Value, key: &str) -> T {
    serde_json::from_value(case[key].clone()).unwrap_or_else(|error| panic!("{key}: {error}"))
}

#[test]
fn every_vector_is_reproduced() {
    let file: Value = serde_json::from_str(include_str!("statistics_vectors.json")).unwrap();
    let mut faults = Vec::new();
    let mut checked = 0;
    for case in file["cases"].as_array().unwrap() {
        for (quantity, expected) in case["expected"].as_object().unwrap() {
            checked += 1;
            let name = case["name"].as_str().unwrap();
            let answer = compute(case, quantity);
            let fault = match (&answer, expected.get("error")) {
                (Err(MetricError::Undefined { .. }), Some(_)) => None,
                (Ok(value), None) => {
                    let tolerance = expected["abs_tol"].as_f64().unwrap();
                    differs(value, &expected["value"], tolerance)
                }
                _ => Some(format!("{answer:?} where {expected} was expected")),
            };
            faults.extend(fault.map(|fault| format!("{name}: {quantity}: {fault}")));
        }
    }
    assert!(faults.is_empty(), "{} of {checked}:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(checked, 487, "vectors were added or lost: look at what is new");
}

/// What differs between two values of the same shape by more than `tolerance`.
fn differs(found: &Value, expected: &Value, tolerance: f64) -> Option<String> {
    match (found, expected) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            // The tolerance of the file, plus rounding where that is 0.
            ((a - b).abs() > tolerance + 1e-15).then(|| format!("{a:e}, expected {b:e}"))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            a.iter().zip(b).find_map(|(a, b)| differs(a, b, tolerance))
        }
        (Value::Object(a), Value::Object(b)) => b.iter().find_map(|(key, b)| {
            let a = a.get(key).unwrap_or(&Value::Null);
            differs(a, b, tolerance).map(|fault| format!("{key}: {fault}"))
        }),
        _ => (found != expected).then(|| format!("{found}, expected {expected}")),
    }
}

fn compute(case: &Value, quantity: &str) -> Answer {
    match case["kind"].as_str().unwrap() {
        "binary" => binary(case, quantity),
        "multiclass" => multiclass(case, quantity),
        "delong_paired" => delong(case, quantity),
        "mcnemar" => Ok(discordant(case, quantity)),
        "corrections" => corrections(case, quantity),
        "proportion" => proportion(case, quantity),
        "bootstrap" => resampling(case, quantity),
        "paired_permutation" => permutation(case, quantity),
        "emap" => additive(case, quantity),
        "two_way_auroc" => two_way_auroc(case, quantity),
        "two_way_mean_clustered" => two_way_mean(case, quantity),
        "vqa_soft_accuracy" => vqa(case, quantity),
        kind => panic!("kind `{kind}` is not tested"),
    }
}

/// The scored rows of a case, owned.
struct Rows {
    labels: Vec<usize>,
    predictions: Vec<usize>,
    probabilities: Vec<Vec<f64>>,
    classes: usize,
}

impl Rows {
    fn items(&self) -> Items<'_> {
        Items {
            labels: &self.labels,
            predictions: &self.predictions,
            probabilities: &self.probabilities,
            logits: None,
            clusters: None,
            classes: self.classes,
            positive: 1,
            answers: None,
        }
    }

    /// The value of one key of `evaluate`; its reason as the error where it is undefined.
    fn evaluated(&self, key: &str) -> Answer {
        let evaluation = serde_json::to_value(evaluate(&self.items(), 0)?).unwrap();
        match &evaluation["undefined"][key] {
            Value::Null => Ok(evaluation[key].clone()),
            why => Err(MetricError::Undefined { metric: key.to_owned(), why: why.to_string() }),
        }
    }

    fn confusion(&self) -> Confusion {
        self.items().confusion().unwrap()
    }

    fn calibrated(&self, bins: usize, binning: Binning) -> Result<Calibration, MetricError> {
        let best = |row: &Vec<f64>| row.iter().copied().fold(0.0, f64::max);
        let confidence: Vec<f64> = self.probabilities.iter().map(best).collect();
        let pairs = self.predictions.iter().zip(&self.labels);
        let right: Vec<bool> = pairs.map(|(a, b)| a == b).collect();
        calibration(&confidence, &right, bins, binning)
    }

    /// `ece_equal_mass_15`, `rms_calibration_error_debiased_equal_width_15`, …
    fn calibration_error(&self, quantity: &str) -> Answer {
        let binning =
            if quantity.contains("equal_mass") { Binning::EqualMass } else { Binning::EqualWidth };
        assert!(quantity.contains("equal_mass") || quantity.contains("equal_width"));
        let (stem, bins) = quantity.rsplit_once('_').unwrap();
        let found = self.calibrated(bins.parse().unwrap(), binning)?;
        let stem = stem.trim_end_matches("_equal_mass").trim_end_matches("_equal_width");
        Ok(json!(match stem {
            "ece" => found.expected,
            "rms_calibration_error" => found.root_mean_square,
            "rms_calibration_error_debiased" => found.debiased,
            _ => panic!("quantity `{quantity}` is not tested"),
        }))
    }
}

fn triple(scores: ClassScores) -> Value {
    json!([scores.precision, scores.recall, scores.f1])
}

/// Two computations of one number; both must be the expected one.
fn both(first: Value, second: &Value) -> Value {
    assert!(differs(&first, second, 1e-13).is_none(), "{first} and {second} differ");
    first
}

fn binary(case: &Value, quantity: &str) -> Answer {
    let scores: Vec<f64> = get(case, "scores");
    let rows = Rows {
        labels: get(case, "labels"),
        predictions: scores.iter().map(|&p| usize::from(p >= 0.5)).collect(),
        probabilities: scores.iter().map(|&p| vec![1.0 - p, p]).collect(),
        classes: 2,
    };
    let positive: Vec<bool> = rows.labels.iter().map(|&label| label == 1).collect();
    let placements = || Placements::new(&scores, &positive);
    Ok(match quantity {
        "confusion_matrix" => both(json!(rows.confusion().rows()), &rows.evaluated("confusion")?),
        "accuracy" => {
            let found = json!(accuracy(&rows.predictions, &rows.labels)?);
            both(found, &rows.evaluated("accuracy")?)
        }
        "precision_recall_f1_zero_division_0" => {
            let found = triple(rows.confusion().class_scores(1, 0.0));
            let keys = ["precision", "recall", "f1"].map(|key| rows.evaluated(key).unwrap());
            both(found, &json!(keys))
        }
        "precision_recall_f1_zero_division_1" => triple(rows.confusion().class_scores(1, 1.0)),
        "f1_macro" | "f1_weighted" | "mcc" | "balanced_accuracy" => rows.evaluated(quantity)?,
        "roc_auc" => both(json!(auroc(&scores, &positive)?), &rows.evaluated("auroc")?),
        "roc_auc_delong_variance" => json!(placements()?.covariance(&placements()?)?),
        "roc_auc_delong_ci95" => {
            // Wald's, which this crate does not offer for one AUROC, from its variance.
            let variance = placements()?.covariance(&placements()?)?;
            let z = mmc_metrics::distribution::normal_quantile(0.975);
            let wald = Interval::around(placements()?.auroc(), z * variance.sqrt());
            json!(wald.within((0.0, 1.0)))
        }
        "roc_auc_delong_logit_ci95" => {
            let evaluation = evaluate(&rows.items(), 0)?;
            let found = json!(placements()?.interval(0.95)?);
            both(found, &json!(evaluation.interval("auroc")))
        }
        "average_precision" => {
            let found = json!(average_precision(&scores, &positive)?);
            both(found, &rows.evaluated("average_precision")?)
        }
        "log_loss" => {
            let found = json!(log_loss(&rows.probabilities, &rows.labels)?);
            both(found, &rows.evaluated("log_loss")?)
        }
        "brier" => both(json!(brier(&scores, &positive)?), &rows.evaluated("brier")?),
        "brier_sum_over_classes" => json!(brier_sum(&rows.probabilities, &rows.labels)?),
        "accuracy_wilson_ci95" => json!(evaluate(&rows.items(), 0)?.interval("accuracy")),
        _ => rows.calibration_error(quantity)?,
    })
}

fn multiclass(case: &Value, quantity: &str) -> Answer {
    let probabilities: Vec<Vec<f64>> = get(case, "probabilities");
    let rows = Rows {
        labels: get(case, "labels"),
        predictions: probabilities.iter().map(|row| predicted_class(row).unwrap()).collect(),
        probabilities,
        classes: get(case, "classes"),
    };
    let (probabilities, labels) = (&rows.probabilities, &rows.labels);
    let per_class = |pick: fn(ClassScores) -> f64| {
        let confusion = rows.confusion();
        let scores = (0..rows.classes).map(|class| pick(confusion.class_scores(class, 0.0)));
        json!(scores.collect::<Vec<_>>())
    };
    Ok(match quantity {
        "confusion_matrix" => rows.evaluated("confusion")?,
        "accuracy" | "mcc" | "balanced_accuracy" | "log_loss" => rows.evaluated(quantity)?,
        "precision_recall_f1_macro" => {
            let keys = ["precision", "recall", "f1_macro"].map(|key| rows.evaluated(key).unwrap());
            both(triple(rows.confusion().macro_scores()), &json!(keys))
        }
        "precision_recall_f1_micro" => triple(rows.confusion().micro_scores()),
        "precision_recall_f1_weighted" => triple(rows.confusion().weighted_scores()),
        "per_class_precision" => per_class(|scores| scores.precision),
        "per_class_recall" => per_class(|scores| scores.recall),
        "per_class_f1" => per_class(|scores| scores.f1),
        "roc_auc_ovr_macro" => {
            let found = auroc_one_vs_rest(probabilities, labels, rows.classes, Average::Macro)?;
            both(json!(found), &rows.evaluated("auroc")?)
        }
        "roc_auc_ovr_weighted" => {
            json!(auroc_one_vs_rest(probabilities, labels, rows.classes, Average::Weighted)?)
        }
        "roc_auc_ovo_macro" => {
            json!(auroc_one_vs_one(probabilities, labels, rows.classes, Average::Macro)?)
        }
        "roc_auc_ovo_weighted" => {
            json!(auroc_one_vs_one(probabilities, labels, rows.classes, Average::Weighted)?)
        }
        "average_precision_macro" => {
            let found = average_precision_one_vs_rest(probabilities, labels, rows.classes)?;
            both(json!(found), &rows.evaluated("average_precision")?)
        }
        "brier_sum_over_classes" => rows.evaluated("brier")?,
        "accuracy_wilson_ci95" => json!(evaluate(&rows.items(), 0)?.interval("accuracy")),
        _ => rows.calibration_error(quantity)?,
    })
}

fn delong(case: &Value, quantity: &str) -> Answer {
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
struct Ranked {
    labels: Vec<usize>,
    predictions: Vec<usize>,
    probabilities: Vec<Vec<f64>>,
    logits: Vec<Vec<f64>>,
}

fn ranked(scores: &[f64], labels: &[usize]) -> Ranked {
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    Ranked {
        labels: labels.to_vec(),
        predictions: scores.iter().map(|&score| usize::from(score > 0.0)).collect(),
        probabilities: scores.iter().map(|&s| vec![logistic(-s), logistic(s)]).collect(),
        logits: scores.iter().map(|&score| vec![0.0, score]).collect(),
    }
}

fn contrast(
    baseline: &[Ranked],
    candidate: &[Ranked],
    paired_seeds: bool,
) -> Result<mmc_metrics::Comparison, MetricError> {
    fn items(side: &[Ranked]) -> Vec<Items<'_>> {
        fn row(file: &Ranked) -> Items<'_> {
            Items {
                labels: &file.labels,
                predictions: &file.predictions,
                probabilities: &file.probabilities,
                logits: Some(&file.logits),
                clusters: None,
                classes: 2,
                positive: 1,
                answers: None,
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

fn discordant(case: &Value, quantity: &str) -> Value {
    let test = mcnemar(get(case, "only_a_right"), get(case, "only_b_right"));
    json!(match quantity {
        "exact_p" => test.exact,
        "mid_p" => test.mid_p,
        "chi2_corrected_p" => test.chi2_corrected_p,
        "chi2_uncorrected_p" => test.chi2_p,
        _ => panic!("quantity `{quantity}` is not tested"),
    })
}

fn corrections(case: &Value, quantity: &str) -> Answer {
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

fn proportion(case: &Value, quantity: &str) -> Answer {
    let (successes, trials): (u64, u64) = (get(case, "successes"), get(case, "n"));
    let (method, alpha) = quantity.rsplit_once("_alpha_").unwrap();
    let level = 1.0 - alpha.parse::<f64>().unwrap();
    Ok(json!(match method {
        "wilson" => wilson(successes as f64, trials as f64, level)?,
        "clopper_pearson" => clopper_pearson(successes, trials, level)?,
        _ => panic!("quantity `{quantity}` is not tested"),
    }))
}

fn resampling(case: &Value, quantity: &str) -> Answer {
    let values: Vec<f64> = get(case, "values");
    assert_eq!(case["statistic"], "mean");
    let resampling = Resampling { replicates: get(case, "resamples"), ..Resampling::default() };
    let mean =
        |rows: &[usize]| Ok(rows.iter().map(|&row| values[row]).sum::<f64>() / rows.len() as f64);
    let found: Bootstrap = bootstrap(values.len(), None, &resampling, mean)?;
    Ok(match quantity {
        "percentile_ci95" => json!(found.percentile),
        "bca_ci95" => json!(found.bca),
        "standard_error" => json!(found.standard_error),
        "acceleration" => json!(found.acceleration),
        _ => panic!("quantity `{quantity}` is not tested"),
    })
}

fn permutation(case: &Value, quantity: &str) -> Answer {
    let (a, b): (Vec<f64>, Vec<f64>) = (get(case, "a"), get(case, "b"));
    let test = paired_permutation(&a, &b, None, 0, 0)?;
    assert!(test.exact);
    Ok(json!(match quantity {
        "difference" => test.difference,
        "exact_two_sided_p" => test.p_value,
        "scipy_exact_two_sided_p" => (2.0 * test.p_greater.min(test.p_less)).min(1.0),
        "exact_greater_p" => test.p_greater,
        _ => panic!("quantity `{quantity}` is not tested"),
    }))
}

fn additive(case: &Value, quantity: &str) -> Answer {
    let grid: Vec<Vec<Vec<f64>>> = get(case, "logits_text_by_image");
    let own: Vec<Vec<f64>> = (0..grid.len()).map(|item| grid[item][item].clone()).collect();
    let found = emap(&grid)?;
    // One logit stands for the second of two classes, the first being 0.
    let decide = |rows: &[Vec<f64>]| -> Vec<usize> {
        let class = |row: &Vec<f64>| match row.as_slice() {
            [logit] => usize::from(*logit > 0.0),
            _ => predicted_class(row).unwrap(),
        };
        rows.iter().map(class).collect()
    };
    let labels = || get::<Vec<usize>>(case, "labels");
    Ok(match quantity {
        "emap_logits" => json!(found.logits),
        "original_logits" => json!(own),
        "emap_prediction" => json!(decide(&found.logits)),
        "original_prediction" => json!(decide(&own)),
        "emap_accuracy" => json!(accuracy(&decide(&found.logits), &labels())?),
        "original_accuracy" => json!(accuracy(&decide(&own), &labels())?),
        "interaction_variance_share" => json!(found.interaction_share),
        _ => panic!("quantity `{quantity}` is not tested"),
    })
}

fn described(found: &TwoWay) -> Result<Value, MetricError> {
    Ok(json!({
        "seed_variance": found.seed_variance, "item_variance": found.c,
        "variance": found.variance, "df": found.df, "t": found.t(), "p": found.p_value(),
        "ci95": found.interval(0.95)?,
    }))
}

fn two_way_auroc(case: &Value, quantity: &str) -> Answer {
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
        labels,
        predictions,
        probabilities,
        logits: None,
        clusters: Some(clusters),
        classes: 2,
        positive: 1,
        answers: None,
    };
    side.iter().map(file).collect()
}

fn two_way_mean(case: &Value, quantity: &str) -> Answer {
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

fn vqa(case: &Value, quantity: &str) -> Answer {
    let answers: Vec<String> = get(case, "answers");
    let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
    let prediction: String = get(case, "prediction");
    Ok(json!(match quantity {
        "official" => vqa_soft_accuracy(&prediction, &answers)?,
        "simple" => vqa_simplified_accuracy(&prediction, &answers),
        _ => panic!("quantity `{quantity}` is not tested"),
    }))
}
