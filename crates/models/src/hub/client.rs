//! Requests to the hub: bounded in time, with the token for the hub alone, and with what goes wrong
//! sorted into what another attempt may mend and what it cannot.

use std::io;
use std::time::Duration;

use ureq::http::{HeaderMap, Response, Uri};
use ureq::{Agent, Body};

use super::{HubSettings, Repository};
use crate::{HubError, ModelError};

/// Attempts of which none brought anything, before it is given up.
const ATTEMPTS: u32 = 5;

/// Redirects of one request.
const HOPS: usize = 10;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// What the file is, without it.
    Facts,
    /// The file from this byte on.
    Bytes { from: u64 },
}

/// What a server says of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) commit: Option<String>,
    pub(super) etag: Option<String>,
    pub(super) size: Option<u64>,
}

/// What went wrong with a request.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Another attempt may go well.
    Passing { status: Option<u16>, problem: String },
    /// The server will not.
    Refused { status: u16, code: String, said: String },
    /// There is no way to the server.
    NoWay { problem: String },
    /// What came is not what was announced.
    Wrong { problem: String },
    /// It is on this side.
    Here(ModelError),
}

impl Trouble {
    pub(super) fn passing(problem: impl Into<String>) -> Self {
        Self::Passing { status: None, problem: problem.into() }
    }

    pub(super) fn wrong(problem: impl Into<String>) -> Self {
        Self::Wrong { problem: problem.into() }
    }
}

impl From<ureq::Error> for Trouble {
    fn from(error: ureq::Error) -> Self {
        use ureq::Error as E;
        let refused = matches!(&error, E::Io(cause) if matches!(cause.kind(),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NetworkUnreachable));
        let settled = matches!(error, E::HostNotFound | E::BadUri(_) | E::Tls(_) | E::Rustls(_));
        if refused || settled {
            Self::NoWay { problem: error.to_string() }
        } else {
            Self::passing(error.to_string())
        }
    }
}

/// Asks the hub, and the servers that it names for large files.
pub(super) struct Client {
    agent: Agent,
    home: Uri,
    settings: HubSettings,
}

