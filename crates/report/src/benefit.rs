//! What the picture costs for what it brings: extra time, money and energy for each additional
//! correct decision, and the volume from which that pays.

use mmc_data::Arm;
use mmc_metrics::{Interval, Metric, metric};
use mmc_run::Prices;
use serde::Serialize;

use crate::arm::{ArmRuns, median};
use crate::compare::{ALPHA, Rule};
use crate::cost::ArmCost;
use crate::score::ArmScore;

/// A model with text and picture against the text model, in decisions and in what they cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Benefit {
    /// The model, `model (arm)`.
    pub candidate: String,
    /// What it is compared with.
    pub baseline: String,
    /// Additional correct decisions of one item, the difference in accuracy.
    pub extra_correct: Option<f64>,
    /// Its 95 % interval, over seeds and items.
    pub extra_correct_interval: Option<Interval>,
    /// Seconds of predicting an item, median over seeds; the reading of its data included.
    pub seconds_per_prediction: Option<f64>,
    /// Those minus the text model's.
    pub extra_seconds: Option<f64>,
    /// Seconds of a training run minus the text model's, medians over seeds.
    pub extra_training_seconds: Option<f64>,
    /// What an additional correct decision costs.
    pub per_extra: PerExtra,
    /// Predictions after which the extra time of predicting exceeds that of training.
    pub volume_of_equal_time: Option<f64>,
    /// From how many predictions on the picture pays; known where an hour's price and a correct
    /// decision's value are given.
    pub break_even: BreakEven,
}

/// What an additional correct decision costs, or why it has no price.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PerExtra {
    /// It costs this much.
    Price {
        /// In seconds of computing.
        seconds: Range,
        /// In the user's currency, where an hour's price is given.
        money: Option<Range>,
        /// In watt hours, where the machine's watts are given.
        watt_hours: Option<Range>,
    },
    /// The multimodal model predicts no slower.
    NoExtraCost,
    /// It is shown to decide no more items right.
    NoneToBuy,
    /// Something is not known.
    Unknown {
        /// What.
        why: String,
    },
}

/// An estimate with the ends of its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Range {
    /// The estimate; absent where the gain is estimated as none.
    pub estimate: Option<f64>,
    /// At the high end of the gain.
    pub low: f64,
    /// At the low end of the gain; absent: without bound, since there may be no gain.
    pub high: Option<f64>,
}

/// The volume from which the picture pays.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BreakEven {
    /// From so many predictions on.
    From {
        /// Predictions.
        predictions: Range,
    },
    /// At no volume: an additional correct decision costs more than it is worth.
    Never,
    /// A price or a value was not given, or a cost not measured.
    Unknown,
}

impl Range {
    fn scaled(self, by: f64) -> Self {
        Self {
            estimate: self.estimate.map(|value| by * value),
            low: by * self.low,
            high: self.high.map(|value| by * value),
        }
    }
}

/// Every multimodal model against the text model.
pub(crate) fn benefits(arms: &[ArmRuns], text: Option<&ArmRuns>, prices: Prices) -> Vec<Benefit> {
    let Some(text) = text else { return Vec::new() };
    let both = arms.iter().filter(|arm| arm.arm == Arm::Both && !arm.runs.is_empty());
    both.map(|arm| benefit(arm, text, prices)).collect()
}

fn benefit(arm: &ArmRuns, text: &ArmRuns, prices: Prices) -> Benefit {
    let found = metric("accuracy").ok().and_then(|accuracy| {
        let rule =
            Rule { metric: accuracy, margin: 0.0, lower_level: 1.0 - ALPHA, paired_seeds: false };
        rule.compare(&text.items(), &arm.items()).ok()
    });
    let seconds = |arm: &ArmRuns| {
        let all: Option<Vec<f64>> =
            arm.runs.iter().map(|run| run.cost.seconds_per_prediction).collect();
        all.and_then(median)
    };
    let training =
        |arm: &ArmRuns| median(arm.runs.iter().map(|run| run.cost.wall_seconds).collect());
    let (own, other) = (seconds(arm), seconds(text));
    let extra_seconds = own.zip(other).map(|(own, other)| own - other);
    let extra_training_seconds = training(arm).zip(training(text)).map(|(own, other)| own - other);
    let gain = found.as_ref().map(|found| (found.difference, found.interval));
    Benefit {
        candidate: arm.name(),
        baseline: text.name(),
        extra_correct: gain.map(|gain| gain.0),
        extra_correct_interval: gain.map(|gain| gain.1),
        seconds_per_prediction: own,
        extra_seconds,
        extra_training_seconds,
        per_extra: per_extra(gain, extra_seconds, prices),
        volume_of_equal_time: extra_seconds
            .zip(extra_training_seconds)
            .filter(|(extra, training)| *extra > 0.0 && *training > 0.0)
            .map(|(extra, training)| training / extra),
        break_even: break_even(gain, (extra_seconds, extra_training_seconds), prices),
    }
}

/// Extra seconds over extra correct decisions; the interval is that of the latter turned over, the
/// seconds being taken as known.
fn per_extra(
    gain: Option<(f64, Interval)>,
    extra_seconds: Option<f64>,
    prices: Prices,
) -> PerExtra {
    let unknown = |why: &str| PerExtra::Unknown { why: why.to_owned() };
    let Some((gain, interval)) = gain else { return unknown("the accuracies were not compared") };
    let Some(extra) = extra_seconds else {
        return unknown("the seconds of a prediction were not measured");
    };
    if interval.high <= 0.0 {
        return PerExtra::NoneToBuy;
    }
    if extra <= 0.0 {
        return PerExtra::NoExtraCost;
    }
    let over = |gain: f64| (gain > 0.0).then(|| extra / gain);
    let seconds =
        Range { estimate: over(gain), low: extra / interval.high, high: over(interval.low) };
    PerExtra::Price {
        seconds,
        money: prices.price_per_hour.map(|price| seconds.scaled(price / 3600.0)),
        watt_hours: prices.watts.map(|watts| seconds.scaled(watts / 3600.0)),
    }
}

