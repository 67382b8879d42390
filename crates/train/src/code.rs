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
}
