//! An experiment: a grid of runs over one data set, and the folder of its results.

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use mmc_data::Arm;
use serde::{Deserialize, Serialize};

use crate::json::{read_lines, write_lines};
use crate::settings::{PartialSettings, SETTINGS};
use crate::{GalleryItem, Prices, RunError, RunFolder, Search, toml_file, write_atomically};

/// One run of a grid; written MODEL-ARM-SEED.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunId {
    /// The model, a preset's name.
    pub model: String,
    /// What it is shown.
    pub arm: Arm,
    /// Its seed.
    pub seed: u64,
}

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}-{}", self.model, self.arm, self.seed)
    }
}

/// What an experiment compares: which models, shown what, with which seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Grid {
    /// Models that read text alone; each has the arm `text`.
    pub text_models: Vec<String>,
    /// Models that read text and picture.
    pub multimodal_models: Vec<String>,
    /// The arms of each of the multimodal models.
    pub arms: Vec<Arm>,
    /// The seeds of each model and arm.
    pub seeds: Vec<u64>,
}

impl Grid {
    /// The runs: by seed, then by model, then by arm, so that an interrupted grid has whole seeds.
    #[must_use]
    pub fn runs(&self) -> Vec<RunId> {
        let mut runs = Vec::new();
        for &seed in &self.seeds {
            for model in &self.text_models {
                runs.push(RunId { model: model.clone(), arm: Arm::Text, seed });
            }
            for model in &self.multimodal_models {
                for &arm in &self.arms {
                    runs.push(RunId { model: model.clone(), arm, seed });
                }
            }
        }
        runs
    }

    fn problems(&self, place: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let mut expect = |holds: bool, key: &str, what: &str| {
            if !holds {
                problems.push(format!("`{place}{key}` {what}"));
            }
        };
        expect(!self.text_models.is_empty(), "text_models", "names no model");
        expect(!self.multimodal_models.is_empty(), "multimodal_models", "names no model");
        expect(self.arms.contains(&Arm::Both), "arms", "lacks `both`, which is what is compared");
        expect(!self.seeds.is_empty(), "seeds", "names no seed");
        expect(distinct(&self.seeds), "seeds", "names a seed twice");
        expect(distinct(&self.arms), "arms", "names an arm twice");
        let models: Vec<&String> = self.text_models.iter().chain(&self.multimodal_models).collect();
        expect(distinct(&models), "text_models", "and `multimodal_models` name a model twice");
        problems
    }
}

fn distinct<T: PartialEq>(items: &[T]) -> bool {
    items.iter().enumerate().all(|(at, item)| !items[..at].contains(item))
}

/// The small stand-in of an experiment: the same grid on generated data with tiny models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DemoPlan {
    /// The tiny models and the seeds.
    pub grid: Grid,
    /// Generated training items.
    pub train: usize,
    /// Generated items to choose the best epoch on.
    pub dev: usize,
    /// Generated test items.
    pub test: usize,
    /// What every run of the stand-in is set to.
    pub settings: PartialSettings,
    /// What of it is searched for; absent: nothing is.
    pub search: Option<Search>,
}

/// `configs/NAME.toml`: an experiment as it is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Experiment {
    /// The data set.
    pub dataset: String,
    /// Its folder; absent: `$MMC_DATA/NAME`, else `data/NAME`.
    pub data_root: Option<String>,
    /// The metric that decides.
    pub primary_metric: String,
    /// Further metrics that are shown.
    pub metrics: Vec<String>,
    /// The smallest difference of the primary metric that matters.
    pub margin: f64,
    /// What an hour of computing costs, in whatever currency.
    pub price_per_hour: Option<f64>,
    /// What the machine draws at work.
    pub watts: Option<f64>,
    /// What one more correct decision is worth, in the currency of the price.
    pub value_per_correct: Option<f64>,
    /// Models, arms and seeds.
    pub grid: Grid,
    /// What every run is set to.
    pub settings: PartialSettings,
    /// What of it is searched for, the same way for every model and arm; absent: nothing is.
    pub search: Option<Search>,
    /// What runs instead where data or weights are missing; absent: nothing does.
    pub demo: Option<DemoPlan>,
}

