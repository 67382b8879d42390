//! Results folders whose truth is known: scores drawn from the binormal model.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use mmc_data::Arm;
use mmc_metrics::{Items, evaluate};
use mmc_random::{Purpose, generator, name_index, standard_normal};
use mmc_report::{Learning, Results, RunResult};
use mmc_run::{
    Cost, DataRecord, DemoRecord, ExperimentRecord, Grid, PartialSettings, Prediction, Predictions,
    Prices, ResultsFolder, RunConfig, RunId, SplitRecord, StepRecord,
};

/// How well an arm separates the classes, in standard deviations of its noise.
pub(crate) struct ArmTruth {
    pub(crate) model: &'static str,
    pub(crate) arm: Arm,
    /// On the selection split.
    pub(crate) selection: f64,
    /// On the test split.
    pub(crate) test: f64,
}

pub(crate) fn arm(model: &'static str, arm: Arm, separation: f64) -> ArmTruth {
    ArmTruth { model, arm, selection: separation, test: separation }
}

/// An experiment to draw.
pub(crate) struct Synthetic {
    pub(crate) arms: Vec<ArmTruth>,
    pub(crate) seeds: u64,
    pub(crate) items: usize,
    /// Share of the noise that all runs have in common, which pairing takes away.
    pub(crate) common: f64,
    pub(crate) labelled: bool,
    pub(crate) truth: Option<&'static str>,
    /// Share of the noise that the seeds of one arm have in common.
    pub(crate) of_arm: f64,
    /// Standard deviation over seeds of the separation.
    pub(crate) seed_deviation: f64,
    /// Which of many equal experiments this is.
    pub(crate) draw: u64,
}

impl Synthetic {
    pub(crate) fn new(arms: Vec<ArmTruth>) -> Self {
        Self {
            arms,
            seeds: 3,
            items: 400,
            common: 0.5,
            labelled: true,
            truth: None,
            of_arm: 0.0,
            seed_deviation: 0.0,
            draw: 0,
        }
    }

    fn grid(&self) -> Grid {
        let (mut text_models, mut multimodal_models) = (Vec::new(), Vec::new());
        let mut arms = Vec::new();
        for truth in &self.arms {
            let multimodal =
                self.arms.iter().any(|at| at.model == truth.model && at.arm == Arm::Both);
            let models = if multimodal { &mut multimodal_models } else { &mut text_models };
            if !models.contains(&truth.model.to_owned()) {
                models.push(truth.model.to_owned());
            }
            if multimodal && !arms.contains(&truth.arm) {
                arms.push(truth.arm);
            }
        }
        Grid { text_models, multimodal_models, arms, seeds: (0..self.seeds).collect() }
    }

    fn record(&self) -> ExperimentRecord {
        ExperimentRecord {
            name: "memes".to_owned(),
            command: "cargo xtask experiment memes".to_owned(),
            file: None,
            out: None,
            dataset: "hateful_memes".to_owned(),
            primary_metric: "auroc".to_owned(),
            metrics: vec!["accuracy".to_owned()],
            margin: 0.02,
            prices: Prices::default(),
            missing: self.truth.iter().map(|_| "data/hateful_memes".to_owned()).collect(),
            demo: self.truth.map(|truth| DemoRecord { truth: truth.to_owned() }),
            grid: self.grid(),
            search: None,
        }
    }

    /// What reading the folder would give, less the scores of single files.
    pub(crate) fn results(&self) -> Results {
        let run = |id: RunId| {
            let of_arm = |at: &&ArmTruth| at.model == id.model && at.arm == id.arm;
            let truth = self.arms.iter().find(of_arm).unwrap();
            RunResult {
                config: self.config(truth, id.seed),
                cost: cost(truth.arm, id.seed),
                scores: BTreeMap::new(),
                test: Some(self.predictions(&id, "test_unseen", self.items, truth.test)),
                diagnosis: None,
                final_loss: Some(0.3),
                learning: Learning::default(),
                id,
            }
        };
        let record = self.record();
        let runs = record.grid.runs().into_iter().map(run).collect();
        Results {
            record,
            runs,
            failed: vec![],
            search: None,
            overlap: None,
            ids_of_both: None,
            word_columns: vec![],
            gallery: vec![],
            notes: vec![],
            published: None,
        }
    }

    /// Writes the folder as an experiment would.
    pub(crate) fn write(&self, root: &Path) -> ResultsFolder {
        let folder = ResultsFolder::new(root);
        let record = self.record();
        folder.write_record(&record).unwrap();
        for truth in &self.arms {
            for seed in 0..self.seeds {
                self.write_run(&folder, truth, seed);
            }
        }
        folder
    }

