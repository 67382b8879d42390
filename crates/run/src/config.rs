//! `config.toml` of a run: what was decided before its first step.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use mmc_data::TextLanguage;
use serde::{Deserialize, Serialize};

use crate::{RunError, Settings, toml_file};

/// A split as a run met it. Every figure made from it carries these three.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SplitRecord {
    /// Its published name.
    pub split: String,
    /// Its usable rows.
    pub items: usize,
    /// Whether its rows have labels.
    pub labelled: bool,
    /// Hex SHA-256 over its ids and labels.
    pub fingerprint: String,
    /// Rows whose picture was missing and was skipped by a model that is shown pictures; absent where
    /// there were none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub missing_pictures: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl SplitRecord {
    /// Whether both are of the same rows, whatever pictures they lacked: figures of both can be compared
    /// over the items that both could use.
    #[must_use]
    pub fn has_rows_of(&self, other: &Self) -> bool {
        Self { missing_pictures: 0, ..self.clone() }
            == Self { missing_pictures: 0, ..other.clone() }
    }
}

impl fmt::Display for SplitRecord {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { split, items, fingerprint, missing_pictures: missing, .. } = self;
        let without =
            if *missing > 0 { format!("{missing} without picture, ") } else { String::new() };
        write!(out, "{split} ({items} items, {without}{fingerprint:.12})")
    }
}

/// The splits of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecord {
    /// What was trained on.
    pub train: SplitRecord,
    /// What the best epoch was chosen on.
    pub selection: Option<SplitRecord>,
    /// What results are reported on.
    pub test: Option<SplitRecord>,
}

impl DataRecord {
    /// The three splits that there are, with what each is for.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &SplitRecord)> {
        [
            ("train", Some(&self.train)),
            ("selection", self.selection.as_ref()),
            ("test", self.test.as_ref()),
        ]
        .into_iter()
        .filter_map(|(role, split)| split.map(|split| (role, split)))
    }
}

/// The language of the texts that a run trains on, beside those that its model's published weights
/// know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LanguageRecord {
    /// English names of the languages that the weights know; never empty.
    pub spoken: Vec<String>,
    /// What most of the training texts are in.
    pub found: TextLanguage,
}

impl LanguageRecord {
    /// What a user and a reader of the report should know where the two do not fit.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let TextLanguage { name, share, texts } = &self.found;
        self.found.is_foreign_to(&self.spoken).then(|| {
            format!(
                "{:.0} % of the {texts} training texts looked at are in {name}, and the published \
                 weights know {} only",
                100.0 * share,
                self.spoken.join(" and ")
            )
        })
    }
}

/// The contents of `config.toml`: flat settings, then the tables `versions`, `data` and, where it
/// is known, `language`.
#[derive(Clone, Debug, PartialEq)]
pub struct RunConfig {
    /// All settings, resolved.
    pub settings: Settings,
    /// What made the run, by name: `mmc`, its version; `code`, the fingerprint of its code; where another
    /// build went on with the run, `begun_by`. See [`RunConfig::made_by`].
    pub versions: BTreeMap<String, String>,
    /// The splits and their fingerprints.
    pub data: DataRecord,
    /// The language of the training texts; absent where the arm shows no text, the weights are not
    /// the model's published ones, or there is too little text to tell.
    pub language: Option<LanguageRecord>,
}

impl RunConfig {
    /// What keeps a run with this configuration from going on as one with `asked`, a line each:
    /// settings that can change the result, and data that is not the same. Empty: it can be
    /// resumed.
    ///
    /// # Errors
    /// As [`Settings::differences`].
    pub fn obstacles(&self, asked: &Self) -> Result<Vec<String>, RunError> {
        let mut lines: Vec<String> = self
            .settings
            .differences(&asked.settings)?
            .into_iter()
            .map(|at| format!("`{}` was `{}` in this run, now `{}`", at.name, at.ours, at.theirs))
            .collect();
        let (ours, theirs): (Vec<_>, Vec<_>) = (
            self.data.iter().map(|(role, split)| (role, split.clone())).collect(),
            asked.data.iter().map(|(role, split)| (role, split.clone())).collect(),
        );
        for role in ["train", "selection", "test"] {
            let find = |side: &[(&str, SplitRecord)]| {
                side.iter().find(|at| at.0 == role).map(|at| at.1.clone())
            };
            let (before, now) = (find(&ours), find(&theirs));
            if before != now {
                let say = |split: Option<SplitRecord>| match split {
                    None => "absent".to_owned(),
                    Some(at) => at.to_string(),
                };
                lines.push(format!("the {role} split was {}, now {}", say(before), say(now)));
            }
        }
        Ok(lines)
    }

    pub(crate) fn to_toml(&self, path: &Path) -> Result<String, RunError> {
        let fault = |error: toml::ser::Error| RunError::file(path, error);
        let settings = toml::to_string(&self.settings).map_err(fault)?;
        let mut tables = toml::Table::new();
        tables.insert("versions".to_owned(), toml::Value::try_from(&self.versions).map_err(fault)?);
        tables.insert("data".to_owned(), toml::Value::try_from(&self.data).map_err(fault)?);
        if let Some(language) = &self.language {
            tables.insert("language".to_owned(), toml::Value::try_from(language).map_err(fault)?);
        }
        let tables = toml::to_string(&tables).map_err(fault)?;
        Ok(format!("# What this run was started with; written by mmc.\n{settings}\n{tables}"))
    }

    pub(crate) fn from_toml(text: &str, path: &Path) -> Result<Self, RunError> {
        let fault = |error: toml::de::Error| toml_file::fault(text, path, &error);
        let mut table: toml::Table = text.parse().map_err(fault)?;
        let language = table.remove("language");
        let mut take = |key: &str| {
            table.remove(key).ok_or_else(|| {
                let problem = format!(
                    "no table `{key}`, which every run records; restore the file, or run anew in \
                     another folder"
                );
                RunError::file(path, problem)
            })
        };
        let (versions, data) = (take("versions")?, take("data")?);
        for (name, value) in added_settings() {
            table.entry(name).or_insert(value);
        }
        Ok(Self {
            settings: toml::Value::Table(table).try_into().map_err(fault)?,
            versions: versions.try_into().map_err(fault)?,
            data: data.try_into().map_err(fault)?,
            language: language.map(toml::Value::try_into).transpose().map_err(fault)?,
        })
    }
}

/// Settings that runs of earlier versions do not have, with what held for those runs.
fn added_settings() -> [(&'static str, toml::Value); 6] {
    [
        ("freeze", toml::Value::from("none")),
        ("layer_decay", toml::Value::from(1.0)),
        ("gradient_checkpointing", toml::Value::from(false)),
        ("no_test", toml::Value::from(false)),
        ("jpeg_scaling", toml::Value::from(false)),
        ("picture_cache_gib", toml::Value::from(20)),
    ]
}
