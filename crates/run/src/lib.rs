//! The files of a run and of an experiment as types, each with read and write.
//!
//! Those who write (training) and those who read (reports, the command line) share this one
//! schema. A [`RunFolder`] is self-contained: its [`RunConfig`], a [`StepRecord`] a step, an
//! [`EvalRecord`] an evaluation, [`Predictions`] a split, its scores and its [`Cost`].
//!
//! ```
//! use mmc_run::{Prediction, Predictions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("test.csv");
//! std::fs::write(&path, "id,label,probability:cat,probability:dog\n1,dog,0.25,0.75\n")?;
//!
//! let predictions = Predictions::read(&path)?;
//! assert_eq!(predictions.classes, ["cat", "dog"]);
//! assert_eq!(predictions.rows[0].prediction, "dog");
//! predictions.write(&path.with_extension("parquet"))?;
//! # Ok(())
//! # }
//! ```
//!
//! Not here: models, tensors, scores (`mmc-metrics`), or anything that decides.

mod atomic;
mod choice;
mod config;
mod diagnosis;
mod error;
mod events;
mod experiment;
mod folder;
mod gallery;
mod json;
mod lock;
mod made_by;
mod overlap;
mod predictions;
mod prices;
mod published;
mod read_options;
mod records;
mod search;
mod settings;
mod shell;
mod toml_file;

pub use atomic::write_atomically;
pub use choice::{
    Augment, ClassWeights, Freeze, GradientCheckpointing, Keep, LossScale, Pad, Precision, Schedule,
};
pub use config::{DataRecord, LanguageRecord, RunConfig, SplitRecord};
pub use diagnosis::{
    AdditivePart, ByModality, DIAGNOSIS_METHOD, DiagnosedItem, Diagnosis, DiagnosisSource,
    LogitRows, folder_fingerprint,
};
pub use error::{ConfigProblem, RunError};
pub use events::EventLog;
pub use experiment::{
    DemoPlan, DemoRecord, Experiment, ExperimentRecord, Grid, ResultsFolder, RunId,
};
pub use folder::RunFolder;
pub use gallery::{GalleryClass, GalleryItem, PictureEffect};
pub use lock::RunLock;
pub use made_by::{builds, made_by};
pub use overlap::{OverlapRecord, SplitOverlap};
pub use predictions::{
    AnswerRow, Paired, Prediction, Predictions, ScoredAnswers, ScoredRows, WordColumn, paired,
    paired_of, word_columns,
};
pub use prices::Prices;
pub use published::{Claim, ClaimKind, Published, PublishedFigure, Sureness};
pub use records::{Cost, EvalRecord, StepRecord};
pub use search::{ArmSearch, Search, SearchRecord, Trial};
pub use settings::{
    Difference, Effect, PICTURE_CACHE_GIB, PartialSettings, SETTINGS, SettingInfo, Settings,
};
pub use shell::shell_word;
