//! Checkpoints of the Hugging Face hub: what of a repository is needed, fetched into the cache that
//! Python's libraries use as well.
//!
//! [`connect`] gives the [`Hub`] that the environment asks for, [`fetch`] takes a checkpoint from
//! it. Nothing else in this crate uses the network: [`locate`](crate::locate) only looks into the
//! cache.
//!
//! Of the hub client `hf-hub` come the addresses, the list of a repository's files and the layout
//! of the cache. Files are transferred here, because the client has no time limits, adds to a
//! partial file whatever the server answers, and checks neither sizes nor digests.
//!
//! ```
//! use mmc_models::hub::{HubSettings, Repository, connect, fetch};
//!
//! # fn main() -> Result<(), mmc_models::ModelError> {
//! let repository: Repository = "google-bert/bert-base-uncased@main".parse()?;
//! # let cache = tempfile::tempdir().unwrap();
//! let offline = HubSettings { offline: true, ..HubSettings::new(cache.path()) };
//! let error = fetch(connect(offline)?.as_ref(), &repository, &mut |_| ()).unwrap_err();
//! assert!(error.to_string().contains("HF_HUB_OFFLINE"));
//! # Ok(())
//! # }
//! ```

mod cache;
mod client;
mod needed;
mod remote;
mod repository;
mod settings;
mod transfer;

use std::path::PathBuf;

use self::cache::Cached;
pub(crate) use self::cache::{is_whole, snapshot};
use self::needed::{CONFIG, Needed, Weights};
use self::remote::HuggingFace;
pub use self::repository::Repository;
pub use self::settings::HubSettings;
pub(crate) use self::settings::cache_folder;
use crate::ModelError;
use crate::architecture::Architecture;
use crate::checkpoint::part_names;
use crate::config::ConfigFile;

/// Where repositories are: behind the network, or in the cache alone.
pub trait Hub {
    /// What a repository holds at its revision.
    ///
    /// # Errors
    /// [`ModelError::Hub`]: there is no such repository, it may not be read, or there is no way to
    /// it.
    fn listing(&self, repository: &Repository) -> Result<Listing, ModelError>;

    /// One file at a commit, whole and checked, in the cache.
    ///
    /// # Errors
    /// [`ModelError::Hub`] as above, or because what came is not the file; [`ModelError::Write`].
    fn file(
        &self,
        repository: &Repository,
        commit: &str,
        name: &str,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf, ModelError>;

    /// Writes down that the revision stands for the commit, whose files are all there, and gives
    /// their folder.
    ///
    /// # Errors
    /// [`ModelError::Write`].
    fn settle(&self, repository: &Repository, commit: &str) -> Result<PathBuf, ModelError>;
}

/// What a repository holds at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The commit that the revision stands for.
    pub commit: String,
    /// Paths of the files.
    pub files: Vec<String>,
}

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Its name.
    pub file: &'a str,
    /// Bytes that are there.
    pub done: u64,
    /// Bytes of the whole file.
    pub size: u64,
}

/// A checkpoint in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The folder, in Hugging Face layout.
    pub folder: PathBuf,
    /// The commit.
    pub commit: String,
    /// The `model_type` of its configuration.
    pub architecture: &'static str,
    /// Its files.
    pub files: Vec<String>,
    /// Their bytes.
    pub bytes: u64,
}

/// The hub, or, where the settings say offline, what the cache has of it.
///
/// # Errors
/// [`ModelError::Input`] if the endpoint is no address.
pub fn connect(settings: HubSettings) -> Result<Box<dyn Hub>, ModelError> {
    if settings.offline {
        return Ok(Box::new(Cached::new(settings.cache)));
    }
    Ok(Box::new(HuggingFace::new(settings)?))
}

/// Gets what [`load`](crate::load) and the processor need of a repository: the configuration, the
/// weights in the first of the formats that are read, tokenizer and processor. What is in the cache
/// already is not fetched again.
///
/// # Errors
/// [`ModelError::Hub`] with repository, revision, file, status and remedy; [`ModelError::Value`]
/// for an architecture that is not supported, before its weights are fetched;
/// [`ModelError::Write`].
pub fn fetch(
    hub: &dyn Hub,
    repository: &Repository,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Snapshot, ModelError> {
    let Listing { commit, files } = hub.listing(repository)?;
    let needed = Needed::among(&files, repository)?;
    let mut names = vec![CONFIG.to_owned()];
    let config = hub.file(repository, &commit, CONFIG, progress)?;
    let folder = config.parent().map(PathBuf::from).unwrap_or_default();
    let architecture = Architecture::of(&ConfigFile::read(&folder)?)?.name;
    names.extend(needed.beside);
    match needed.weights {
        Weights::Whole(file) => names.push(file.to_owned()),
        Weights::Parts(index) => {
            let path = hub.file(repository, &commit, index, progress)?;
            names.push(index.to_owned());
            for part in part_names(&path)? {
                if !files.contains(&part) {
                    return Err(needed::no_part(repository, index, &part));
                }
                names.push(part);
            }
        }
    }
    let mut bytes = 0;
    for name in &names {
        let path = hub.file(repository, &commit, name, progress)?;
        let read = |source| ModelError::Read { path: path.clone(), source };
        bytes += std::fs::metadata(&path).map_err(read)?.len();
    }
    let folder = hub.settle(repository, &commit)?;
    Ok(Snapshot { folder, commit, architecture, files: names, bytes })
}
