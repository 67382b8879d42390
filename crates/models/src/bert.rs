//! BERT.
use mmc_data::Arm;

/// The text arm, the only one, uses every parameter.
pub(crate) fn off_path(_arm: Arm) -> &'static [&'static str] {
    &[]
}
