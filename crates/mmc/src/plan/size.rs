//! Sizes of memory as people write them.

use crate::failure::Failure;

/// The units, the longest names first.
const UNITS: &[(&str, f64)] = &[
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("TiB", 1_099_511_627_776.0),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("TB", 1e12),
    ("B", 1.0),
];

/// The bytes of `16GiB`, `1.5 GB` or `800MiB`.
pub(super) fn bytes(word: &str) -> Result<u64, Failure> {
    let refused = || {
        Failure::usage(format!(
            "`--memory {word}`: expected a number above 0 and a unit, such as `16GiB`, `800MiB` or \
             `16GB` (10⁹ bytes each)"
        ))
    };
    let (number, unit) = UNITS
        .iter()
        .find_map(|&(name, unit)| Some((word.trim().strip_suffix(name)?, unit)))
        .ok_or_else(refused)?;
    let number: f64 = number.trim().parse().ok().ok_or_else(refused)?;
    let bytes = number * unit;
    if (1.0..1e18).contains(&bytes) { Ok(bytes as u64) } else { Err(refused()) }
}

/// Bytes for people.
pub(super) fn shown(bytes: u64) -> String {
    const GIB: f64 = 1_073_741_824.0;
    let bytes = bytes as f64;
    if bytes >= GIB {
        format!("{:.2} GiB", bytes / GIB)
    } else {
        format!("{:.0} MiB", bytes / 1_048_576.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_need_a_unit() {
        for (word, expected) in [
            ("16GiB", 17_179_869_184),
            ("1.5 GB", 1_500_000_000),
            ("800MiB", 838_860_800),
            ("7B", 7),
        ] {
            assert_eq!(bytes(word).unwrap(), expected, "{word}");
        }
        for word in ["16", "16G", "GiB", "-1GiB", "0GiB", "NaNGiB", "infGiB", "", "16gib"] {
            let error = bytes(word).unwrap_err().to_string();
            assert!(error.contains("such as `16GiB`"), "{word}: {error}");
        }
        assert_eq!(shown(1 << 20), "1 MiB");
        assert_eq!(shown(3 << 29), "1.50 GiB");
    }
}
