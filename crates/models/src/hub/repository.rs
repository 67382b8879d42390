//! The name of a repository at a revision.

use std::fmt;
use std::str::FromStr;

use crate::ModelError;

/// A repository of the hub at a revision: `OWNER/NAME`, or `OWNER/NAME@REVISION` with a branch, a
/// tag or a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    id: String,
    revision: String,
}

/// The revision where none is named.
const MAIN: &str = "main";

impl Repository {
    /// `OWNER/NAME`, or the short name of an old repository.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The branch, tag or commit.
    #[must_use]
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The same repository at another revision.
    pub(super) fn at(&self, revision: &str) -> Self {
        Self { id: self.id.clone(), revision: revision.to_owned() }
    }

    /// The same revision of another repository.
    #[must_use]
    pub fn with_id(self, id: &str) -> Self {
        Self { id: id.to_owned(), ..self }
    }
}

impl FromStr for Repository {
    type Err = ModelError;

    /// Checks the form only, so that an id can be part of a path and of an address.
    fn from_str(given: &str) -> Result<Self, ModelError> {
        let (id, revision) = given.split_once('@').unwrap_or((given, MAIN));
        let is_part = |part: &str| {
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
            !part.is_empty() && !part.starts_with(['.', '-']) && part.chars().all(is_plain)
        };
        if id.split('/').count() <= 2
            && id.split('/').all(is_part)
            && revision.split('/').all(is_part)
        {
            return Ok(Self { id: id.to_owned(), revision: revision.to_owned() });
        }
        Err(ModelError::HubId { given: given.to_owned() })
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision.as_str() {
            MAIN => formatter.write_str(&self.id),
            revision => write!(formatter, "{}@{revision}", self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_revisions_are_told_from_paths() {
        for good in ["a/b", "bert-base-uncased", "a/b@v1.0", "a/b@refs/pr/5", "a/b.c_d@0a1b"] {
            assert_eq!(good.parse::<Repository>().unwrap().to_string(), good);
        }
        assert_eq!("a/b@main".parse::<Repository>().unwrap().to_string(), "a/b");
        for bad in ["", "/a", "a/", "a/b/c", "../b", "a/b@", "a/b@../c", "a b", "a/b?x", "./a"] {
            let error = bad.parse::<Repository>().unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("OWNER/NAME"), "{bad}: {error}");
        }
    }
}
