//! Where the weights of a preset are.

use std::path::{Path, PathBuf};

use crate::architecture::Architecture;
use crate::config::ConfigFile;
use crate::hub::{self, Repository};
use crate::{ModelError, Preset};

/// Where a model's parameters come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointSource {
    /// A folder in Hugging Face layout.
    Folder(PathBuf),
    /// They are made: see [`create`](crate::create).
    FromScratch,
}

/// Finds the weights of a preset: `given` is a folder, a hub id (`OWNER/NAME`, or
/// `OWNER/NAME@REVISION`) or `none`; without it a tiny preset is made from scratch and any other is
/// looked for in `$MMC_MODELS/PRESET`, `models/PRESET` and the hub's cache. Nothing is downloaded:
/// [`hub::fetch`] does that.
///
/// # Errors
/// [`ModelError::NotFound`] with the places that were searched and how to get the weights;
/// [`ModelError::NotTiny`] where `none` is given for a preset that is not tiny;
/// [`ModelError::Architecture`] for a folder of another architecture.
pub fn locate(preset: &Preset, given: Option<&str>) -> Result<CheckpointSource, ModelError> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let hub = hub::cache_folder(&variable);
    let models = variable("MMC_MODELS").map(PathBuf::from);
    Places { models, here: PathBuf::from("models"), hub }.find(preset, given)
}

/// Folders in which checkpoints may lie.
struct Places {
    /// `$MMC_MODELS`.
    models: Option<PathBuf>,
    /// `models` in the working folder.
    here: PathBuf,
    /// The hub's cache.
    hub: Option<PathBuf>,
}

impl Places {
    fn find(&self, preset: &Preset, given: Option<&str>) -> Result<CheckpointSource, ModelError> {
        let mut searched = Vec::new();
        let mut candidates = Vec::new();
        match given {
            Some("none") => return from_scratch(preset),
            None if preset.tiny => return Ok(CheckpointSource::FromScratch),
            Some(given) if Path::new(given).is_dir() => {
                return checked(preset, PathBuf::from(given));
            }
            Some(given) => {
                searched.push(format!("the folder `{given}`"));
                if let Ok(repository) = given.parse() {
                    self.add_cached(&repository, &mut searched, &mut candidates);
                }
            }
            None => {
                let models = self.models.as_deref();
                match models {
                    Some(models) => candidates.push(models.join(preset.name)),
                    None => searched.push("`$MMC_MODELS` (not set)".to_owned()),
                }
                candidates.push(self.here.join(preset.name));
                searched.extend(candidates.iter().map(|path| format!("`{}`", path.display())));
                if let Some(Ok(repository)) = preset.hub_id.map(str::parse) {
                    self.add_cached(&repository, &mut searched, &mut candidates);
                }
            }
        }
        let found = candidates.into_iter().find(|folder| folder.join("config.json").is_file());
        match found {
            Some(folder) => checked(preset, folder),
            None => Err(ModelError::NotFound {
                preset: preset.name.to_owned(),
                places: searched,
                remedy: self.remedy(preset, given),
            }),
        }
    }

    /// The snapshot of a repository in the hub's cache.
    fn add_cached(
        &self,
        repository: &Repository,
        searched: &mut Vec<String>,
        candidates: &mut Vec<PathBuf>,
    ) {
        let Some(hub) = &self.hub else { return };
        let folder = hub::snapshot(hub, repository);
        let whole = folder.filter(|folder| hub::is_whole(folder));
        searched.push(format!("a whole copy of `{repository}` in `{}`", hub.display()));
        candidates.extend(whole);
    }

    fn remedy(&self, preset: &Preset, given: Option<&str>) -> String {
        let given = given.and_then(|given| given.parse::<Repository>().ok());
        let target = self.models.as_ref().unwrap_or(&self.here).join(preset.name);
        let (what, id) = match (&given, preset.hub_id) {
            (Some(repository), _) => (repository.to_string(), repository.id()),
            (None, Some(id)) => (preset.name.to_owned(), id),
            (None, None) => return "give a folder in Hugging Face layout, or `none`".to_owned(),
        };
        format!(
            "`mmc fetch {what}` gets them from https://huggingface.co/{id}; without a network put \
             that repository's files (`config.json`, the weights, the tokenizer's and, if there is \
             one, the image processor's) into `{}`, or name their folder with `--checkpoint`",
            target.display()
        )
    }
}

/// The folder, if its checkpoint is of the preset's architecture.
fn checked(preset: &Preset, folder: PathBuf) -> Result<CheckpointSource, ModelError> {
    let found = Architecture::of(&ConfigFile::read(&folder)?)?.name;
    if found == preset.architecture {
        return Ok(CheckpointSource::Folder(folder));
    }
    Err(ModelError::Architecture {
        folder,
        preset: preset.name.to_owned(),
        expected: preset.architecture.to_owned(),
        found: found.to_owned(),
    })
}

