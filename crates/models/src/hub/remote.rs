//! The hub over the network.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use hf_hub::Cache;
use hf_hub::api::RepoInfo;
use hf_hub::api::sync::{Api, ApiBuilder, ApiRepo};

use super::cache::{Layout, hub_repo};
use super::client::{Ask, Client, Trouble, checked};
use super::transfer::{Announced, bring, here};
use super::{Hub, HubSettings, Listing, Progress, Repository};
use crate::ModelError;

/// The longest list of files that is read, in bytes.
const LONGEST_LISTING: u64 = 16 * 1024 * 1024;

/// The hub that the settings name, with its cache.
pub(super) struct HuggingFace {
    api: Api,
    client: Client,
}

impl HuggingFace {
    pub(super) fn new(settings: HubSettings) -> Result<Self, ModelError> {
        let api = ApiBuilder::from_cache(Cache::new(settings.cache.clone()))
            .with_endpoint(settings.endpoint.clone())
            .with_token(settings.token.clone())
            .with_user_agent("mmc", env!("CARGO_PKG_VERSION"))
            .build()
            .map_err(|error| ModelError::Input { problem: error.to_string() })?;
        Ok(Self { api, client: Client::new(settings)? })
    }

    fn repository(&self, repository: &Repository) -> ApiRepo {
        self.api.repo(hub_repo(repository))
    }

    fn list(&self, repository: &Repository) -> Result<Listing, Trouble> {
        let patience = Some(self.client.settings().patience);
        let request = self.repository(repository).info_request().config();
        let request = request
            .http_status_as_error(false)
            .timeout_resolve(patience)
            .timeout_connect(patience)
            .timeout_send_request(patience)
            .timeout_recv_response(patience)
            .timeout_recv_body(patience)
            .build();
        let mut response = checked(request.call()?)?;
        let body = response.body_mut().with_config().limit(LONGEST_LISTING).read_to_vec()?;
        let info: RepoInfo = serde_json::from_slice(&body)
            .map_err(|error| Trouble::wrong(format!("the list of files is not one: {error}")))?;
        if !is_plain(&info.sha) {
            return Err(Trouble::wrong(format!("`{}` is no commit", info.sha)));
        }
        let files = info.siblings.into_iter().map(|file| file.rfilename).collect();
        Ok(Listing { commit: info.sha, files })
    }

    /// What the hub says of a file before it is fetched.
    fn announced(
        &self,
        repository: &Repository,
        commit: &str,
        name: &str,
    ) -> Result<Announced, Trouble> {
        let url = self.repository(&repository.at(commit)).url(name);
        let (_, facts) = self.client.ask(&url, Ask::Facts)?;
        let told = facts.commit.unwrap_or_else(|| commit.to_owned());
        if told != commit {
            return Err(Trouble::wrong(format!(
                "asked for commit `{commit}`, the server has `{told}`"
            )));
        }
        let etag = facts.etag.filter(|etag| is_plain(etag));
        let (Some(etag), Some(size)) = (etag, facts.size) else {
            return Err(Trouble::wrong("the server says neither `etag` nor size of the file"));
        };
        Ok(Announced { url, name: name.to_owned(), commit: told, etag, size })
    }

    fn get(
        &self,
        repository: &Repository,
        commit: &str,
        name: &str,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf, Trouble> {
        if !is_plain(name) || !is_plain(commit) {
            return Err(Trouble::wrong("not a plain name of a file at a commit"));
        }
        let layout = Layout::new(&self.client.settings().cache, repository);
        let pointer = layout.snapshot(commit).join(name);
        if pointer.is_file() {
            return Ok(pointer); // a commit never changes, and what is not whole has no such name
        }
        let file = self.client.patiently(|| self.announced(repository, commit, name), || false)?;
        let blob = layout.blob(&file.etag);
        let lock = layout.lock(&file.etag);
        for folder in [pointer.parent(), blob.parent(), lock.parent()].into_iter().flatten() {
            fs::create_dir_all(folder).map_err(here(folder))?;
        }
        let held = hold(&lock)?;
        let is_there = fs::metadata(&blob).is_ok_and(|found| found.len() == file.size);
        if !is_there {
            bring(&self.client, &file, &blob, progress)?;
        }
        name_in_snapshot(&blob, &pointer).map_err(here(&pointer))?;
        drop(held);
        Ok(pointer)
    }
}

impl Hub for HuggingFace {
    fn listing(&self, repository: &Repository) -> Result<Listing, ModelError> {
        let listed = self.client.patiently(|| self.list(repository), || false);
        listed.map_err(|trouble| self.client.explain(trouble, repository, None))
    }

    fn file(
        &self,
        repository: &Repository,
        commit: &str,
        name: &str,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf, ModelError> {
        self.get(repository, commit, name, progress)
            .map_err(|trouble| self.client.explain(trouble, repository, Some(name)))
    }

    fn settle(&self, repository: &Repository, commit: &str) -> Result<PathBuf, ModelError> {
        let layout = Layout::new(&self.client.settings().cache, repository);
        layout.point(commit)?;
        Ok(layout.snapshot(commit))
    }
}

/// Whether a word of a server may become part of a path.
fn is_plain(word: &str) -> bool {
    (1..=128).contains(&word.len())
        && !word.starts_with('.')
        && word.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
}

/// Holds a file's lock, so that no other process writes it: Python's libraries take the same one.
#[cfg(unix)]
fn hold(lock: &Path) -> Result<nix::fcntl::Flock<File>, Trouble> {
    use nix::fcntl::{Flock, FlockArg};
    let file = File::create(lock).map_err(here(lock))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| {
        if error == nix::errno::Errno::EWOULDBLOCK {
            Trouble::passing(format!("another process fetches it (`{}`)", lock.display()))
        } else {
            here(lock)(error.into())
        }
    })
}

/// Two processes that fetch one file at once may spoil it there, which its digest shows.
#[cfg(not(unix))]
fn hold(lock: &Path) -> Result<File, Trouble> {
    File::create(lock).map_err(here(lock))
}

/// Gives the contents their name in the snapshot.
fn name_in_snapshot(blob: &Path, pointer: &Path) -> io::Result<()> {
    match fs::remove_file(pointer) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => link(blob, pointer), // a link to contents that are gone was removed
    }
}

/// A relative link, so that the cache can be moved.
#[cfg(unix)]
fn link(blob: &Path, pointer: &Path) -> io::Result<()> {
    let etag = blob.file_name().unwrap_or_default();
    std::os::unix::fs::symlink(Path::new("../../blobs").join(etag), pointer)
}

/// Links take a privilege there.
#[cfg(not(unix))]
fn link(blob: &Path, pointer: &Path) -> io::Result<()> {
    fs::copy(blob, pointer).map(|_| ())
}
