//! Encoders of pre-norm blocks, `x ← x + f(norm(x))`, with the names that transformers gives them
//! in ViLT and FLAVA.

use mmc_ops::{Activation, Norms};

use crate::ModelError;
use crate::block::{BlockNames, Blocks};
use crate::layers::Sizes;
use crate::parameters::Parameters;

/// The parts of `layer.N`.
const NAMES: BlockNames = BlockNames {
    attention: "attention.attention",
    query: "query",
    key: "key",
    value: "value",
    attention_output: "attention.output.dense",
    attention_dropout: "attention.output",
    attention_norm: "layernorm_before",
    inner: "intermediate.dense",
    output: "output.dense",
    output_dropout: "output",
    output_norm: "layernorm_after",
};

/// `prefix.layer.0`, `prefix.layer.1`, …; the norm behind the last is the model's.
pub(crate) fn blocks(
    parameters: &mut Parameters<'_>,
    prefix: &str,
    sizes: &Sizes,
) -> Result<Blocks, ModelError> {
    let kind = (Norms::Before, Activation::Gelu);
    Blocks::new(parameters, &format!("{prefix}.layer"), &NAMES, sizes, kind)
}