fn from_scratch(preset: &Preset) -> Result<CheckpointSource, ModelError> {
    if preset.tiny {
        return Ok(CheckpointSource::FromScratch);
    }
    let remedy = format!(
        "its parameters only make sense pretrained; use `{}-tiny`, or give a checkpoint",
        preset.name
    );
    Err(ModelError::NotTiny { preset: preset.name.to_owned(), remedy })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::preset;

    fn places(root: &Path) -> Places {
        Places {
            models: Some(root.join("weights")),
            here: root.join("models"),
            hub: Some(root.join("hub")),
        }
    }

    fn put(folder: &Path, architecture: &str) {
        fs::create_dir_all(folder).unwrap();
        let config = format!(r#"{{"model_type": "{architecture}"}}"#);
        fs::write(folder.join("config.json"), config).unwrap();
    }

    fn put_weights(folder: &Path) {
        fs::write(folder.join("pytorch_model.bin"), "as many as there are").unwrap();
    }

    #[test]
    fn places_are_searched_in_order() {
        let root = tempfile::tempdir().unwrap();
        let (places, bert) = (places(root.path()), preset("bert").unwrap());
        let folder = |name: &str| CheckpointSource::Folder(root.path().join(name));

        let error = places.find(bert, None).unwrap_err().to_string();
        assert!(error.contains("google-bert/bert-base-uncased"), "{error}");
        assert!(error.contains("weights/bert"), "{error}");

        let cached = "hub/models--google-bert--bert-base-uncased";
        put(&root.path().join(cached).join("snapshots/abc"), "bert");
        let error = places.find(bert, None).unwrap_err().to_string();
        assert!(error.contains("mmc fetch bert"), "a copy without weights is no copy: {error}");
        put_weights(&root.path().join(cached).join("snapshots/abc"));
        assert_eq!(places.find(bert, None).unwrap(), folder(&format!("{cached}/snapshots/abc")));
        let id = Some("google-bert/bert-base-uncased");
        assert_eq!(places.find(bert, id).unwrap(), folder(&format!("{cached}/snapshots/abc")));
        put(&root.path().join("models/bert"), "bert");
        assert_eq!(places.find(bert, None).unwrap(), folder("models/bert"));
        put(&root.path().join("weights/bert"), "bert");
        assert_eq!(places.find(bert, None).unwrap(), folder("weights/bert"));
    }

    #[test]
    fn the_snapshot_of_main_is_taken_among_several() {
        let root = tempfile::tempdir().unwrap();
        let repository = root.path().join("hub/models--a--b");
        for commit in ["one", "two"] {
            put(&repository.join("snapshots").join(commit), "vilt");
            put_weights(&repository.join("snapshots").join(commit));
        }
        let find = |id| places(root.path()).find(preset("vilt").unwrap(), Some(id));
        let two = CheckpointSource::Folder(repository.join("snapshots/two"));
        let error = find("a/b").unwrap_err().to_string();
        assert!(error.contains("`mmc fetch a/b`"), "{error}");
        assert_eq!(find("a/b@two").unwrap(), two);
        fs::create_dir_all(repository.join("refs")).unwrap();
        fs::write(repository.join("refs/main"), "two\n").unwrap();
        assert_eq!(find("a/b").unwrap(), two);
        assert!(find("a/b@v1").unwrap_err().to_string().contains("`mmc fetch a/b@v1`"));
    }

    #[test]
    fn tiny_models_need_no_weights_and_others_do() {
        let root = tempfile::tempdir().unwrap();
        let find = |name, given| places(root.path()).find(preset(name).unwrap(), given);
        assert_eq!(find("vilt-tiny", None).unwrap(), CheckpointSource::FromScratch);
        assert_eq!(find("vilt-tiny", Some("none")).unwrap(), CheckpointSource::FromScratch);
        assert!(matches!(find("vilt", Some("none")), Err(ModelError::NotTiny { .. })));
        assert!(matches!(find("vilt", Some("no/such/folder")), Err(ModelError::NotFound { .. })));
        let given = root.path().to_str();
        assert!(matches!(find("vilt", given), Err(ModelError::NoFile { .. })));
        put(root.path(), "vilt");
        let expected = CheckpointSource::Folder(root.path().to_owned());
        assert_eq!(find("vilt-tiny", given).unwrap(), expected);
        assert!(matches!(find("bert", given), Err(ModelError::Architecture { .. })));
    }
}
