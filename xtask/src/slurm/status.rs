//! What a job says of its task: lines added to one file, the last of which counts.

use std::path::Path;

use crate::failure::Failure;

/// What the last line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Not begun, at work, or to be begun again.
    Open,
    /// Ended with this code.
    Ended(i32),
}

impl Status {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self::of(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::Open),
            Err(error) => Err(Failure::work(format!("{}: {error}", path.display()))),
        }
    }

    /// A last line without its end is not written whole yet.
    fn of(text: &str) -> Self {
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let code = whole.lines().last().and_then(|line| line.strip_prefix("ended "));
        code.and_then(|code| code.parse().ok()).map_or(Self::Open, Self::Ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_line_counts() {
        for (text, expected) in [
            ("", Status::Open),
            ("started 7_0 node1\n", Status::Open),
            ("started 7_0 node1\nended 1\n", Status::Ended(1)),
            ("started 7_0 node1\nended 0", Status::Open),
            ("started 7_0 node1\nended 1\nstarted 8_0 node2\n", Status::Open),
            ("started 7_0 node1\nrequeued\nstarted 7_0 node1\nended 0\n", Status::Ended(0)),
        ] {
            assert_eq!(Status::of(text), expected, "{text:?}");
        }
    }
}
