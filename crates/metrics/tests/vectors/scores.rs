//! Scores of one file of predictions: classes, answers, and the additive part of its logits.

use mmc_metrics::calibration::{Binning, Calibration, calibration};
use mmc_metrics::delong::Placements;
use mmc_metrics::emap::emap;
use mmc_metrics::interval::{clopper_pearson, wilson};
use mmc_metrics::labels::{
    ClassScores, Confusion, predicted_class, vqa_simplified_accuracy, vqa_soft_accuracy,
};
use mmc_metrics::probability::{brier, brier_sum, log_loss};
use mmc_metrics::ranking::{
    Average, auroc_one_vs_one, auroc_one_vs_rest, average_precision_one_vs_rest,
};
use mmc_metrics::{Interval, Items, MetricError, accuracy, auroc, average_precision, evaluate};
use serde_json::{Value, json};

use crate::{Answer, both, get};

/// The scored rows of a case, owned.
struct Rows {
    labels: Vec<usize>,
    predictions: Vec<usize>,
    probabilities: Vec<Vec<f64>>,
    classes: usize,
}

impl Rows {
    fn items(&self) -> Items<'_> {
        Items::new(&self.labels, &self.predictions, &self.probabilities, self.classes)
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

pub(super) fn binary(case: &Value, quantity: &str) -> Answer {
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

pub(super) fn multiclass(case: &Value, quantity: &str) -> Answer {
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

pub(super) fn proportion(case: &Value, quantity: &str) -> Answer {
    let (successes, trials): (u64, u64) = (get(case, "successes"), get(case, "n"));
    let (method, alpha) = quantity.rsplit_once("_alpha_").unwrap();
    let level = 1.0 - alpha.parse::<f64>().unwrap();
    Ok(json!(match method {
        "wilson" => wilson(successes as f64, trials as f64, level)?,
        "clopper_pearson" => clopper_pearson(successes, trials, level)?,
        _ => panic!("quantity `{quantity}` is not tested"),
    }))
}

pub(super) fn additive(case: &Value, quantity: &str) -> Answer {
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

pub(super) fn vqa(case: &Value, quantity: &str) -> Answer {
    let answers: Vec<String> = get(case, "answers");
    let answers: Vec<&str> = answers.iter().map(String::as_str).collect();
    let prediction: String = get(case, "prediction");
    Ok(json!(match quantity {
        "official" => vqa_soft_accuracy(&prediction, &answers)?,
        "simple" => vqa_simplified_accuracy(&prediction, &answers),
        _ => panic!("quantity `{quantity}` is not tested"),
    }))
}
