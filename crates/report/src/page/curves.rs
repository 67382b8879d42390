//! Curves: how the runs learned, how they rank, whether their confidence means what it says.

use super::{Page, heading, style};
use crate::arm::ArmRuns;
use crate::curve::{reliability, roc};
use crate::document::Block;
use crate::figure::number;
use crate::plot::{Curve, Key, Panel, Panels, Plot};
use crate::read::RunResult;

impl Page<'_> {
    pub(super) fn learning(&self) -> Vec<Block> {
        let verdict = self.verdict;
        let selection = verdict.data.as_ref().and_then(|data| data.selection.as_ref());
        let metric = verdict.metric.as_str();
        let losses = self.panels(("step", "training loss"), &|run| run.learning.losses.clone());
        let scores = self.panels(("step", metric), &|run| {
            let evaluations = run.learning.evaluations.iter();
            let point = |at: &mmc_run::EvalRecord| {
                Some((at.step as f64, at.scores.get(metric).copied().flatten()?))
            };
            evaluations.filter_map(point).collect()
        });
        if losses.each.is_empty() {
            return Vec::new();
        }
        let ends: Vec<String> = self
            .results
            .runs
            .iter()
            .map(|run| format!("{} ended at a loss of {}", run.id, number(run.final_loss)))
            .collect();
        let mut blocks = vec![
            heading("Learning"),
            self.figure(
                "Training loss of every run, a line a seed, in windows of equal steps; both axes are \
                 the same for all models.",
                ends.join("; ") + ".",
                Plot::Panels(losses),
            ),
        ];
        if let Some(selection) = selection.filter(|_| !scores.each.is_empty()) {
            let last = |run: &RunResult| {
                let at = run.selection_score(metric);
                format!("{} is kept with {}", run.id, number(at))
            };
            let words: Vec<String> = self.results.runs.iter().map(last).collect();
            let caption = format!(
                "`{metric}` on split `{}` ({} items), which epochs and models are chosen on, after \
                 each epoch.",
                selection.split, selection.items
            );
            blocks.push(self.figure(&caption, words.join("; ") + ".", Plot::Panels(scores)));
        }
        blocks.push(Block::Paragraph("How each run ended stands in the table of runs.".to_owned()));
        blocks
    }

    /// A panel a model, a line a run.
    fn panels(
        &self,
        (x, y): (&str, &str),
        points: &dyn Fn(&RunResult) -> Vec<(f64, f64)>,
    ) -> Panels {
        let mut panels: Vec<Panel> = Vec::new();
        let mut styles = Vec::new();
        for arm in &self.arms {
            for run in &arm.runs {
                let points = points(run);
                if points.is_empty() {
                    continue;
                }
                let marked = points.len() <= 12;
                let label = run.id.to_string();
                let curve = Curve { label, style: style(arm.arm), points, marked };
                if !styles.contains(&arm.arm) {
                    styles.push(arm.arm);
                }
                match panels.iter_mut().find(|panel| panel.title == arm.model) {
                    Some(panel) => panel.curves.push(curve),
                    None => panels.push(Panel { title: arm.model.to_owned(), curves: vec![curve] }),
                }
            }
        }
        styles.sort_by_key(|arm| style(*arm));
        let legend =
            styles.into_iter().map(|arm| Key { label: arm.to_string(), style: style(arm) });
        Panels {
            x: x.to_owned(),
            y: y.to_owned(),
            each: panels,
            legend: legend.collect(),
            unit_square: false,
        }
    }

    pub(super) fn roc(&self) -> Vec<Block> {
        let plot = self.square(("false positive rate", "true positive rate"), &roc, false);
        if plot.each.is_empty() {
            return Vec::new();
        }
        let areas: Vec<String> = self
            .contenders()
            .map(|arm| {
                let auroc = |run: &&RunResult| run.test_scores()?.value("auroc");
                let values: Vec<f64> = arm.runs.iter().filter_map(auroc).collect();
                let mean = (!values.is_empty()).then(|| crate::arm::mean(&values));
                format!("{} has an area of {}", arm.name(), number(mean))
            })
            .collect();
        let caption = format!(
            "ROC curves of the best text model and of every multimodal one on {}, means over seeds; \
             the broken line is chance.",
            self.of_test
        );
        vec![
            heading("ROC"),
            self.figure(&caption, areas.join("; ") + ".", Plot::Panels(plot)),
            Block::Paragraph(format!("Mean areas under the curves: {}.", areas.join("; "))),
        ]
    }

    pub(super) fn calibration(&self) -> Vec<Block> {
        let verdict = self.verdict;
        if verdict.calibration.is_empty() {
            return Vec::new();
        }
        let plot = self.square(("confidence", "share right"), &reliability, true);
        let rows = verdict.calibration.iter().map(|at| {
            vec![
                at.arm.clone(),
                number(Some(at.confidence)),
                number(Some(at.accuracy)),
                number(Some(at.debiased)),
                number(Some(at.expected)),
            ]
        });
        let words: Vec<String> = verdict
            .calibration
            .iter()
            .map(|at| {
                format!(
                    "{} is right in {:.0} % of its decisions with a mean confidence of {:.0} %",
                    at.arm,
                    100.0 * at.accuracy,
                    100.0 * at.confidence
                )
            })
            .collect();
        let drawn = format!(
            "Reliability of the best text model and of every multimodal one on {}: the share of right \
             decisions by confidence, items of all seeds in 10 bins of equal mass. Above the broken \
             line a model is too modest, below it too sure.",
            self.of_test
        );
        let caption = format!(
            "Calibration on {}, means over seeds: the debiased root mean square error and, since it is \
             customary, the expected calibration error, which is biased upwards and not comparable \
             between sets of different size; 15 bins of equal mass.",
            self.of_test
        );
        let header =
            ["arm", "mean confidence", "accuracy", "debiased error", "expected error (ECE)"];
        vec![
            heading("Calibration"),
            self.figure(&drawn, words.join("; ") + ".", Plot::Panels(plot)),
            self.table(&caption, &header, rows.collect()),
        ]
    }

    /// A curve a contender in the unit square, the text model dashed.
    fn square(
        &self,
        (x, y): (&str, &str),
        points: &dyn Fn(&ArmRuns<'_>) -> Vec<(f64, f64)>,
        marked: bool,
    ) -> Panels {
        let mut next = [0, 2, 3, 4, 5].into_iter().cycle();
        let mut curves = Vec::new();
        for arm in self.contenders() {
            let points = points(arm);
            let is_text = arm.arm == mmc_data::Arm::Text;
            let style = if is_text { 1 } else { next.next().unwrap_or(0) };
            if !points.is_empty() {
                curves.push(Curve { label: arm.name(), style, points, marked });
            }
        }
        let legend =
            curves.iter().map(|at| Key { label: at.label.clone(), style: at.style }).collect();
        let panels = if curves.is_empty() {
            Vec::new()
        } else {
            vec![Panel { title: String::new(), curves }]
        };
        Panels { x: x.to_owned(), y: y.to_owned(), each: panels, legend, unit_square: true }
    }
}
