//! `mmc fetch`: a checkpoint from the Hugging Face hub into its cache.

use indicatif::DecimalBytes;
use mmc_models::hub::{HubSettings, Repository, Snapshot, connect, fetch};
use mmc_models::{CATALOG, ModelError, preset};

use crate::cli::FetchArgs;
use crate::failure::Failure;
use crate::output::print;
use crate::progress::Transfers;

/// Fetches what is not there yet, and says how to use it.
pub(crate) fn run(typed: &FetchArgs) -> Result<(), Failure> {
    let repository = repository(&typed.name)?;
    let settings = HubSettings::from_env()?;
    tracing::info!(
        "{repository}: {} {}",
        if settings.offline { "looked for in" } else { "fetched into" },
        settings.cache.display()
    );
    let hub = connect(settings)?;
    let mut transfers = Transfers::default();
    let snapshot = fetch(hub.as_ref(), &repository, &mut |at| transfers.tell(at))?;
    print(&summary(&repository, &snapshot))
}

/// The repository that a preset's weights are in, or the one that is named.
fn repository(name: &str) -> Result<Repository, Failure> {
    let given: Repository = name.parse()?;
    match CATALOG.iter().find(|row| row.name == given.id()).map(|row| row.hub_id) {
        Some(Some(id)) => Ok(given.with_id(id)),
        Some(None) => Err(Failure::usage(format!(
            "`{}` is made from scratch and has no weights to fetch: train it as it is",
            given.id()
        ))),
        None => {
            if let Err(ModelError::UnknownPreset { suggestion, .. }) = preset(given.id())
                && !suggestion.is_empty()
            {
                tracing::warn!(
                    "`{}` is no model of mmc, but may be on the hub{suggestion}",
                    given.id()
                );
            }
            Ok(given)
        }
    }
}

fn summary(repository: &Repository, snapshot: &Snapshot) -> String {
    let rows = CATALOG.iter().filter(|row| !row.tiny && row.architecture == snapshot.architecture);
    let rows: Vec<_> = rows.collect();
    let own = rows.iter().find(|row| row.hub_id == Some(&repository.to_string()));
    let usage = match (own, rows.first()) {
        (Some(own), _) => format!("mmc train --model {} ...", own.name),
        (None, Some(row)) => {
            format!("mmc train --model {} --checkpoint {repository} ...", row.name)
        }
        (None, None) => format!("--checkpoint {repository}"),
    };
    format!(
        "{}: {} files, {}, commit {}\nuse it: {usage}",
        snapshot.folder.display(),
        snapshot.files.len(),
        DecimalBytes(snapshot.bytes),
        snapshot.commit.get(..12).unwrap_or(&snapshot.commit),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_stand_for_their_repository() {
        let named = |name| repository(name).map(|found| found.to_string());
        assert_eq!(named("vilt").unwrap(), "dandelin/vilt-b32-mlm");
        assert_eq!(named("bert@v1").unwrap(), "google-bert/bert-base-uncased@v1");
        assert_eq!(named("me/mine").unwrap(), "me/mine");
        assert!(named("vilt-tiny").unwrap_err().to_string().contains("from scratch"));
        assert!(named("a/b/c").unwrap_err().to_string().contains("OWNER/NAME"));
    }

    #[test]
    fn the_summary_says_how_to_use_it() {
        let snapshot = Snapshot {
            folder: "cache/snapshots/c".into(),
            commit: "0123456789abcdef".to_owned(),
            architecture: "vilt",
            files: ["config.json", "vocab.txt", "model.safetensors"].map(str::to_owned).to_vec(),
            bytes: 2_500_000,
        };
        let said = |name| summary(&repository(name).unwrap(), &snapshot);
        assert_eq!(
            said("vilt"),
            "cache/snapshots/c: 3 files, 2.50 MB, commit 0123456789ab\n\
             use it: mmc train --model vilt ..."
        );
        assert!(said("me/mine@v2").ends_with("--model vilt --checkpoint me/mine@v2 ..."));
        assert!(said("vilt@v2").ends_with("--checkpoint dandelin/vilt-b32-mlm@v2 ..."));
    }
}