    fn write_run(&self, folder: &ResultsFolder, truth: &ArmTruth, seed: u64) {
        let id = RunId { model: truth.model.to_owned(), arm: truth.arm, seed };
        let run = mmc_run::RunFolder::create(&folder.run_path(&id)).unwrap();
        run.write_config(&self.config(truth, seed)).unwrap();
        let record = StepRecord {
            step: 1,
            epoch: 1,
            loss: Some(0.3),
            learning_rate: 0.0,
            grad_norm: Some(1.0),
            learning_rates: Vec::new(),
            grad_norms: Vec::new(),
            samples_per_second: 100.0,
            items: None,
            loader_wait_seconds: 0.0,
            loss_scale: None,
            skipped: None,
        };
        run.append_step(&record).unwrap();
        let mut scores = BTreeMap::new();
        for (split, items, separation) in
            [("dev_unseen", 60, truth.selection), ("test_unseen", self.items, truth.test)]
        {
            let predictions = self.predictions(&id, split, items, separation);
            run.write_predictions(split, &predictions).unwrap();
            if let Ok(rows) = predictions.scored() {
                let items = Items {
                    labels: &rows.labels,
                    predictions: &rows.predictions,
                    probabilities: &rows.probabilities,
                    logits: rows.logits.as_deref(),
                    clusters: None,
                    classes: 2,
                    positive: 1,
                    answers: None,
                };
                scores.insert(split, evaluate(&items, 0).unwrap());
            }
        }
        run.write_scores(&scores).unwrap();
        run.write_cost(&cost(truth.arm, seed)).unwrap();
    }

    fn config(&self, truth: &ArmTruth, seed: u64) -> RunConfig {
        let asked = PartialSettings {
            model: Some(truth.model.to_owned()),
            dataset: Some("hateful_memes".to_owned()),
            data_root: Some("data/hateful_memes".to_owned()),
            checkpoint: Some("none".to_owned()),
            arm: Some(truth.arm),
            head: Some("linear".to_owned()),
            max_length: Some(40),
            seed: Some(seed),
            ..PartialSettings::default()
        };
        let split = |name: &str, items: usize, labelled: bool| SplitRecord {
            split: name.to_owned(),
            items,
            labelled,
            fingerprint: format!("{:016x}", name_index(name)).repeat(4),
            missing_pictures: 0,
        };
        RunConfig {
            settings: asked.resolve().unwrap(),
            versions: [("mmc", "0.1.0"), ("code", "0123456789ab")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            data: DataRecord {
                train: split("train", 3000, true),
                selection: Some(split("dev_unseen", 60, true)),
                test: Some(split("test_unseen", self.items, self.labelled)),
            },
            language: None,
        }
    }

    /// Score = separation × class + noise, a part of which is the item's own in every run.
    fn predictions(&self, id: &RunId, split: &str, items: usize, separation: f64) -> Predictions {
        let names = ["not_hateful", "hateful"];
        let draw = |key: &str, index: usize| {
            let key = name_index(key);
            standard_normal(&mut generator(self.draw, Purpose::Simulation, key, index as u64))
        };
        let seed = self.seed_deviation * draw(&format!("{id}"), 0);
        let (of_arm, of_run) =
            (format!("{}-{}/{split}", id.model, id.arm), format!("{id}/{split}"));
        let rows = (0..items).map(|item| {
            let class = item % 2;
            let noise = self.common.sqrt() * draw(split, item)
                + self.of_arm.sqrt() * draw(&of_arm, item)
                + (1.0 - self.common - self.of_arm).sqrt() * draw(&of_run, item);
            let score = (separation + seed) * (class as f64 - 0.5) + noise;
            let positive = 1.0 / (1.0 + (-score).exp());
            Prediction {
                id: if split == "test_unseen" {
                    format!("{item:05}")
                } else {
                    format!("{split}-{item}")
                },
                label: self.labelled.then(|| names[class].to_owned()),
                prediction: names[usize::from(score > 0.0)].to_owned(),
                probabilities: vec![1.0 - positive, positive],
                logits: None,
                group: None,
                answer: None,
            }
        });
        Predictions { classes: names.map(str::to_owned).to_vec(), rows: rows.collect() }
    }
}

/// Takes the result of a run away and leaves its last words.
pub(crate) fn fail(folder: &ResultsFolder, id: &RunId, words: &str) {
    let path = folder.run_path(id);
    fs::remove_file(path.join("cost.json")).unwrap();
    fs::write(path.join("log.txt"), words).unwrap();
}

fn cost(arm: Arm, seed: u64) -> Cost {
    let size: u32 = if arm == Arm::Both { 3 } else { 1 };
    Cost {
        wall_seconds: 10.0 * f64::from(size) + seed as f64,
        seconds_per_step: 0.01 * f64::from(size),
        samples_per_second: 1000.0,
        peak_memory_bytes: u64::from(size) << 26,
        peak_device_memory_bytes: None,
        parameters: 30_000 * u64::from(size),
        trainable_parameters: 30_000 * u64::from(size),
        flops_per_sample: 1e6 * f64::from(size),
        padding_share: None,
        energy_joules: None,
        cut_texts: BTreeMap::new(),
        skipped_items: BTreeMap::new(),
        seconds_per_prediction: Some(1e-3 * f64::from(size)),
        unmoved_parameters: vec![],
        rows_in_train: BTreeMap::new(),
    }
}
