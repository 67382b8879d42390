//! Heads over the projections `t` and `v` of CLIP's towers; transformers has none.
//!
//! | head | with text and picture | with one alone |
//! | --- | --- | --- |
//! | `fused` | `W₂ gelu(W₁ [t; v; t⊙v])` | `W₂ gelu(W₁ t)` |
//! | `mlp` | `W₂ gelu(W₁ [t; v])` | `W₂ gelu(W₁ t)` |
//! | `linear` | `W [t; v]` | `W t` |
//!
//! All with biases; `W₁` has as many outputs as a projection. Without the product, interaction of
//! text and picture has to come from the hidden layer; `linear` is a sum of a text's and a
//! picture's score and cannot express any, so it serves as the negative control. `t` and `v` are
//! not normalised: their lengths carry information that a classifier may use, and the product of
//! two unit vectors of 512 numbers has entries of about 1/512, too small beside them.

use candle_core::Tensor;
use mmc_data::Arm;
use mmc_ops::gelu;

use crate::ModelError;
use crate::architecture::{Head, HeadSize, NamedShape};
use crate::layers::Linear;
use crate::parameters::Parameters;

/// The heads, the default first.
pub(crate) const HEADS: &[Head] = &[
    Head { name: "fused", output: "classifier.2.", shapes: |size| two_layers(size, true) },
    Head { name: "mlp", output: "classifier.2.", shapes: |size| two_layers(size, false) },
    Head {
        name: "linear",
        output: "classifier.",
        shapes: |size| {
            let inputs = inputs(size.width, size.arm, false);
            vec![
                ("classifier.weight", vec![size.classes, inputs]),
                ("classifier.bias", vec![size.classes]),
            ]
        },
    },
];

fn two_layers(size: &HeadSize, fuses: bool) -> Vec<NamedShape> {
    let inputs = inputs(size.width, size.arm, fuses);
    vec![
        ("classifier.0.weight", vec![size.width, inputs]),
        ("classifier.0.bias", vec![size.width]),
        ("classifier.2.weight", vec![size.classes, size.width]),
        ("classifier.2.bias", vec![size.classes]),
    ]
}

/// Numbers that the first layer reads.
fn inputs(width: usize, arm: Arm, fuses: bool) -> usize {
    match arm {
        Arm::Both if fuses => 3 * width,
        Arm::Both => 2 * width,
        Arm::Text | Arm::Image => width,
    }
}

/// From projections to logits.
pub(crate) struct ClipHead {
    name: &'static str,
    /// Whether there are two projections, whose product is read too.
    fuses: bool,
    inner: Option<Linear>,
    output: Linear,
    multiplications: usize,
}

impl ClipHead {
    /// The head of this name, one of [`HEADS`], over projections of this width.
    pub(crate) fn new(
        parameters: &mut Parameters<'_>,
        name: &'static str,
        width: usize,
        arm: Arm,
        classes: usize,
    ) -> Result<Self, ModelError> {
        let fuses = name == "fused" && arm == Arm::Both;
        let inputs = inputs(width, arm, fuses);
        let (inner, output, multiplications) = if name == "linear" {
            let output = Linear::new(parameters, "classifier", inputs, classes)?;
            (None, output, inputs * classes)
        } else {
            let inner = Linear::new(parameters, "classifier.0", inputs, width)?;
            let output = Linear::new(parameters, "classifier.2", width, classes)?;
            (Some(inner), output, width * (inputs + classes))
        };
        Ok(Self { name, fuses, inner, output, multiplications })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Operations for one sample, 2 a multiply-add.
    pub(crate) fn flops(&self) -> f64 {
        2.0 * self.multiplications as f64
    }

    /// Logits `[batch, classes]` of projections side by side, `[batch, projection]` or
    /// `[batch, 2 · projection]`.
    pub(crate) fn forward(&self, projections: &Tensor) -> Result<Tensor, ModelError> {
        let Some(inner) = &self.inner else { return self.output.forward(projections) };
        let inner = if self.fuses {
            let half = projections.dim(1)? / 2;
            let (text, image) =
                (projections.narrow(1, 0, half)?, projections.narrow(1, half, half)?);
            inner.forward(&Tensor::cat(&[projections, &(text * image)?], 1)?)?
        } else {
            inner.forward(projections)?
        };
        self.output.forward(&gelu(&inner)?)
    }
}
