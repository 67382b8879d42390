//! What each arm costs, and what the picture costs for what it brings.

use super::{Page, heading, style};
use crate::benefit::{Benefit, BreakEven, PerExtra, Range};
use crate::caption::of_split;
use crate::document::Block;
use crate::figure::{amount, quantity, signed};
use crate::plot::{Key, Plot, Point, Scatter};

impl Page<'_> {
    pub(super) fn costs(&self) -> Vec<Block> {
        let rows = self.verdict.costs.iter().map(|cost| {
            vec![
                cost.model.clone(),
                cost.arm.to_string(),
                quantity(cost.seconds_per_step, "s", 1.0, 4),
                quantity(cost.wall_seconds, "s", 1.0, 1),
                quantity(cost.peak_memory_bytes, "MiB", f64::from(1 << 20), 0),
                quantity(cost.parameters, "M", 1e6, 3),
                quantity(cost.flops_per_sample, "GFLOP", 1e9, 4),
                match cost.seconds_per_prediction {
                    Some(seconds) => quantity(seconds, "ms", 1e-3, 2),
                    None => "–".to_owned(),
                },
            ]
        });
        let text = self.verdict.text_model.as_deref().unwrap_or("the text model");
        let caption = format!(
            "Medians over seeds, and in brackets the ratio to {text}; forward operations of one \
             sample at the mean length of the training texts, 2 a multiply-add. Trained on {}.",
            of_split(self.verdict.data.as_ref().map(|data| &data.train))
        );
        let header = [
            "model",
            "arm",
            "step",
            "run",
            "peak memory",
            "parameters",
            "forward of a sample",
            "prediction",
        ];
        vec![heading("Cost"), self.cost_scatter(), self.table(&caption, &header, rows.collect())]
    }

    /// Forward operations against score, with the front that nothing beats.
    fn cost_scatter(&self) -> Block {
        let verdict = self.verdict;
        let points: Vec<Point> = verdict
            .costs
            .iter()
            .filter_map(|cost| {
                let of_arm =
                    |score: &&crate::ArmScore| score.model == cost.model && score.arm == cost.arm;
                let score = verdict.scores.iter().find(of_arm)?;
                let label = format!("{} ({})", cost.model, cost.arm);
                Some(Point {
                    style: style(cost.arm),
                    x: cost.flops_per_sample.value / 1e9,
                    y: score.mean?,
                    interval: score.interval.map(|at| (at.low, at.high)),
                    on_front: verdict.pareto.contains(&label),
                    label,
                })
            })
            .filter(|point| point.x > 0.0)
            .collect();
        let keys = [(0, "text and picture"), (1, "text"), (2, "picture")];
        let used = |&(style, _): &(usize, &str)| points.iter().any(|point| point.style == style);
        let legend = keys
            .into_iter()
            .filter(used)
            .map(|(style, label)| Key { label: label.to_owned(), style })
            .collect();
        let description = format!(
            "On the front, which no other arm beats in both operations and score: {}.",
            verdict.pareto.join(", ")
        );
        let caption = format!(
            "Operations of a forward against `{}` on {}. The dotted line is the front: no arm has a \
             better mean for less. Bars are 95 % intervals; the front looks at the means alone.",
            verdict.metric, self.of_test
        );
        let plot = Scatter {
            x: "GFLOP of the forward of a sample".to_owned(),
            y: verdict.metric.clone(),
            points,
            legend,
        };
        self.figure(&caption, description, Plot::Scatter(plot))
    }

    /// What an additional correct decision costs.
    pub(super) fn benefits(&self) -> Vec<Block> {
        let verdict = self.verdict;
        if verdict.benefits.is_empty() {
            return Vec::new();
        }
        let prices = verdict.prices;
        let mut header = vec![
            "model",
            "additional correct of 1,000",
            "extra seconds of 1,000",
            "seconds for one more correct",
        ];
        if prices.price_per_hour.is_some() {
            header.push("money for one more correct");
        }
        if prices.watts.is_some() {
            header.push("watt hours for one more correct");
        }
        header.push("pays from");
        let rows = verdict.benefits.iter().map(|benefit| {
            let mut cells = vec![benefit.candidate.clone()];
            cells.push(match (benefit.extra_correct, benefit.extra_correct_interval) {
                (Some(extra), Some(at)) => {
                    format!("{:+.0} [{:+.0}, {:+.0}]", 1e3 * extra, 1e3 * at.low, 1e3 * at.high)
                }
                _ => "–".to_owned(),
            });
            cells.push(benefit.extra_seconds.map_or("–".to_owned(), |extra| signed(1e3 * extra)));
            cells.extend(per_extra(benefit, header.len() - 4));
            cells.push(pays(benefit));
            cells
        });
        let given = [
            prices.price_per_hour.map(|price| format!("an hour of computing costs {price}")),
            prices
                .watts
                .map(|watts| format!("the machine draws {watts} W (as given, not measured)")),
            prices.value_per_correct.map(|value| format!("a correct decision is worth {value}")),
        ];
        let given: Vec<String> = given.into_iter().flatten().collect();
        let given = if given.is_empty() {
            "No prices were given: `mmc report DIR --price-per-hour X --watts X --value-per-correct \
             X` adds money, energy and the volume from which the picture pays"
                .to_owned()
        } else {
            given.join("; ")
        };
        let caption = format!(
            "What the picture costs for what it brings, against {} on {}: additional correct \
             decisions with the 95 % interval of the difference in accuracy (over seeds and items), \
             and the measured seconds of predicting, medians over seeds, the reading of the data \
             included. {given}.",
            verdict.benefits[0].baseline, self.of_test
        );
        vec![heading("Cost against benefit"), self.table(&caption, &header, rows.collect())]
    }
}

/// The price of one more correct decision in seconds and, as far as there are columns, in money and
/// energy.
fn per_extra(benefit: &Benefit, columns: usize) -> Vec<String> {
    let mut cells = match &benefit.per_extra {
        PerExtra::Price { seconds, money, watt_hours } => {
            [Some(*seconds), *money, *watt_hours].into_iter().flatten().map(range).collect()
        }
        PerExtra::NoExtraCost => vec!["nothing: it predicts no slower".to_owned()],
        PerExtra::NoneToBuy => vec!["no price: it is shown to decide no more right".to_owned()],
        PerExtra::Unknown { why } => vec![format!("unknown: {why}")],
    };
    cells.resize(columns, "–".to_owned());
    cells
}

fn range(range: Range) -> String {
    let ends = match range.high {
        Some(high) => format!("[{}, {}]", amount(range.low), amount(high)),
        None => format!("[{}, no bound]", amount(range.low)),
    };
    match range.estimate {
        Some(estimate) => format!("{} {ends}", amount(estimate)),
        None => format!("none at the estimate {ends}"),
    }
}

fn pays(benefit: &Benefit) -> String {
    let time = match benefit.volume_of_equal_time {
        Some(volume) => format!(
            "; its extra training is as long as the extra time of {} predictions",
            amount(volume)
        ),
        None => String::new(),
    };
    let volume = match &benefit.break_even {
        BreakEven::From { predictions } => format!("{} predictions", range(*predictions)),
        BreakEven::Never => "at no volume: it costs more than it is worth".to_owned(),
        BreakEven::Unknown => "unknown without prices".to_owned(),
    };
    volume + &time
}
