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
    const MIB: f64 = 1_048_576.0;
    let number = bytes as f64;
    if number >= 1024.0 * MIB {
        format!("{:.2} GiB", number / (1024.0 * MIB))
    } else if number >= 10.0 * MIB {
        format!("{:.0} MiB", number / MIB)
    } else if number >= MIB {
        format!("{:.1} MiB", number / MIB)
    } else {
        format!("{} KiB", bytes.div_ceil(1024))
    }
}

/// A number for people, in thousands, millions and so on: three digits or one behind the point.
pub(super) fn scaled(number: f64) -> String {
    const STEPS: &[(&str, f64)] =
        &[("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0)];
    // So that nothing is shown as 1000.0 of a smaller step.
    let step = STEPS.iter().find(|(_, step)| number >= 0.9995 * step);
    let (name, step) = step.copied().unwrap_or(("", 1.0));
    let number = number / step;
    if name.is_empty() {
        return format!("{number:.0} ");
    }
    if number < 9.995 { format!("{number:.2} {name}") } else { format!("{number:.1} {name}") }
}

/// A time for people.
pub(super) fn duration(hours: f64) -> String {
    let seconds = hours * 3600.0;
    if hours >= 1.0 {
        format!("{hours:.1} h")
    } else if seconds >= 60.0 {
        format!("{:.0} min", seconds / 60.0)
    } else if seconds >= 1.0 {
        format!("{seconds:.0} s")
    } else {
        format!("{seconds:.1} s")
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
        assert_eq!(shown(1 << 20), "1.0 MiB");
        assert_eq!(shown(300_001), "293 KiB");
        assert_eq!(shown(700 << 20), "700 MiB");
        assert_eq!(shown(3 << 29), "1.50 GiB");
    }

    #[test]
    fn small_and_large_can_be_read() {
        for (number, expected) in [
            (109_483_778.0, "109.5 M"),
            (34_018.0, "34.0 k"),
            (1_000.0, "1.00 k"),
            (999_999.0, "1.00 M"),
            (912.0, "912 "),
            (0.0, "0 "),
            (2.5e12, "2.50 T"),
        ] {
            assert_eq!(scaled(number), expected);
        }
        let shown = [30.0, 1.0, 0.5, 0.01, 0.0001].map(duration);
        assert_eq!(shown, ["30.0 h", "1.0 h", "30 min", "36 s", "0.4 s"]);
    }
}
