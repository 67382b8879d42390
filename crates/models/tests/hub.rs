//! Fetching from a hub that misbehaves: a server of this test's own, on this machine, told for each
//! test what to do wrong.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "hub/server.rs"]
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mmc_models::hub::{HubSettings, Repository, Snapshot, connect, fetch};
use mmc_models::{HubError, ModelError};

use self::server::{Fault, Server, digest};

/// Weights that are long enough to be cut.
fn weights() -> Vec<u8> {
    (0..300_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

const CONFIG: &[u8] = br#"{"model_type": "bert"}"#;

fn files() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("README.md", b"# words".to_vec()),
        ("config.json", CONFIG.to_vec()),
        ("model.safetensors", weights()),
        ("tf_model.h5", b"another library's".to_vec()),
        ("tokenizer_config.json", b"{}".to_vec()),
        ("vocab.txt", b"[PAD]\n[UNK]\n".to_vec()),
    ]
}

struct Place {
    cache: tempfile::TempDir,
    server: Server,
}

impl Place {
    fn with(fault: Fault) -> Self {
        Self { cache: tempfile::tempdir().unwrap(), server: Server::start(files(), fault) }
    }

    fn settings(&self) -> HubSettings {
        HubSettings {
            endpoint: self.server.address(),
            patience: Duration::from_millis(400),
            wait: Duration::from_millis(1),
            ..HubSettings::new(self.cache.path())
        }
    }

    fn fetch(&self, id: &str) -> Result<Snapshot, ModelError> {
        let started = Instant::now();
        let repository: Repository = id.parse().unwrap();
        let hub = connect(self.settings()).unwrap();
        let fetched = fetch(hub.as_ref(), &repository, &mut |at| assert!(at.done <= at.size));
        assert!(started.elapsed() < Duration::from_secs(20), "took {:?}", started.elapsed());
        fetched
    }

    fn refused(&self, id: &str) -> HubError {
        match self.fetch(id) {
            Err(ModelError::Hub(error)) => {
                assert!(!self.folder().join("refs").exists(), "nothing is kept that is not whole");
                *error
            }
            other => panic!("{other:?}"),
        }
    }

    fn folder(&self) -> PathBuf {
        self.cache.path().join("models--a--b")
    }

