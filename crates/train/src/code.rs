//! Which code computes a run.

use std::collections::BTreeMap;

/// The version of this program (`mmc`), and the fingerprint of its code (`code`): the first digits of the
/// SHA-256 of all sources that read data, compute and score, and of `Cargo.lock`. Two builds of one fingerprint
/// compute alike with the same features, on the same kind of machine; two of different ones may, since a
/// comment changes it too. `config.toml` of a run holds
/// both under `versions`.
#[must_use]
pub fn versions() -> BTreeMap<String, String> {
    let named = [("mmc", env!("CARGO_PKG_VERSION")), ("code", env!("MMC_CODE"))];
    named.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_has_a_fingerprint() {
        let versions = versions();
        assert_eq!(versions.len(), 2);
        let code = &versions["code"];
        assert!(code.len() == 12 && code.chars().all(|digit| digit.is_ascii_hexdigit()), "{code}");
    }

    /// The build script lists the crates by hand; those that this one is made of are in its manifest.
    #[test]
    fn the_fingerprint_is_of_every_crate_that_computes_a_run() {
        let script = include_str!("../build.rs");
        let listed = script.split_once("[&str; 8] =").unwrap().1.split_once(';').unwrap().0;
        let mut listed: Vec<&str> = listed.split('"').skip(1).step_by(2).collect();
        listed.retain(|name| *name != "train");
        let manifest = include_str!("../Cargo.toml");
        let mut used: Vec<&str> = manifest
            .lines()
            .filter_map(|line| line.strip_prefix("mmc-")?.split_once(".workspace").map(|at| at.0))
            .collect();
        used.sort_unstable();
        used.dedup();
        assert_eq!(listed, used);
    }
}
