//! Where the hub is and what it is told.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ModelError;

/// Where the hub and its cache are, and how patient to be with it.
#[derive(Clone, PartialEq, Eq)]
pub struct HubSettings {
    /// The cache: `$HF_HUB_CACHE`, else `$HF_HOME/hub`, else `~/.cache/huggingface/hub`.
    pub cache: PathBuf,
    /// The address of the hub: `$HF_ENDPOINT`, else `https://huggingface.co`.
    pub endpoint: String,
    /// Who asks: `$HF_TOKEN`, else what is in `$HF_TOKEN_PATH` or `$HF_HOME/token`.
    pub token: Option<String>,
    /// Whether the network must not be used: `$HF_HUB_OFFLINE`.
    pub offline: bool,
    /// How long a server may be silent, or nearly so, before it is given up.
    pub patience: Duration,
    /// How long to wait before the second attempt; each further one waits twice as long.
    pub wait: Duration,
}

impl HubSettings {
    /// The public hub, asked by nobody in particular, with a cache in `cache`.
    #[must_use]
    pub fn new(cache: &Path) -> Self {
        Self {
            cache: cache.to_owned(),
            endpoint: "https://huggingface.co".to_owned(),
            token: None,
            offline: false,
            patience: Duration::from_secs(60),
            wait: Duration::from_secs(1),
        }
    }

    /// What the environment says, by the variables that Python's `huggingface_hub` reads.
    ///
    /// # Errors
    /// [`ModelError::Input`] if no variable says where the cache is; [`ModelError::Read`] for a
    /// token file that cannot be read.
    pub fn from_env() -> Result<Self, ModelError> {
        Self::from_variables(&|name| std::env::var_os(name))
    }

    fn from_variables(read: Variables<'_>) -> Result<Self, ModelError> {
        let read = |name: &str| read(name).filter(|value| !value.is_empty());
        let text = |name| read(name).and_then(|value| value.into_string().ok());
        let cache = cache_folder(&read).ok_or_else(|| ModelError::Input {
            problem: "neither `HF_HUB_CACHE`, `HF_HOME` nor `HOME` says where the hub's cache is; \
                      set one of them"
                .to_owned(),
        })?;
        let mut settings = Self::new(&cache);
        if let Some(endpoint) = text("HF_ENDPOINT") {
            endpoint.trim_end_matches('/').clone_into(&mut settings.endpoint);
        }
        let spelled = text("HF_HUB_OFFLINE").unwrap_or_default().to_ascii_lowercase();
        settings.offline = ["1", "on", "yes", "true"].contains(&spelled.as_str());
        let token_file =
            read("HF_TOKEN_PATH").map(PathBuf::from).or_else(|| Some(home(&read)?.join("token")));
        settings.token = match (text("HF_TOKEN"), token_file) {
            (Some(token), _) => Some(token),
            (None, Some(file)) if file.is_file() => match std::fs::read_to_string(&file) {
                Ok(token) => Some(token),
                Err(source) => return Err(ModelError::Read { path: file, source }),
            },
            _ => None,
        };
        settings.token =
            settings.token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        Ok(settings)
    }
}

impl fmt::Debug for HubSettings {
    /// Without the token.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HubSettings")
            .field("cache", &self.cache)
            .field("endpoint", &self.endpoint)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}

/// The value of an environment variable.
type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The cache's folder; `None` where no variable says which.
pub(crate) fn cache_folder(read: Variables<'_>) -> Option<PathBuf> {
    let given = read("HF_HUB_CACHE").filter(|value| !value.is_empty()).map(PathBuf::from);
    given.or_else(|| Some(home(read)?.join("hub")))
}

/// The folder of all that belongs to Hugging Face.
fn home(read: Variables<'_>) -> Option<PathBuf> {
    let path = |name| read(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    path("HF_HOME").or_else(|| {
        let caches = path("XDG_CACHE_HOME").or_else(|| Some(path("HOME")?.join(".cache")));
        Some(caches?.join("huggingface"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> HubSettings {
        let read = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
        };
        HubSettings::from_variables(&read).unwrap()
    }

    #[test]
    fn variables_are_read_as_python_does() {
        let plain = from(&[("HOME", "/nowhere/me")]);
        assert_eq!(plain.cache, Path::new("/nowhere/me/.cache/huggingface/hub"));
        assert_eq!(plain.endpoint, "https://huggingface.co");
        assert!(!plain.offline && plain.token.is_none());

        let home = tempfile::tempdir().unwrap();
        let at = home.path().to_str().unwrap();
        std::fs::write(home.path().join("token"), "hf_file\n").unwrap();
        let set = from(&[("HF_HOME", at), ("HF_ENDPOINT", "http://mirror/"), ("HOME", "/nowhere")]);
        assert_eq!(set.cache, home.path().join("hub"));
        assert_eq!(set.endpoint, "http://mirror");
        assert_eq!(set.token.as_deref(), Some("hf_file"));
        let set = from(&[("HF_HOME", at), ("HF_HUB_CACHE", "/c"), ("HF_TOKEN", "hf_variable")]);
        assert_eq!(set.cache, Path::new("/c"));
        assert_eq!(set.token.as_deref(), Some("hf_variable"));
        assert!(!format!("{set:?}").contains("hf_variable"));
        for (spelled, offline) in [("1", true), ("TRUE", true), ("yes", true), ("0", false)] {
            assert_eq!(from(&[("HOME", "/h"), ("HF_HUB_OFFLINE", spelled)]).offline, offline);
        }
        assert!(HubSettings::from_variables(&|_| None).is_err());
    }
}