/// Extra training over what each prediction brings beyond its own cost.
fn break_even(
    gain: Option<(f64, Interval)>,
    (extra_seconds, extra_training): (Option<f64>, Option<f64>),
    prices: Prices,
) -> BreakEven {
    let (Some((gain, interval)), Some(extra), Some(training)) =
        (gain, extra_seconds, extra_training)
    else {
        return BreakEven::Unknown;
    };
    let (Some(price), Some(value)) = (prices.price_per_hour, prices.value_per_correct) else {
        return BreakEven::Unknown;
    };
    let second = price / 3600.0;
    let volume = |gain: f64| {
        let surplus = gain * value - extra * second;
        (surplus > 0.0).then(|| (training * second / surplus).max(0.0))
    };
    match volume(interval.high) {
        Some(low) => BreakEven::From {
            predictions: Range { estimate: volume(gain), low, high: volume(interval.low) },
        },
        None => BreakEven::Never,
    }
}

/// The arms that no other beats in forward operations and mean score.
pub(crate) fn front(costs: &[ArmCost], scores: &[ArmScore], primary: &Metric) -> Vec<String> {
    let sign = if primary.higher_is_better { 1.0 } else { -1.0 };
    let placed: Vec<(String, (f64, f64))> = costs
        .iter()
        .filter_map(|cost| {
            let of_arm = |score: &&ArmScore| score.model == cost.model && score.arm == cost.arm;
            let mean = scores.iter().find(of_arm)?.mean?;
            let name = format!("{} ({})", cost.model, cost.arm);
            Some((name, (cost.flops_per_sample.value, sign * mean)))
        })
        .collect();
    let points: Vec<(f64, f64)> = placed.iter().map(|at| at.1).collect();
    let kept = placed.into_iter().zip(pareto(&points)).filter(|(_, on_front)| *on_front);
    kept.map(|((name, _), _)| name).collect()
}

/// Which of some (cost, score) pairs no other beats: none costs no more and scores no less, with one
/// of the two strictly better.
fn pareto(points: &[(f64, f64)]) -> Vec<bool> {
    let beats =
        |a: &(f64, f64), b: &(f64, f64)| a.0 <= b.0 && a.1 >= b.1 && (a.0 < b.0 || a.1 > b.1);
    points.iter().map(|point| !points.iter().any(|other| beats(other, point))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAIN: (f64, Interval) = (0.1, Interval { low: 0.05, high: 0.2 });
    const PRICES: Prices =
        Prices { price_per_hour: Some(3.6), watts: Some(180.0), value_per_correct: Some(0.5) };

    #[test]
    fn a_correct_decision_costs_its_seconds_and_their_price() {
        let PerExtra::Price { seconds, money, watt_hours } =
            per_extra(Some(GAIN), Some(2.0), PRICES)
        else {
            panic!("it has a price");
        };
        assert_eq!(seconds, Range { estimate: Some(20.0), low: 10.0, high: Some(40.0) });
        // A second costs 0.001, and takes 0.05 watt hours.
        assert!((money.unwrap().estimate.unwrap() - 0.02).abs() < 1e-12);
        assert!((watt_hours.unwrap().high.unwrap() - 2.0).abs() < 1e-12);
        assert_eq!(per_extra(Some(GAIN), Some(-0.1), PRICES), PerExtra::NoExtraCost);
    }

    #[test]
    fn without_a_shown_gain_the_price_has_no_bound() {
        let gain = (-0.01, Interval { low: -0.05, high: 0.02 });
        let PerExtra::Price { seconds, money, .. } =
            per_extra(Some(gain), Some(1.0), Prices::default())
        else {
            panic!("it has a price");
        };
        assert_eq!(seconds, Range { estimate: None, low: 50.0, high: None });
        assert_eq!(money, None);
        let loss = (-0.1, Interval { low: -0.2, high: -0.01 });
        assert_eq!(per_extra(Some(loss), Some(1.0), PRICES), PerExtra::NoneToBuy);
        assert_eq!(per_extra(Some(loss), Some(-1.0), PRICES), PerExtra::NoneToBuy);
        assert!(matches!(per_extra(Some(GAIN), None, PRICES), PerExtra::Unknown { .. }));
    }

    #[test]
    fn it_pays_from_where_the_surplus_has_paid_for_the_training() {
        // A prediction brings 0.1 × 0.5 and costs 0.002; training cost 0.48.
        let BreakEven::From { predictions } =
            break_even(Some(GAIN), (Some(2.0), Some(480.0)), PRICES)
        else {
            panic!("it pays");
        };
        assert!((predictions.estimate.unwrap() - 10.0).abs() < 1e-9);
        assert!(predictions.low < 10.0 && predictions.high.unwrap() > 10.0);
        let costly = break_even(Some(GAIN), (Some(1e6), Some(480.0)), PRICES);
        assert_eq!(costly, BreakEven::Never);
        let unpriced = break_even(Some(GAIN), (Some(2.0), Some(480.0)), Prices::default());
        assert_eq!(unpriced, BreakEven::Unknown);
    }

    #[test]
    fn the_front_is_what_nothing_beats() {
        let points = [(1.0, 0.5), (2.0, 0.6), (3.0, 0.6), (0.5, 0.4), (2.0, 0.7), (1.0, 0.5)];
        assert_eq!(pareto(&points), [true, false, false, true, true, true]);
    }
}