const EXPERIMENT_KEYS: &[&str] = &[
    "dataset",
    "data_root",
    "primary_metric",
    "metrics",
    "margin",
    "price_per_hour",
    "watts",
    "value_per_correct",
    "grid",
    "settings",
    "search",
    "demo",
];
const GRID_KEYS: &[&str] = &["text_models", "multimodal_models", "arms", "seeds"];
const DEMO_KEYS: &[&str] = &["grid", "train", "dev", "test", "settings", "search"];
/// What the grid itself decides, and so no table of settings may.
const DECIDED: &[&str] = &["model", "dataset", "data_root", "checkpoint", "arm", "seed"];

impl Experiment {
    /// Reads `configs/NAME.toml`.
    ///
    /// # Errors
    /// [`RunError::Config`] with every mistake, each with its line and column;
    /// [`RunError::File`] for values that cannot be.
    pub fn read(path: &Path) -> Result<Self, RunError> {
        let text = fs::read_to_string(path).map_err(RunError::io(path))?;
        Self::parse(&text, path)
    }

    /// What computing costs, as far as the file says.
    #[must_use]
    pub fn prices(&self) -> Prices {
        Prices {
            price_per_hour: self.price_per_hour,
            watts: self.watts,
            value_per_correct: self.value_per_correct,
        }
    }

    fn parse(text: &str, path: &Path) -> Result<Self, RunError> {
        let experiment: Self = toml_file::parse(text, path, &|table| match table {
            "" => EXPERIMENT_KEYS.to_vec(),
            "grid" | "demo.grid" => GRID_KEYS.to_vec(),
            "demo" => DEMO_KEYS.to_vec(),
            "search" | "demo.search" => Search::KEYS.to_vec(),
            "settings" | "demo.settings" => {
                SETTINGS.iter().map(|row| row.name).filter(|name| !DECIDED.contains(name)).collect()
            }
            _ => Vec::new(),
        })?;
        let mut problems = experiment.grid.problems("grid.");
        if !(experiment.margin > 0.0 && experiment.margin < 1.0) {
            problems.push(format!("`margin` is `{}`, expected between 0 and 1", experiment.margin));
        }
        problems.extend(experiment.prices().problems());
        let of_search = |search: &Option<Search>, grid: &Grid, place: &str| {
            search.as_ref().map_or(Vec::new(), |search| search.problems(&grid.seeds, place))
        };
        problems.extend(of_search(&experiment.search, &experiment.grid, "search."));
        if let Some(demo) = &experiment.demo {
            problems.extend(demo.grid.problems("demo.grid."));
            problems.extend(of_search(&demo.search, &demo.grid, "demo.search."));
            if demo.train == 0 || demo.dev == 0 || demo.test == 0 {
                problems.push("`demo` needs at least one item in each split".to_owned());
            }
        }
        if problems.is_empty() {
            Ok(experiment)
        } else {
            Err(RunError::file(path, problems.join("; ")))
        }
    }
}

/// `experiment.toml` of a results folder: what was run, written before the first run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExperimentRecord {
    /// Name of the experiment.
    pub name: String,
    /// The command that makes these results again, as a shell takes it.
    pub command: String,
    /// The file of the experiment: below the project's folder relative to it, else its whole path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The folder of these results, where another than the usual one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<String>,
    /// The data set.
    pub dataset: String,
    /// The metric that decides.
    pub primary_metric: String,
    /// Further metrics that are shown.
    pub metrics: Vec<String>,
    /// The smallest difference of the primary metric that matters.
    pub margin: f64,
    /// What is missing for the real experiment, one a line; not empty: these are demo results.
    pub missing: Vec<String>,
    /// What computing costs the user.
    #[serde(default, skip_serializing_if = "Prices::is_empty")]
    pub prices: Prices,
    /// Why these are demo results although nothing is missing, or what the demo set's truth is.
    pub demo: Option<DemoRecord>,
    /// Models, arms and seeds.
    pub grid: Grid,
    /// What was searched for before the runs of the grid; absent: nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
}