impl Client {
    pub(super) fn new(settings: HubSettings) -> Result<Self, ModelError> {
        let patience = Some(settings.patience);
        let config = Agent::config_builder()
            .max_redirects(0) // followed here: a redirect holds what the hub says of a file
            .http_status_as_error(false)
            .user_agent(concat!("mmc/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(patience)
            .timeout_connect(patience)
            .timeout_send_request(patience)
            .timeout_recv_response(patience)
            .timeout_per_read(patience)
            .timeout_per_write(patience);
        let home = settings.endpoint.parse::<Uri>().ok().filter(|uri| uri.host().is_some());
        let home = home.ok_or_else(|| ModelError::Input {
            problem: format!(
                "`HF_ENDPOINT` is `{}`, expected an address such as `https://huggingface.co`",
                settings.endpoint
            ),
        })?;
        Ok(Self { agent: config.build().into(), home, settings })
    }

    pub(super) fn settings(&self) -> &HubSettings {
        &self.settings
    }

    /// Does something again, with growing pauses, while it fails in passing. `mended` says whether
    /// the last attempt brought a good part, so that the next counts as the first.
    pub(super) fn patiently<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, Trouble>,
        mut mended: impl FnMut() -> bool,
    ) -> Result<T, Trouble> {
        let mut failed = 0;
        loop {
            match attempt() {
                Err(Trouble::Passing { status, problem }) => {
                    failed = if mended() { 1 } else { failed + 1 };
                    if failed == ATTEMPTS {
                        let problem = format!("{problem}, {ATTEMPTS} times");
                        return Err(Trouble::Passing { status, problem });
                    }
                    tracing::debug!("{problem}; attempt {failed} of {ATTEMPTS}");
                    let longest = Duration::from_secs(30);
                    std::thread::sleep((self.settings.wait * (1 << (failed - 1))).min(longest));
                }
                done => return done,
            }
        }
    }

    /// Asks for a file, through redirects. The facts are those of the hub, where it says them.
    pub(super) fn ask(&self, url: &str, ask: Ask) -> Result<(Response<Body>, Facts), Trouble> {
        let mut facts = Facts::default();
        let mut at: Uri = parsed(url)?;
        for _ in 0..HOPS {
            let response = self.once(&at, ask)?;
            let moved = response.status().is_redirection();
            facts.learn(response.headers(), &|| !moved && (ask == Ask::Facts || self.is_home(&at)));
            if !moved || (ask == Ask::Facts && facts.etag.is_some() && facts.size.is_some()) {
                return Ok((response, facts));
            }
            at = following(&at, response.headers())?;
        }
        Err(Trouble::wrong(format!("more than {HOPS} redirects")))
    }

    fn once(&self, at: &Uri, ask: Ask) -> Result<Response<Body>, Trouble> {
        let mut request = match ask {
            Ask::Facts => self.agent.head(at),
            Ask::Bytes { .. } => self.agent.get(at),
        };
        // Sizes and ranges are those of the file, not of a compressed form of it.
        request = request.header("accept-encoding", "identity");
        if let (Some(token), true) = (&self.settings.token, self.is_home(at)) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Ask::Bytes { from: from @ 1.. } = ask {
            request = request.header("range", format!("bytes={from}-"));
        }
        checked(request.call()?)
    }

    /// Whether it is the hub itself, which may see the token.
    fn is_home(&self, at: &Uri) -> bool {
        at.scheme() == self.home.scheme() && at.authority() == self.home.authority()
    }

    /// The trouble in words, with what to do.
    pub(super) fn explain(
        &self,
        trouble: Trouble,
        repository: &Repository,
        file: Option<&str>,
    ) -> ModelError {
        let endpoint = &self.settings.endpoint;
        let (status, problem, remedy) = match trouble {
            Trouble::Here(error) => return error,
            Trouble::Passing { status, problem } => {
                let remedy = "run the command again: it goes on where this one stopped";
                (status, problem, remedy.to_owned())
            }
            Trouble::NoWay { problem } => {
                let remedy = format!(
                    "check the network, the proxy and `HF_ENDPOINT` (`{endpoint}`); with \
                     `HF_HUB_OFFLINE=1` only the cache is used"
                );
                (None, problem, remedy)
            }
            Trouble::Wrong { problem } => {
                let remedy = "run the command again; if it stays so, the server or a proxy on the \
                              way to it is broken";
                (None, problem, remedy.to_owned())
            }
            Trouble::Refused { status, code, said } => {
                let said = if said.is_empty() { said } else { format!(" ({said})") };
                let remedy = self.way_in(status, &code, repository);
                (Some(status), format!("{endpoint} answered {status}{said}"), remedy)
            }
        };
        let error = HubError::new(repository, problem, remedy);
        HubError { file: file.map(str::to_owned), status, ..error }.into()
    }

    /// What to do about a refusal.
    fn way_in(&self, status: u16, code: &str, repository: &Repository) -> String {
        let page = format!("{}/{}", self.settings.endpoint, repository.id());
        match (status, code, &self.settings.token) {
            // The hub answers 401 for what is not there as well, so as not to tell what is.
            (401 | 403, _, None) => format!(
                "check the id; if it is right, the repository is private or its terms must be \
                 accepted: do so at {page} and set `HF_TOKEN` to your token"
            ),
            (401 | 403, _, Some(_)) => format!(
                "the token (`HF_TOKEN`, or the token file) does not open it: accept the terms at \
                 {page} with its account, or use another token"
            ),
            (404, "RevisionNotFound", _) => {
                format!("check the revision `{}`: {page} lists them", repository.revision())
            }
            (404, "EntryNotFound", _) => format!("the files are listed at {page}"),
            (404, ..) => format!("check the id and the revision: {page} must exist"),
            _ => "try again later, or get the files by other means".to_owned(),
        }
    }
}

impl Facts {
    /// Takes from an answer what is not known yet; `plain` says whether its own etag and length are
    /// the file's, and not those of a redirect or of another server's copy.
    fn learn(&mut self, headers: &HeaderMap, plain: &dyn Fn() -> bool) {
        let text = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?.trim();
            Some(value.trim_start_matches("W/").trim_matches('"').to_owned())
        };
        let either = |linked, own| text(linked).or_else(|| plain().then(|| text(own))?);
        self.commit = self.commit.take().or_else(|| text("x-repo-commit"));
        self.etag = self.etag.take().or_else(|| either("x-linked-etag", "etag"));
        let size = || either("x-linked-size", "content-length")?.parse().ok();
        self.size = self.size.or_else(size);
    }
}

/// The answer, if it is the thing asked for or a way to it.
pub(super) fn checked(response: Response<Body>) -> Result<Response<Body>, Trouble> {
    let status = response.status();
    if status.is_success()
        || (status.is_redirection() && response.headers().contains_key("location"))
    {
        return Ok(response);
    }
    let said = |name: &str| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().chars().take(200).collect::<String>()
    };
    let number = status.as_u16();
    if status.is_server_error() || [408, 429].contains(&number) {
        let problem = format!("the server answered {number}");
        return Err(Trouble::Passing { status: Some(number), problem });
    }
    Err(Trouble::Refused {
        status: number,
        code: said("x-error-code"),
        said: said("x-error-message"),
    })
}

/// Where a redirect leads.
fn following(at: &Uri, headers: &HeaderMap) -> Result<Uri, Trouble> {
    let location = headers.get("location").and_then(|value| value.to_str().ok());
    let location = location.unwrap_or_default();
    let target = parsed(location)?;
    if target.host().is_none() {
        let mut parts = at.clone().into_parts();
        parts.path_and_query = target.into_parts().path_and_query;
        let joined = Uri::from_parts(parts);
        return joined.map_err(|error| Trouble::wrong(format!("`{location}`: {error}")));
    }
    if at.scheme_str() == Some("https") && target.scheme_str() != Some("https") {
        return Err(Trouble::wrong(format!("a redirect to the unprotected `{location}`")));
    }
    Ok(target)
}

fn parsed(address: &str) -> Result<Uri, Trouble> {
    address.parse().map_err(|error| Trouble::wrong(format!("the address `{address}`: {error}")))
}
