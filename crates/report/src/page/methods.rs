//! The runs one by one, what was done with every choice, how to do it again, and the advice.

use std::collections::BTreeMap;

use mmc_run::{ExperimentRecord, builds, shell_word};

use super::{Page, heading};
use crate::caption::of_split;
use crate::document::{Block, plain};
use crate::figure::{interval, number};

impl Page<'_> {
    pub(super) fn runs(&self) -> Vec<Block> {
        let metric = &self.verdict.metric;
        let mut rows: Vec<Vec<String>> = Vec::new();
        for run in &self.results.runs {
            let scores = run.test_scores();
            let value = scores.and_then(|scores| scores.value(metric));
            let at = scores.and_then(|scores| scores.interval(metric));
            rows.push(vec![
                run.id.to_string(),
                run.config.settings.head.clone(),
                number(value),
                at.map_or("–".to_owned(), |at| interval(at.low, at.high)),
                number(run.selection_score(metric)),
                number(run.final_loss),
                format!("{:.1}", run.cost.wall_seconds),
            ]);
        }
        for run in &self.results.failed {
            let mut cells = vec![run.id.to_string(), "–".to_owned(), "failed".to_owned()];
            cells.resize(7, "–".to_owned());
            rows.push(cells);
        }
        let caption = format!(
            "`{metric}` of each run (model, arm, seed) on {}, with the 95 % interval of that very model on new items; \
             selection is {}.",
            self.of_test,
            of_split(self.verdict.data.as_ref().and_then(|data| data.selection.as_ref()))
        );
        let header = ["run", "head", "test", "95 % interval", "selection", "final loss", "seconds"];
        vec![heading("Runs"), self.folded(&caption, &header, rows)]
    }

    pub(super) fn methods(&self) -> Vec<Block> {
        let verdict = self.verdict;
        let lines = vec![
            format!(
                "The best text model ({}) and the best epoch of every run are chosen on the \
                 selection split; the test split decides nothing but the figures above.",
                verdict.text_model.as_deref().unwrap_or("none")
            ),
            self.tuning(),
            "Differences: two-way t intervals over seeds and items, which are crossed random \
             effects (Obuchowski and Rockette 1995, degrees of freedom after Hillis 2007). They \
             speak about newly trained models on new items, and never about the best seed."
                .to_owned(),
            format!(
                "Multimodal: some model's gain has its lower end (two-sided level 1 − {}/{}, \
                 Bonferroni over the models) above 0 and an estimate of at least the margin. Text \
                 suffices: every model's gain has its upper end (level 1 − {}) below the margin. \
                 Otherwise undecided. No verdict rests on p > 0.05, on one seed, or on items alone.",
                verdict.alpha,
                verdict.gains.len().max(1),
                verdict.alpha
            ),
            "Above chance: AUROC against 0.5, the accuracy of answers against that of giving to every \
             question what people said most often on this very split, else accuracy against the share of the most frequent \
             class; the lower end is corrected for the number of arms."
                .to_owned(),
            "Decided items: accuracy, precision, recall and F1 take the class of the highest \
             probability (of equals the first); no threshold was fitted on the test split."
                .to_owned(),
            "Curves: ROC as the mean of the seeds' true positive rates at equal false positive rates \
             (vertical averaging, Fawcett 2006; of more than two classes the mean of each against the \
             rest); reliability of the items of all seeds in 10 bins of equal mass; calibration \
             errors in 15 bins of equal mass."
                .to_owned(),
            "Cost for benefit: extra seconds of a prediction over the difference in accuracy; the \
             interval is that of the difference turned over, with the seconds taken as known. Where \
             the difference may be none, the price has no bound."
                .to_owned(),
            "Classes, parts of the split and single decisions are exploratory: their intervals are \
             not corrected for their number, and nothing of them decides."
                .to_owned(),
            format!(
                "Warned of: failed runs; unequal tuning budgets; rows of other splits among the training rows; scores below \
                 chance; parameters that never moved; losses that stayed where they began; seeds more \
                 than 5 median absolute deviations, the margin and their own item noise below the \
                 median of their arm; predictions of \
                 one class; cut texts and left-out items; runs that wait for data for more than 30 % \
                 of a step; published scores of the same split that ours lie below by more than the \
                 margin of {} and chance.",
                verdict.margin
            ),
            "Failed runs are in no figure and are listed; runs that did not train are in all."
                .to_owned(),
        ];
        vec![heading("Methods"), Block::List(lines), self.settings()]
    }

    /// Every setting, and whether all runs have the same.
    fn settings(&self) -> Block {
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for run in &self.results.runs {
            let settings = serde_json::to_value(&run.config.settings).unwrap_or_default();
            let chosen = settings.as_object().into_iter().flatten();
            // Where the data lay says nothing that its fingerprint does not; seeds name the runs.
            for (name, value) in chosen.filter(|(name, _)| *name != "data_root" && *name != "seed")
            {
                let words = match value {
                    serde_json::Value::Null => "not set".to_owned(),
                    serde_json::Value::String(words) => {
                        format!("`{}`", crate::document::plain(words))
                    }
                    value => format!("`{value}`"),
                };
                let seen = values.entry(name.clone()).or_default();
                if !seen.contains(&words) {
                    seen.push(words);
                }
            }
        }
        let rows =
            values.into_iter().map(|(name, seen)| vec![format!("`{name}`"), seen.join(", ")]);
        let caption = "Every setting of the runs; several values: they differ between runs, as each \
                       run's `config.toml` says.";
        self.folded(caption, &["setting", "value"], rows.collect())
    }

    pub(super) fn reproduce(&self) -> Vec<Block> {
        let verdict = self.verdict;
        let builds = builds(self.results.runs.iter().map(|run| &run.config));
        let builds: Vec<String> = match builds.as_slice() {
            [(build, _)] => vec![plain(build)],
            several => several
                .iter()
                .map(|(build, runs)| format!("{} ({runs} runs)", plain(build)))
                .collect(),
        };
        let builds = builds.join(" and ");
        let ExperimentRecord { name, command, out, .. } = &verdict.experiment;
        let folder = match (out, command.split_once(" --out ")) {
            (Some(folder), _) => shell_word(folder),
            // Results of before the folder was recorded.
            (None, Some((_, folder))) => folder.to_owned(),
            (None, None) => shell_word(&format!("results/{name}")),
        };
        vec![
            heading("How to reproduce"),
            Block::Paragraph(format!(
                "Made with {builds}. All settings, versions and fingerprints are in \
                 `runs/*/config.toml`, all figures in `verdict.json`, the runs in `runs.csv` and \
                 `runs.parquet`; `analysis.ipynb` computes the gains again from the predictions. The \
                 first command makes these results, the second this report from their files."
            )),
            Block::Code(format!("{command}\nmmc report {folder}")),
        ]
    }

    pub(super) fn advice(&self) -> Vec<Block> {
        let advice = &self.verdict.advice;
        let demo = if self.verdict.demo { " (DEMO)" } else { "" };
        vec![
            heading("Advice"),
            Block::List(vec![
                format!("The picture is part of the meaning{demo}: {}.", advice.meaning),
                format!("The picture is decorative{demo}: {}.", advice.decorative),
                format!("Resources are short{demo}: {}.", advice.short),
            ]),
        ]
    }
}
