//! The report as blocks: which figures are shown, in which order, in which words.

use crate::caption::{demo_words, of_scored, of_split, scored, test_split};
use crate::compare::Gain;
use crate::diagnosis_page;
use crate::figure::{
    interval, margin_words, number, probability, quantity, signed, signed_interval,
};
use crate::gallery_page;
use crate::markdown::{Block, Table};
use crate::verdict::Answer;
use crate::{Results, Verdict};

/// The whole report, in its order; the advice comes last.
pub(crate) fn page(results: &Results, verdict: &Verdict) -> Vec<Block> {
    let of_test = of_scored(test_split(verdict), scored(results));
    let page = Page { results, verdict, of_test };
    let mut blocks = page.opening();
    blocks.extend(page.data());
    blocks.extend(page.scores());
    blocks.extend(page.gains());
    blocks.extend(page.ledger());
    blocks.extend(gallery_page::blocks(results));
    blocks.extend(page.costs());
    blocks.extend(page.warnings());
    blocks.extend(page.runs());
    blocks.extend(page.methods());
    blocks.extend(page.advice());
    blocks
}

struct Page<'a> {
    results: &'a Results,
    verdict: &'a Verdict,
    of_test: String,
}

impl Page<'_> {
    fn table(&self, caption: &str, header: &[&str], rows: Vec<Vec<String>>) -> Block {
        let caption = match demo_words(self.verdict) {
            Some(demo) => format!("{demo}. {caption}"),
            None => caption.to_owned(),
        };
        let header = header.iter().map(|&name| name.to_owned()).collect();
        Block::Table(Table { caption, header, rows })
    }

    fn opening(&self) -> Vec<Block> {
        let verdict = self.verdict;
        let question = format!("oes the picture help on {}?", verdict.experiment.name);
        let mut blocks = Vec::new();
        match demo_words(verdict) {
            Some(demo) => {
                blocks.push(Block::Heading(1, format!("DEMO: d{question}")));
                blocks.push(Block::Paragraph(format!(
                    "**{demo}. No figure below says anything about the real data.**"
                )));
            }
            None => blocks.push(Block::Heading(1, format!("D{question}"))),
        }
        blocks.push(Block::Paragraph(format!("verdict: {}", verdict.verdict)));
        let meaning = match verdict.verdict {
            Answer::Multimodal => {
                "A model that sees the picture is shown to gain over the best text model, and by an \
                 estimate of at least the margin."
            }
            Answer::TextSuffices => {
                "Every model that sees the picture is shown to gain less than the margin over the \
                 best text model."
            }
            Answer::Undecided => {
                "These results can neither show a gain that matters nor rule one out. That is not \
                 the same as no gain."
            }
        };
        blocks.push(Block::Paragraph(format!(
            "{meaning} Decided on `{}` with a margin of {}, on {}.",
            verdict.metric, verdict.margin, self.of_test
        )));
        let mut reasons = verdict.reasons.clone();
        reasons.extend(verdict.help.iter().map(|line| format!("What would decide: {line}.")));
        blocks.push(Block::List(reasons));
        blocks
    }

    fn data(&self) -> Vec<Block> {
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
        vec![
            Block::Heading(2, "Data".to_owned()),
            self.table("The splits that every figure below is of.", &header, rows.collect()),
        ]
    }

    fn scores(&self) -> Vec<Block> {
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
        let mut blocks = vec![
            Block::Heading(2, "Scores".to_owned()),
            self.table(&caption, &header, rows.collect()),
        ];
        if verdict.any_above_chance == Some(false) {
            blocks.push(Block::Paragraph("No arm is above chance.".to_owned()));
        }
        blocks
    }

    fn gains(&self) -> Vec<Block> {
        let verdict = self.verdict;
        let lower =
            verdict.gains.iter().find_map(|gain| Some(gain.comparison.as_ref()?.lower_level));
        let caption = format!(
            "Gain in `{}` over the best text model on {}. Lower end at {:.4}, upper end at {:.4} \
             (two-sided levels); Holm's p decides nothing.",
            verdict.metric,
            self.of_test,
            lower.unwrap_or(1.0 - verdict.alpha),
            1.0 - verdict.alpha
        );
        let header =
            ["candidate", "baseline", "gain", "interval", "p", "Holm's p", "scope", "finding"];
        let rows = verdict.gains.iter().map(|gain| {
            let mut cells = gain_cells(gain);
            cells.insert(5, probability(gain.holm_p));
            cells
        });
        let by_margin = verdict.by_margin.iter().map(margin_words).collect();
        vec![
            Block::Heading(2, "Gain over text".to_owned()),
            self.table(&caption, &header, rows.collect()),
            Block::Paragraph(format!(
                "The verdict depends on the margin, the smallest gain in `{}` that matters; with \
                 these results it is:",
                verdict.metric
            )),
            Block::List(by_margin),
        ]
    }

    fn ledger(&self) -> Vec<Block> {
        if !self.verdict.diagnoses.is_empty() {
            let table = |caption: &str, header: &[&str], rows| self.table(caption, header, rows);
            return diagnosis_page::blocks(self.verdict, &self.of_test, &table);
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
            Block::Heading(2, "Where the gain comes from".to_owned()),
            self.table(&caption, &header, rows),
            diagnosis_page::absent(),
        ]
    }

    fn costs(&self) -> Vec<Block> {
        let rows = self.verdict.costs.iter().map(|cost| {
            vec![
                cost.model.clone(),
                cost.arm.to_string(),
                quantity(cost.seconds_per_step, "s", 1.0, 4),
                quantity(cost.wall_seconds, "s", 1.0, 1),
                quantity(cost.peak_memory_bytes, "MiB", f64::from(1 << 20), 0),
                quantity(cost.parameters, "M", 1e6, 3),
                quantity(cost.flops_per_sample, "GFLOP", 1e9, 4),
            ]
        });
        let text = self.verdict.text_model.as_deref().unwrap_or("the text model");
        let caption = format!(
            "Medians over seeds, and in brackets the ratio to {text}; forward operations of one \
             sample at the mean length of the training texts, 2 a multiply-add. Trained on {}.",
            of_split(self.verdict.data.as_ref().map(|data| &data.train))
        );
        let header =
            ["model", "arm", "step", "run", "peak memory", "parameters", "forward of a sample"];
        vec![Block::Heading(2, "Cost".to_owned()), self.table(&caption, &header, rows.collect())]
    }

    fn warnings(&self) -> Vec<Block> {
        let lines = if self.verdict.alarms.is_empty() {
            vec![
                "None: every planned run is complete, trained, and tells classes apart.".to_owned(),
            ]
        } else {
            self.verdict.alarms.clone()
        };
        vec![Block::Heading(2, "Warnings".to_owned()), Block::List(lines)]
    }

    fn runs(&self) -> Vec<Block> {
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
        vec![Block::Heading(2, "Runs".to_owned()), self.table(&caption, &header, rows)]
    }

    fn methods(&self) -> Vec<Block> {
        let verdict = self.verdict;
        let lines = vec![
            format!(
                "The best text model ({}) and the best epoch of every run are chosen on the \
                 selection split; the test split decides nothing but the figures above.",
                verdict.text_model.as_deref().unwrap_or("none")
            ),
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
            "Above chance: AUROC against 0.5, else accuracy against the share of the most frequent \
             class; the lower end is corrected for the number of arms."
                .to_owned(),
            "Failed runs are in no figure and are listed; runs that did not train are in all."
                .to_owned(),
        ];
        let versions = self.results.runs.first().map(|run| &run.config.versions);
        let versions: Vec<String> =
            versions.into_iter().flatten().map(|(name, at)| format!("{name} {at}")).collect();
        vec![
            Block::Heading(2, "Methods".to_owned()),
            Block::List(lines),
            Block::Heading(2, "How to reproduce".to_owned()),
            Block::Paragraph(format!(
                "Made with {}. All settings, versions and fingerprints are in \
                 `runs/*/config.toml`, all figures in `verdict.json` and `runs.csv`.",
                if versions.is_empty() {
                    "unrecorded versions".to_owned()
                } else {
                    versions.join(", ")
                }
            )),
            Block::Code(verdict.experiment.command.clone()),
        ]
    }

    fn advice(&self) -> Vec<Block> {
        let advice = &self.verdict.advice;
        let demo = if self.verdict.demo { " (DEMO)" } else { "" };
        vec![
            Block::Heading(2, "Advice".to_owned()),
            Block::List(vec![
                format!("The picture is part of the meaning{demo}: {}.", advice.meaning),
                format!("The picture is decorative{demo}: {}.", advice.decorative),
                format!("Resources are short{demo}: {}.", advice.short),
            ]),
        ]
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
