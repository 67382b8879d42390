//! The table of operations, from which their suite of tests is made.

use candle_core::{Device, Tensor};

use crate::error::Result;
use crate::{
    Activation, Affine, AttentionPlan, EncoderLayer, Norms, Sequences, StateDropouts, attention,
    embedding, gelu, layer_norm, linear, quick_gelu, softmax_last, tanh,
};

/// One row of [`OPS`]: an operation and what to try it on.
#[derive(Clone, Copy)]
pub struct Operation {
    /// Its name.
    pub name: &'static str,
    /// Shapes of the differentiable inputs to try, a list for each trial.
    pub shapes: &'static [&'static [&'static [usize]]],
    /// The operation. [`with_composed_forms`](crate::with_composed_forms) makes it one of candle's
    /// own operations: the reference, and what other types and devices use.
    pub apply: fn(&[Tensor]) -> Result<Tensor>,
}

/// Every operation that has a gradient. The suite checks each row: both forms agree, forward and
/// backward, in f32 and f64, on odd sizes and on inputs that are not contiguous, and the gradients
/// agree with finite differences.
pub const OPS: &[Operation] = &[
    Operation {
        name: "linear",
        shapes: &[
            &[&[5, 3], &[7, 3], &[7]],
            &[&[2, 5, 3], &[1, 3], &[1]],
            &[&[1, 1], &[1, 1], &[1]],
            &[&[3, 37, 9], &[13, 9], &[13]],
        ],
        apply: |x| linear(&x[0], &x[1], Some(&x[2])),
    },
    Operation {
        name: "linear without bias",
        shapes: &[&[&[5, 3], &[7, 3]], &[&[2, 5, 3], &[4, 3]]],
        apply: |x| linear(&x[0], &x[1], None),
    },
    Operation {
        name: "layer_norm",
        shapes: &[&[&[5, 7], &[7], &[7]], &[&[2, 19, 17], &[17], &[17]], &[&[1, 2], &[2], &[2]]],
        apply: |x| layer_norm(&x[0], &x[1], &x[2], 1e-5),
    },
    Operation {
        name: "gelu",
        shapes: &[&[&[5, 7]], &[&[1]], &[&[2, 65, 3]]],
        apply: |x| gelu(&x[0]),
    },
    Operation {
        name: "quick_gelu",
        shapes: &[&[&[5, 7]], &[&[1]], &[&[2, 65, 3]]],
        apply: |x| quick_gelu(&x[0]),
    },
    Operation { name: "tanh", shapes: &[&[&[5, 7]]], apply: |x| tanh(&x[0]) },
    Operation {
        name: "softmax_last",
        shapes: &[&[&[5, 7]], &[&[2, 3, 1]], &[&[2, 3, 35, 11]]],
        apply: |x| softmax_last(&x[0]),
    },
    Operation {
        name: "attention",
        shapes: &[
            &[&[9, 12], &[9, 12], &[9, 12]],
            &[&[9, 3], &[9, 3], &[9, 3]],
            &[&[9, 51], &[9, 51], &[9, 51]],
        ],
        apply: |x| attention(&x[0], &x[1], &x[2], &plan(&x[0])?),
    },
    Operation {
        name: "attention of one token each",
        shapes: &[&[&[3, 12], &[9, 12], &[9, 12]]],
        apply: |x| attention(&x[0], &x[1], &x[2], &plan(&x[0])?.read_by(READERS.to_vec())?),
    },
    Operation {
        name: "attention to what stands before",
        shapes: &[&[&[9, 12], &[9, 12], &[9, 12]]],
        apply: |x| attention(&x[0], &x[1], &x[2], &plan(&x[0])?.causal()),
    },
    Operation {
        name: "attention of one token each to what stands before",
        shapes: &[&[&[3, 12], &[9, 12], &[9, 12]]],
        apply: |x| {
            attention(&x[0], &x[1], &x[2], &plan(&x[0])?.causal().read_by(READERS.to_vec())?)
        },
    },
    Operation {
        name: "encoder layer, norms after",
        shapes: &[LAYER],
        apply: |x| {
            let layer = layer_of(x, Norms::After, Activation::Gelu);
            layer.forward(&x[0], &plan(&x[0])?, StateDropouts::default())
        },
    },
    Operation {
        name: "encoder layer, norms before",
        shapes: &[LAYER],
        apply: |x| {
            let layer = layer_of(x, Norms::Before, Activation::QuickGelu);
            layer.forward(&x[0], &plan(&x[0])?.causal(), StateDropouts::default())
        },
    },
    Operation {
        name: "encoder layer of one token each, norms after",
        shapes: &[LAYER],
        apply: |x| {
            let (layer, plan) = (layer_of(x, Norms::After, Activation::QuickGelu), plan(&x[0])?);
            layer.forward(&x[0], &plan.read_by(READERS.to_vec())?, StateDropouts::default())
        },
    },
    Operation {
        name: "encoder layer of one token each, norms before",
        shapes: &[LAYER],
        apply: |x| {
            let (layer, plan) = (layer_of(x, Norms::Before, Activation::Gelu), plan(&x[0])?);
            layer.forward(&x[0], &plan.read_by(READERS.to_vec())?, StateDropouts::default())
        },
    },
    Operation {
        name: "embedding",
        shapes: &[&[&[4, 3]]],
        apply: |x| embedding(&Tensor::new(&EMBEDDED, &Device::Cpu)?, &x[0]),
    },
];

/// Ids with a repetition and a row that is not used.
const EMBEDDED: [[u32; 3]; 2] = [[0, 3, 3], [1, 0, 3]];

/// Three sequences of nine tokens in all.
const LENGTHS: [usize; 3] = [4, 1, 4];

/// A token of each.
const READERS: [u32; 3] = [0, 4, 7];

/// States and the parameters of a layer, as [`layer`] takes them.
const LAYER: &[&[usize]] = &[
    &[9, 6],
    &[6, 6],
    &[6],
    &[6, 6],
    &[6],
    &[6, 6],
    &[6],
    &[6, 6],
    &[6],
    &[6],
    &[6],
    &[7, 6],
    &[7],
    &[6, 7],
    &[6],
    &[6],
    &[6],
];

/// Three heads within each of the three sequences.
fn plan(x: &Tensor) -> Result<AttentionPlan> {
    let width = x.dim(1)? / 3;
    Ok(AttentionPlan::new(&Sequences::new(&LENGTHS), 3, width))
}

/// A layer whose parameters are the tensors behind the first, in the order of
/// `EncoderLayer::parameters`.
#[doc(hidden)]
#[must_use]
pub fn layer_of(x: &[Tensor], norms: Norms, activation: Activation) -> EncoderLayer {
    let pair = |at: usize| Affine { weight: x[at].clone(), bias: x[at + 1].clone() };
    EncoderLayer {
        query: pair(1),
        key: pair(3),
        value: pair(5),
        attention_output: pair(7),
        attention_norm: pair(9),
        inner: pair(11),
        output: pair(13),
        output_norm: pair(15),
        eps: 1e-5,
        norms,
        activation,
    }
}
