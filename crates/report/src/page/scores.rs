//! The data that figures are of, and every arm's score.

use mmc_run::OverlapRecord;

use super::{Page, heading, style};
use crate::document::Block;
use crate::figure::{interval, number, signed, signed_interval};
use crate::plot::{Forest, ForestRow, Mark, Plot};
use crate::score::ArmScore;

impl Page<'_> {
    pub(super) fn data(&self) -> Vec<Block> {
        let Some(data) = &self.verdict.data else { return Vec::new() };
        let rows = data.iter().map(|(role, split)| {
            vec![
                role.to_owned(),
                split.split.clone(),
                split.items.to_string(),
                if split.labelled { "yes" } else { "no" }.to_owned(),
                format!("`{:.12}`", split.fingerprint),
            ]
        });
        let header = ["for", "split", "items", "labelled", "fingerprint"];
        let mut blocks = vec![
            heading("Data"),
            self.table("The splits that every figure below is of.", &header, rows.collect()),
        ];
        match &self.results.overlap {
            Some(found) if !found.pairs.is_empty() => blocks.push(self.shared(found)),
            _ => blocks.push(Block::Paragraph(
                "Whether splits share items was not looked for in the data; the ids of the \
                 predictions were compared."
                    .to_owned(),
            )),
        }
        blocks
    }

    /// What the splits have in common.
    fn shared(&self, found: &OverlapRecord) -> Block {
        let rows = found.pairs.iter().map(|pair| {
            let found = &pair.found;
            let counts = [found.ids, found.texts, found.pictures, found.items];
            let mut cells = vec![format!("`{}` in `{}`", pair.of.split, pair.among.split)];
            cells.push(pair.of.items.to_string());
            cells.extend(counts.map(|count| count.to_string()));
            cells
        });
        let caption = "Rows of one split that another has too: by id, by text, by the bytes of the \
                       picture, and as the same item (text and picture, or id and one of the two). Only \
                       the last is a leak by itself.";
        let header = ["rows", "of", "ids", "texts", "pictures", "items"];
        self.table(caption, &header, rows.collect())
    }

    pub(super) fn scores(&self) -> Vec<Block> {
        let verdict = self.verdict;
        let metric = &verdict.metric;
        let (sd, above) = ("sd over seeds", "above chance by");
        let mut header = vec!["model", "arm", "head", "seeds", metric, sd, "95 % interval", above];
        header.extend(verdict.experiment.metrics.iter().map(String::as_str));
        let rows = verdict.scores.iter().map(|score| {
            let mut cells = vec![
                score.model.clone(),
                score.arm.to_string(),
                score.head.clone().unwrap_or_else(|| "–".to_owned()),
                score.seeds.len().to_string(),
                number(score.mean),
                number(score.deviation),
                score.interval.map_or("–".to_owned(), |at| interval(at.low, at.high)),
                score.chance.as_ref().map_or("–".to_owned(), |chance| {
                    let at = signed_interval(chance.interval.low, chance.interval.high);
                    format!("{} {at} ({})", signed(chance.difference), chance.metric)
                }),
            ];
            cells.extend(score.further.iter().map(|value| number(*value)));
            cells
        });
        let lower = 1.0 - verdict.alpha / verdict.scores.len().max(1) as f64;
        let caption = format!(
            "Means over seeds on {}. The interval is that of newly trained models on new items; \
             with one seed, of that very model on new items. Above chance: lower end at {lower:.4}, \
             upper end at {:.4} (two-sided levels; {} arms share the error of the lower end).",
            self.of_test,
            1.0 - verdict.alpha,
            verdict.scores.len()
        );
        let mut blocks =
            vec![heading("Scores"), self.forest(), self.table(&caption, &header, rows.collect())];
        if verdict.any_above_chance == Some(false) {
            blocks.push(Block::Paragraph("No arm is shown to be above chance.".to_owned()));
        }
        blocks
    }

    /// Every arm's mean with its interval and its seeds.
    fn forest(&self) -> Block {
        let verdict = self.verdict;
        let row = |score: &ArmScore| ForestRow {
            label: format!("{} ({})", score.model, score.arm),
            style: style(score.arm),
            estimate: score.mean,
            interval: score.interval.map(|at| (at.low, at.high)),
            points: score.values.clone(),
            words: match (score.mean, score.interval) {
                (mean, Some(at)) => format!("{} {}", number(mean), interval(at.low, at.high)),
                (mean, None) => number(mean),
            },
        };
        let rows: Vec<ForestRow> = verdict.scores.iter().map(row).collect();
        let chance = verdict.scores.iter().find_map(|score| {
            let chance = score.chance.as_ref().filter(|chance| chance.metric == verdict.metric)?;
            Some(Mark { at: chance.baseline, label: "chance".to_owned() })
        });
        let listed: Vec<String> =
            rows.iter().map(|row| format!("{}: {}", row.label, row.words)).collect();
        let caption = format!(
            "`{}` of every arm on {}: the mean over seeds with its 95 % interval, and each seed as a \
             ring. Circles see text and picture, squares the text, triangles the picture.",
            verdict.metric, self.of_test
        );
        let forest =
            Forest { axis: verdict.metric.clone(), rows, marks: chance.into_iter().collect() };
        self.figure(&caption, listed.join("; ") + ".", Plot::Forest(forest))
    }
}
