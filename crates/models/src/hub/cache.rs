//! The cache of the hub, as Python's libraries lay it out:
//! `models--OWNER--NAME/{blobs/ETAG, refs/REVISION, snapshots/COMMIT/FILE}`.

use std::path::{Path, PathBuf};

use hf_hub::{Cache, CacheRepo, Repo, RepoType};

use super::needed::CONFIG;
use super::{Hub, Listing, Progress, Repository};
use crate::checkpoint::{WEIGHTS, part_names};
use crate::{HubError, ModelError};

/// Places of one repository in the cache.
pub(super) struct Layout {
    root: PathBuf,
    folder: String,
    revision: String,
    places: CacheRepo,
}

impl Layout {
    pub(super) fn new(root: &Path, repository: &Repository) -> Self {
        let repo = hub_repo(repository);
        let folder = repo.folder_name();
        let places = Cache::new(root.to_owned()).repo(repo);
        Self { root: root.to_owned(), folder, revision: repository.revision().to_owned(), places }
    }

    /// The folder of the repository.
    pub(super) fn folder(&self) -> PathBuf {
        self.root.join(&self.folder)
    }

    /// The folder of a commit's files.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.places.pointer_path(commit)
    }

    /// The contents of a file.
    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.places.blob_path(etag)
    }

    /// What a process holds while it fetches a file; the same for Python's.
    pub(super) fn lock(&self, etag: &str) -> PathBuf {
        self.root.join(".locks").join(&self.folder).join(format!("{etag}.lock"))
    }

    /// Writes down which commit the revision stands for.
    pub(super) fn point(&self, commit: &str) -> Result<(), ModelError> {
        if commit == self.revision {
            return Ok(()); // a commit stands for itself
        }
        let path = self.folder().join("refs").join(&self.revision);
        self.places.create_ref(commit).map_err(|source| ModelError::Write { path, source })
    }
}

/// The repository as the client has it.
pub(super) fn hub_repo(repository: &Repository) -> Repo {
    let revision = repository.revision().to_owned();
    Repo::with_revision(repository.id().to_owned(), RepoType::Model, revision)
}

/// The folder in the cache that a revision stands for, whole or not; for `main` also the only one
/// there is.
pub(crate) fn snapshot(root: &Path, repository: &Repository) -> Option<PathBuf> {
    let layout = Layout::new(root, repository);
    let named = layout.folder().join("refs").join(repository.revision());
    let commit = std::fs::read_to_string(named)
        .map_or(repository.revision().to_owned(), |commit| commit.trim().to_owned());
    let folder = layout.snapshot(&commit);
    if folder.is_dir() {
        return Some(folder);
    }
    if repository.revision() != "main" {
        return None;
    }
    let entries = std::fs::read_dir(layout.folder().join("snapshots")).ok()?;
    let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    if folders.len() == 1 { folders.pop() } else { None }
}

/// Whether a folder has a configuration and all its weights: the cache also holds what somebody
/// fetched a tokenizer from, or began to fetch.
pub(crate) fn is_whole(folder: &Path) -> bool {
    let has = |name: &str| folder.join(name).is_file();
    has(CONFIG)
        && WEIGHTS.iter().copied().find(|name| has(name)).is_some_and(|weights| {
            !weights.ends_with(".index.json")
                || part_names(&folder.join(weights))
                    .is_ok_and(|parts| parts.iter().all(|part| has(part)))
        })
}

/// The hub without the network: what the cache has.
pub(super) struct Cached {
    root: PathBuf,
}

impl Cached {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn absent(&self, repository: &Repository, file: Option<&str>) -> ModelError {
        let folder = Layout::new(&self.root, repository).folder();
        let problem = format!(
            "not in the cache `{}`, and `HF_HUB_OFFLINE` forbids the network",
            folder.display()
        );
        let remedy = "unset it, run `mmc fetch` on a machine with a network and copy that folder \
                      here, or put `config.json`, the weights, the tokenizer's and the processor's \
                      files into a folder for `--checkpoint`"
            .to_owned();
        let error = HubError::new(repository, problem, remedy);
        HubError { file: file.map(str::to_owned), ..error }.into()
    }
}

impl Hub for Cached {
    fn listing(&self, repository: &Repository) -> Result<Listing, ModelError> {
        let absent = || self.absent(repository, None);
        let folder = snapshot(&self.root, repository).ok_or_else(absent)?;
        let read = |source| ModelError::Read { path: folder.clone(), source };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(read)? {
            let entry = entry.map_err(read)?;
            if entry.path().is_file() {
                files.extend(entry.file_name().into_string().ok());
            }
        }
        files.sort();
        let commit = folder.file_name().and_then(|name| name.to_str()).map(str::to_owned);
        if is_whole(&folder) {
            return Ok(Listing { commit: commit.ok_or_else(absent)?, files });
        }
        let missing = if files.iter().any(|file| file == CONFIG) { "weights" } else { CONFIG };
        Err(self.absent(repository, Some(missing)))
    }

    fn file(
        &self,
        repository: &Repository,
        commit: &str,
        name: &str,
        _progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf, ModelError> {
        let path = Layout::new(&self.root, repository).snapshot(commit).join(name);
        if path.is_file() { Ok(path) } else { Err(self.absent(repository, Some(name))) }
    }

    fn settle(&self, repository: &Repository, commit: &str) -> Result<PathBuf, ModelError> {
        Ok(Layout::new(&self.root, repository).snapshot(commit))
    }
}