/// What stood in for the real data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoRecord {
    /// What the generated label depends on: `interaction`, `redundant`, `image`, `text`, `none`.
    pub truth: String,
}

impl ExperimentRecord {
    /// Whether the results are those of generated data and tiny models.
    #[must_use]
    pub fn is_demo(&self) -> bool {
        self.demo.is_some() || !self.missing.is_empty()
    }
}

/// `results/NAME/`: where an experiment's runs and its report lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultsFolder {
    root: PathBuf,
}

impl ResultsFolder {
    /// The folder at `root`, which need not exist yet.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `runs/MODEL-ARM-SEED`: where a run lies.
    #[must_use]
    pub fn run_path(&self, run: &RunId) -> PathBuf {
        self.root.join("runs").join(run.to_string())
    }

    /// The run, if it has been started.
    ///
    /// # Errors
    /// As [`RunFolder::open`].
    pub fn run(&self, run: &RunId) -> Result<RunFolder, RunError> {
        RunFolder::open(&self.run_path(run))
    }

    /// `experiment.toml`: what was run.
    #[must_use]
    pub fn record_path(&self) -> PathBuf {
        self.root.join("experiment.toml")
    }

    /// Writes `experiment.toml`, making the folder.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn write_record(&self, record: &ExperimentRecord) -> Result<(), RunError> {
        fs::create_dir_all(&self.root).map_err(RunError::io(&self.root))?;
        let path = self.record_path();
        let text = toml::to_string(record).map_err(|error| RunError::file(&path, error))?;
        write_atomically(&path, |out| out.write_all(text.as_bytes()).map_err(RunError::io(&path)))
    }

    /// `search/trial-N/`: where the runs of a search's trial lie, as those of a results folder.
    #[must_use]
    pub fn trial(&self, number: usize) -> Self {
        Self { root: self.root.join("search").join(format!("trial-{number}")) }
    }

    /// `gallery.jsonl`: items on which the picture decided.
    #[must_use]
    pub fn gallery_path(&self) -> PathBuf {
        self.root.join("gallery.jsonl")
    }

    /// Writes `gallery.jsonl`.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn write_gallery(&self, items: &[GalleryItem]) -> Result<(), RunError> {
        write_lines(&self.gallery_path(), items)
    }

    /// Reads `gallery.jsonl`; nothing where there is none.
    ///
    /// # Errors
    /// [`RunError::Line`] for a line that is no item of a gallery.
    pub fn gallery(&self) -> Result<Vec<GalleryItem>, RunError> {
        Ok(read_lines(&self.gallery_path())?.0)
    }

    /// Reads `experiment.toml`.
    ///
    /// # Errors
    /// [`RunError`] naming the file.
    pub fn record(&self) -> Result<ExperimentRecord, RunError> {
        let path = self.record_path();
        if !path.exists() {
            let problem = "not the results of an experiment: it has no `experiment.toml`; \
                           `cargo xtask experiment NAME` makes results";
            return Err(RunError::file(&self.root, problem));
        }
        let text = fs::read_to_string(&path).map_err(RunError::io(&path))?;
        toml::from_str(&text).map_err(|error| toml_file::fault(&text, &path, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_says_what_it_lacks() {
        let grid = Grid { seeds: vec![1, 1], ..Grid::default() };
        let problems = grid.problems("grid.").join("\n");
        for part in ["text_models` names no", "lacks `both`", "names a seed twice"] {
            assert!(problems.contains(part), "{problems}");
        }
    }
}
