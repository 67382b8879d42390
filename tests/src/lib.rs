//! Cross-crate and command-line tests; see the files beside `src`.
