//! Before ranks share a run: that they were asked for the same, and have the same to do it with.

use std::collections::BTreeMap;

use mmc_run::{DataRecord, RunConfig, Settings, SplitRecord};
use serde::{Deserialize, Serialize};

use super::Ranks;
use crate::{Plan, TrainError};

/// What a rank is about to do.
#[derive(Serialize, Deserialize)]
struct Intent {
    settings: Settings,
    versions: BTreeMap<String, String>,
    data: DataRecord,
}

impl Plan {
    /// The same shared with other ranks, which all call this. On the CPU it changes no figure; on CUDA a
    /// shard becomes a rank's share of a step, unless its rows were asked for. See
    /// [`train`](crate::train()) for who writes what.
    ///
    /// # Errors
    /// The same at every rank: [`TrainError::RanksDiffer`] where one was asked for another run or has
    /// other data; usage errors where there are more ranks than a step has shards, or several devices at
    /// one.
    pub fn among(mut self, ranks: Ranks) -> Result<Self, TrainError> {
        if ranks.is_alone() {
            return Ok(self);
        }
        self.cut_by(ranks.count());
        let RunConfig { settings, versions, data, .. } = self.config();
        let all = ranks.gather(&Intent { settings, versions, data })?;
        for (rank, other) in all.iter().enumerate().skip(1) {
            let differences = differences(&all[0], other)?;
            if !differences.is_empty() {
                return Err(TrainError::RanksDiffer { rank, differences });
            }
        }
        // Which device each rank has is none of the settings, so they need not agree on it.
        let kinds = ranks.gather_flags(u8::from(self.device.is_cpu()))?;
        let is_one = self.cpu_devices == 1 && self.beside.is_empty();
        if ranks.any(!is_one)? || kinds.iter().any(|kind| *kind != kinds[0]) {
            return Err(TrainError::Device {
                device: "--devices".to_owned(),
                problem:
                    "several ranks compute with one device each, all on the CPU or all on CUDA; \
                          use `--devices cpu`, or `cuda:0,cuda:1` for ranks to take theirs of, and \
                          start as many ranks as there shall be devices"
                        .to_owned(),
            });
        }
        self.check_shards(ranks.count())?;
        Ok(Self { ranks, ..self })
    }

    /// A rank that never has a shard would only cost time.
    fn check_shards(&self, ranks: usize) -> Result<(), TrainError> {
        let shards = self.shards_per_step();
        if ranks <= shards {
            return Ok(());
        }
        let rows = self.settings.items_per_step().min(self.train.len());
        let problem = format!(
            "there are {ranks} ranks, and a step of {rows} rows has {shards} shards of `--shard-rows {}`; \
             start {shards} ranks at most, lower `--shard-rows` (which changes rounding) or raise \
             `--batch-size` (which changes the run)",
            self.settings.shard_rows
        );
        Err(TrainError::setting("shard_rows", problem))
    }
}

/// What another rank would do otherwise than the first, a line each.
fn differences(first: &Intent, other: &Intent) -> Result<Vec<String>, TrainError> {
    let mut lines: Vec<String> = first
        .settings
        .differences(&other.settings)?
        .into_iter()
        .map(|at| format!("`{}` is `{}`, at rank 0 `{}`", at.name, at.theirs, at.ours))
        .collect();
    for (name, version) in &first.versions {
        if other.versions.get(name) != Some(version) {
            let theirs = other.versions.get(name).map_or("absent", |it| it.as_str());
            lines.push(format!("`{name}` is of version {theirs}, at rank 0 {version}"));
        }
    }
    let of = |intent: &Intent, role: &str| {
        let found = intent.data.iter().find(|(name, _)| *name == role);
        found.map(|(_, split)| split.clone())
    };
    for role in ["train", "selection", "test"] {
        let (ours, theirs) = (of(first, role), of(other, role));
        if ours != theirs {
            let say = |split: Option<SplitRecord>| match split {
                None => "absent".to_owned(),
                Some(at) => at.to_string(),
            };
            lines.push(format!("the {role} split is {}, at rank 0 {}", say(theirs), say(ours)));
        }
    }
    Ok(lines)
}