    fn blobs(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder().join("blobs")).into_iter().flatten();
        let mut names: Vec<String> =
            entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn is_whole(snapshot: &Snapshot) {
    assert_eq!(fs::read(snapshot.folder.join("model.safetensors")).unwrap(), weights());
    assert_eq!(fs::read(snapshot.folder.join("config.json")).unwrap(), CONFIG);
}

#[test]
fn what_is_needed_is_fetched_once_into_pythons_layout() {
    let place = Place::with(Fault::None);
    let snapshot = place.fetch("a/b").unwrap();
    is_whole(&snapshot);
    let commit = server::COMMIT;
    assert_eq!(snapshot.folder, place.folder().join("snapshots").join(commit));
    assert_eq!(fs::read_to_string(place.folder().join("refs/main")).unwrap(), commit);
    let needed = ["config.json", "tokenizer_config.json", "vocab.txt", "model.safetensors"];
    assert_eq!(snapshot.files, needed);
    assert!(place.blobs().contains(&digest(&weights())), "{:?}", place.blobs());
    assert_eq!(place.blobs().len(), needed.len(), "{:?}", place.blobs());
    let link = fs::read_link(snapshot.folder.join("model.safetensors")).unwrap();
    assert_eq!(link, Path::new("../../blobs").join(digest(&weights())));
    assert!(!place.server.paths().iter().any(|path| path.contains("tf_model")));

    let asked = place.server.paths().len();
    assert_eq!(place.fetch("a/b").unwrap(), snapshot);
    assert_eq!(place.server.paths().len(), asked + 1, "only the list is asked for again");
    place.fetch("a/b@v1.0").unwrap();
    assert_eq!(fs::read_to_string(place.folder().join("refs/v1.0")).unwrap(), commit);
}

#[test]
fn parts_are_found_through_their_index() {
    let index = br#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
    let files = |parts: &[&'static str]| {
        let mut files = vec![
            ("config.json", CONFIG.to_vec()),
            ("model.safetensors.index.json", index.to_vec()),
            ("pytorch_model.bin", b"older".to_vec()),
        ];
        files.extend(parts.iter().map(|&part| (part, weights())));
        files
    };
    let cache = tempfile::tempdir().unwrap();
    let all = ["model-1.safetensors", "model-2.safetensors"];
    let place = Place { cache, server: Server::start(files(&all), Fault::None) };
    let snapshot = place.fetch("a/b").unwrap();
    assert_eq!(snapshot.files[1..], ["model.safetensors.index.json", all[0], all[1]]);

    let cache = tempfile::tempdir().unwrap();
    let place = Place { cache, server: Server::start(files(&all[..1]), Fault::None) };
    assert!(place.refused("a/b").problem.contains("`model-2.safetensors`"));
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_stopped() {
    let place = Place::with(Fault::BreaksOff { answers: 2 });
    is_whole(&place.fetch("a/b").unwrap());
    let starts = place.server.ranges();
    assert_eq!(starts.len(), 2, "two requests for the rest: {starts:?}");
    assert!(starts[0] > 0 && starts[1] > starts[0], "{starts:?}");

    // Over two calls as well, and where the server will not send a rest.
    for fault in [Fault::None, Fault::IgnoresRanges, Fault::RefusesRanges] {
        let place = Place::with(fault);
        fs::create_dir_all(place.folder().join("blobs")).unwrap();
        let partial = place.folder().join(format!("blobs/{}.incomplete", digest(&weights())));
        fs::write(&partial, &weights()[..1_000_000]).unwrap();
        is_whole(&place.fetch("a/b").unwrap());
        assert_eq!(place.server.ranges(), [1_000_000]);
        assert!(!partial.exists());
    }
}

#[test]
fn a_server_that_always_breaks_off_is_given_up_and_the_part_kept() {
    let place = Place::with(Fault::BreaksOff { answers: usize::MAX });
    let error = place.refused("a/b");
    assert_eq!(error.file.as_deref(), Some("config.json"));
    assert!(error.problem.contains("broke off at byte"), "{error}");
    assert!(error.remedy.contains("goes on where"), "{error}");
    assert!(place.blobs().iter().any(|name| name.ends_with(".incomplete")));
}

#[test]
fn a_silent_and_a_dripping_server_are_given_up() {
    for fault in [Fault::Silent, Fault::Drips] {
        let place = Place::with(fault.clone());
        let error = place.refused("a/b");
        assert!(error.problem.contains("5 times"), "{fault:?}: {error}");
    }
}

#[test]
fn a_server_that_is_busy_for_a_while_is_asked_again() {
    let place = Place::with(Fault::Busy { answers: 2 });
    is_whole(&place.fetch("a/b").unwrap());
    let place = Place::with(Fault::Busy { answers: usize::MAX });
    let error = place.refused("a/b");
    assert_eq!(error.status, Some(503));
}

#[test]
fn refusals_name_repository_revision_status_and_remedy() {
    for (fault, status, said) in [
        (Fault::Status { listing: true, status: 404, code: "RepoNotFound" }, 404, "check the id"),
        (
            Fault::Status { listing: true, status: 404, code: "RevisionNotFound" },
            404,
            "check the revision `v2`",
        ),
        (Fault::Status { listing: true, status: 401, code: "" }, 401, "set `HF_TOKEN`"),
        (Fault::Status { listing: false, status: 403, code: "GatedRepo" }, 403, "terms"),
        (Fault::Status { listing: false, status: 404, code: "EntryNotFound" }, 404, "listed at"),
    ] {
        let place = Place::with(fault);
        let error = place.refused("a/b@v2");
        assert_eq!(error.status, Some(status), "{error}");
        assert!(error.remedy.contains(said), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("`a/b` at `v2`"), "{text}");
        assert!(text.contains(&format!("answered {status}")), "{text}");
        assert_eq!(error.file.is_some(), text.contains("`config.json`"), "{text}");
    }
}

#[test]
fn sizes_and_digests_that_are_not_those_announced_are_refused() {
    for (fault, said) in [
        (Fault::LessThanAnnounced, "broke off at byte"),
        (Fault::MoreThanAnnounced, "more came than"),
        (Fault::OtherBytes, "SHA-256"),
    ] {
        let place = Place::with(fault);
        let error = place.refused("a/b");
        assert_eq!(error.file.as_deref(), Some("model.safetensors"));
        assert!(error.problem.contains(said), "{error}");
        assert!(!place.blobs().contains(&digest(&weights())));
    }
}

#[test]
fn a_partial_file_that_is_bad_is_fetched_from_the_start() {
    let place = Place::with(Fault::None);
    fs::create_dir_all(place.folder().join("blobs")).unwrap();
    let partial = place.folder().join(format!("blobs/{}.incomplete", digest(&weights())));
    fs::write(&partial, vec![7; 1_000_000]).unwrap();
    is_whole(&place.fetch("a/b").unwrap());
    fs::remove_dir_all(place.folder()).unwrap();
    fs::create_dir_all(place.folder().join("blobs")).unwrap();
    fs::write(&partial, vec![7; 9_000_000]).unwrap();
    is_whole(&place.fetch("a/b").unwrap());
}

/// The lock is the one that Python's libraries take.
#[cfg(unix)]
#[test]
fn a_file_that_another_process_fetches_is_left_to_it() {
    use nix::fcntl::{Flock, FlockArg};
    let place = Place::with(Fault::None);
    let locks = place.cache.path().join(".locks/models--a--b");
    fs::create_dir_all(&locks).unwrap();
    let lock = fs::File::create(locks.join(format!("{}.lock", digest(&weights())))).unwrap();
    let held = Flock::lock(lock, FlockArg::LockExclusiveNonblock).unwrap();
    assert!(place.refused("a/b").problem.contains("another process"));
    drop(held);
    is_whole(&place.fetch("a/b").unwrap());
}

#[test]
fn a_file_that_changes_under_way_is_refused() {
    for fault in [Fault::OtherEtag, Fault::OtherCommit] {
        let place = Place::with(fault);
        let error = place.refused("a/b");
        assert!(error.problem.contains("changed under way"), "{error}");
    }
}

#[test]
fn redirects_are_followed_and_the_token_stays_at_home() {
    let place = Place::with(Fault::None);
    let store = Server::start(files(), Fault::None);
    let hub = Server::start(files(), Fault::Redirects { to: store.address() });
    let settings = HubSettings {
        endpoint: hub.address(),
        token: Some("hf_secret".to_owned()),
        ..place.settings()
    };
    let fetched = fetch(connect(settings).unwrap().as_ref(), &"a/b".parse().unwrap(), &mut |_| ());
    is_whole(&fetched.unwrap());
    assert!(hub.tokens().iter().all(|token| token.as_deref() == Some("Bearer hf_secret")));
    assert!(!store.tokens().is_empty(), "the weights came from there");
    assert!(store.tokens().iter().all(Option::is_none), "{:?}", store.tokens());

    let place = Place::with(Fault::RedirectsToItself);
    is_whole(&place.fetch("a/b").unwrap());
    let place = Place::with(Fault::RedirectsForEver);
    assert!(place.refused("a/b").problem.contains("redirects"));
}

#[test]
fn offline_only_the_cache_is_used() {
    let place = Place::with(Fault::None);
    let offline = || {
        let settings = HubSettings { offline: true, ..place.settings() };
        fetch(connect(settings).unwrap().as_ref(), &"a/b".parse().unwrap(), &mut |_| ())
    };
    let error = offline().unwrap_err().to_string();
    assert!(error.contains("HF_HUB_OFFLINE") && error.contains("models--a--b"), "{error}");
    assert!(place.server.paths().is_empty());
    let fetched = place.fetch("a/b").unwrap();
    let asked = place.server.paths().len();
    let cached = offline().unwrap();
    assert_eq!((&cached.folder, cached.bytes), (&fetched.folder, fetched.bytes));
    assert_eq!(place.server.paths().len(), asked);
    fs::remove_file(fetched.folder.join("model.safetensors")).unwrap();
    assert!(offline().unwrap_err().to_string().contains("`weights`"));
}

#[test]
fn an_architecture_that_is_not_supported_costs_no_weights() {
    let files = vec![
        ("config.json", br#"{"model_type": "mamba"}"#.to_vec()),
        ("model.safetensors", weights()),
    ];
    let cache = tempfile::tempdir().unwrap();
    let place = Place { cache, server: Server::start(files, Fault::None) };
    let error = place.fetch("a/b").unwrap_err().to_string();
    assert!(error.contains("`mamba`") && error.contains("`vilt`"), "{error}");
    assert!(!place.server.paths().iter().any(|path| path.contains("safetensors")));
}

#[test]
fn no_server_is_said_at_once() {
    let place = Place::with(Fault::None);
    // A port that was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = HubSettings { endpoint: format!("http://{free}"), ..place.settings() };
    let hub = connect(settings).unwrap();
    let error = fetch(hub.as_ref(), &"a/b".parse().unwrap(), &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("check the network") && error.contains("HF_ENDPOINT"), "{error}");
    let settings = HubSettings { endpoint: "nowhere at all".to_owned(), ..place.settings() };
    assert!(connect(settings).is_err());
}
