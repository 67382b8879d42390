//! The gains over text that the verdict rests on, what it would be with other margins, and where the
//! gains come from.

use super::{Page, heading};
use crate::compare::Gain;
use crate::diagnosis_page;
use crate::document::Block;
use crate::figure::{margin_words, probability, signed, signed_interval};
use crate::plot::{Band, Bands, Forest, ForestRow, Mark, Plot};
use crate::verdict::{Answer, MarginRange, by_margin};

impl Page<'_> {
    pub(super) fn gains(&self) -> Vec<Block> {
        let verdict = self.verdict;
        let lower =
            verdict.gains.iter().find_map(|gain| Some(gain.comparison.as_ref()?.lower_level));
        let caption = format!(
            "Gain in `{}` over the best text model on {}. Lower end at {:.4}, upper end at {:.4} \
             (two-sided levels). p: two-way, over seeds and items; bootstrap p: paired, over the items of \
             these very runs alone. No p decides.",
            verdict.metric,
            self.of_test,
            lower.unwrap_or(1.0 - verdict.alpha),
            1.0 - verdict.alpha
        );
        let header = [
            "candidate",
            "baseline",
            "gain",
            "interval",
            "p",
            "Holm's p",
            "bootstrap p",
            "scope",
            "finding",
        ];
        let rows = verdict.gains.iter().map(|gain| {
            let mut cells = gain_cells(gain);
            cells.insert(5, probability(gain.holm_p));
            cells.insert(6, probability(gain.bootstrap_p));
            cells
        });
        let by_margin = verdict.by_margin.iter().map(margin_words).collect();
        vec![
            heading("Gain over text"),
            self.gain_forest(),
            self.table(&caption, &header, rows.collect()),
            Block::Paragraph(format!(
                "The verdict depends on the margin, the smallest gain in `{}` that matters; with \
                 these results it is:",
                verdict.metric
            )),
            Block::List(by_margin),
            self.margins(),
        ]
    }

    fn gain_forest(&self) -> Block {
        let verdict = self.verdict;
        let row = |gain: &Gain| ForestRow {
            label: gain.candidate.clone(),
            style: 0,
            estimate: gain.gain,
            interval: gain.interval.map(|at| (at.low, at.high)),
            points: Vec::new(),
            words: match (gain.gain, gain.interval) {
                (Some(estimate), Some(at)) => {
                    format!("{} {}", signed(estimate), signed_interval(at.low, at.high))
                }
                _ => "not compared".to_owned(),
            },
        };
        let rows: Vec<ForestRow> = verdict.gains.iter().map(row).collect();
        let listed: Vec<String> =
            rows.iter().map(|row| format!("{}: {}", row.label, row.words)).collect();
        let caption = format!(
            "Gain in `{}` over the best text model on {}, with the interval that decides: above \
             the line at 0 a gain is shown, left of the margin of {} it is shown not to matter.",
            verdict.metric, self.of_test, verdict.margin
        );
        let forest = Forest {
            axis: format!("gain in {}", verdict.metric),
            rows,
            marks: vec![
                Mark { at: 0.0, label: "no gain".to_owned() },
                Mark { at: verdict.margin, label: format!("margin {}", verdict.margin) },
            ],
        };
        self.figure(&caption, listed.join("; ") + ".", Plot::Forest(forest))
    }

    /// The verdict as a function of the margin, of all models and of each alone.
    fn margins(&self) -> Block {
        let verdict = self.verdict;
        let band = |range: &MarginRange| Band {
            from: range.from,
            to: range.to,
            word: range.verdict.to_string(),
            style: match range.verdict {
                Answer::Multimodal => 0,
                Answer::Undecided => 1,
                Answer::TextSuffices => 2,
            },
        };
        let bands = |ranges: &[MarginRange]| ranges.iter().map(band).collect::<Vec<_>>();
        let mut rows = vec![("the verdict".to_owned(), bands(&verdict.by_margin))];
        let each = verdict.gains.iter();
        rows.extend(
            each.map(|gain| {
                (gain.candidate.clone(), bands(&by_margin(std::slice::from_ref(gain))))
            }),
        );
        let caption = format!(
            "The verdict for every margin, the smallest gain in `{}` that matters, on {}: of all \
             models, and of each as if it were the only one.",
            verdict.metric, self.of_test
        );
        let words: Vec<String> = verdict.by_margin.iter().map(margin_words).collect();
        let mark = Mark { at: verdict.margin, label: format!("margin {}", verdict.margin) };
        let plot = Bands { axis: format!("margin in {}", verdict.metric), rows, mark };
        self.figure(&caption, words.join("; ") + ".", Plot::Bands(plot))
    }

    pub(super) fn ledger(&self) -> Vec<Block> {
        if !self.verdict.diagnoses.is_empty() {
            let table = |caption: &str, header: &[&str], rows| self.table(caption, header, rows);
            let mut blocks = diagnosis_page::blocks(self.verdict, &self.of_test, &table);
            blocks.insert(1, self.ledger_figure()); // behind its heading
            return blocks;
        }
        if self.verdict.ledger.is_empty() {
            return Vec::new();
        }
        let mut rows = Vec::new();
        for entry in &self.verdict.ledger {
            for (part, gain) in [("backbone", &entry.backbone), ("picture", &entry.picture)] {
                let mut cells = vec![entry.model.clone(), part.to_owned()];
                cells.extend(gain_cells(gain).into_iter().skip(1));
                rows.push(cells);
            }
            let total = entry.total.map_or("–".to_owned(), signed);
            let mut cells = vec![entry.model.clone(), "total".to_owned(), "–".to_owned(), total];
            cells.resize(8, "–".to_owned());
            rows.push(cells);
        }
        let caption = format!(
            "Parts of each model's gain in `{}` over the text model, on {}; they sum to it. \
             Backbone: the model's own text arm minus the text model. Picture: with the picture \
             minus its own text arm, paired by seed where both have the same seeds. Ends at 95 %.",
            self.verdict.metric, self.of_test
        );
        let header = ["model", "part", "baseline", "gain", "interval", "p", "scope", "finding"];
        vec![
            heading("Where the gain comes from"),
            self.table(&caption, &header, rows),
            diagnosis_page::absent(self.verdict),
        ]
    }

    /// The parts of each diagnosed model's gain.
    fn ledger_figure(&self) -> Block {
        let verdict = self.verdict;
        let mut rows = Vec::new();
        for found in &verdict.diagnoses {
            let parts = [
                ("backbone", 1, &found.ledger.backbone),
                ("additive", 2, &found.ledger.additive),
                ("interaction", 3, &found.ledger.interaction),
                ("total", 0, &found.ledger.total),
            ];
            rows.extend(parts.map(|(name, style, part)| ForestRow {
                label: format!("{}, {name}", found.model),
                style,
                estimate: part.estimate,
                interval: part.interval.map(|at| (at.low, at.high)),
                points: Vec::new(),
                words: match (part.estimate, part.interval) {
                    (Some(estimate), Some(at)) => {
                        format!("{} {}", signed(estimate), signed_interval(at.low, at.high))
                    }
                    _ => "not known".to_owned(),
                },
            }));
        }
        let listed: Vec<String> =
            rows.iter().map(|row| format!("{}: {}", row.label, row.words)).collect();
        let caption = format!(
            "The ledger of each model's gain in `{}` over the text model, with 95 % intervals: \
             backbone, what the picture adds by itself, what text and picture say only together, and \
             their sum.",
            verdict.metric
        );
        let forest = Forest {
            axis: format!("gain in {}", verdict.metric),
            rows,
            marks: vec![Mark { at: 0.0, label: "no gain".to_owned() }],
        };
        self.figure(&caption, listed.join("; ") + ".", Plot::Forest(forest))
    }
}

/// Candidate, baseline, gain, interval, p, scope, finding.
fn gain_cells(gain: &Gain) -> Vec<String> {
    let of = |gain: &Gain| {
        let found = gain.comparison.as_ref()?;
        let at = gain.interval?;
        let scope = if found.seeds.baseline > 1 && found.seeds.candidate > 1 {
            format!(
                "{} × {} seeds, {} items",
                found.seeds.baseline, found.seeds.candidate, found.items
            )
        } else {
            format!("items only, these files, {} items", found.items)
        };
        Some((
            signed(gain.gain?),
            signed_interval(at.low, at.high),
            probability(Some(found.p_value)),
            scope,
        ))
    };
    let (estimate, at, p, scope) = of(gain).unwrap_or_else(|| {
        let none = || "–".to_owned();
        (none(), none(), none(), none())
    });
    let words = match &gain.absent {
        Some(why) => why.clone(),
        None => gain.finding.words().to_owned(),
    };
    vec![gain.candidate.clone(), gain.baseline.clone(), estimate, at, p, scope, words]
}
