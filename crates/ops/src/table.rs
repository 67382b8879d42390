//! The table of operations, from which their suite of tests is made.

use candle_core::{DType, Device, Tensor};

use crate::error::Result;
use crate::{activation, attention, embedding, layer_norm, linear, softmax};

/// One row of [`OPS`]: an operation in its two forms.
#[derive(Clone, Copy)]
pub struct Operation {
    /// Its name.
    pub name: &'static str,
    /// Shapes of the differentiable inputs to try, a list for each trial.
    pub shapes: &'static [&'static [&'static [usize]]],
    /// The form that models use.
    pub fast: fn(&[Tensor]) -> Result<Tensor>,
    /// The form made of candle's own operations: the reference, and what other devices use.
    pub composed: fn(&[Tensor]) -> Result<Tensor>,
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
        fast: |x| linear::linear(&x[0], &x[1], Some(&x[2])),
        composed: |x| linear::linear_composed(&x[0], &x[1], Some(&x[2])),
    },
    Operation {
        name: "linear without bias",
        shapes: &[&[&[5, 3], &[7, 3]], &[&[2, 5, 3], &[4, 3]]],
        fast: |x| linear::linear(&x[0], &x[1], None),
        composed: |x| linear::linear_composed(&x[0], &x[1], None),
    },
    Operation {
        name: "layer_norm",
        shapes: &[&[&[5, 7], &[7], &[7]], &[&[2, 19, 17], &[17], &[17]], &[&[1, 2], &[2], &[2]]],
        fast: |x| layer_norm::layer_norm(&x[0], &x[1], &x[2], 1e-5),
        composed: |x| layer_norm::layer_norm_composed(&x[0], &x[1], &x[2], 1e-5),
    },
    Operation {
        name: "gelu",
        shapes: &[&[&[5, 7]], &[&[1]], &[&[2, 65, 3]]],
        fast: |x| activation::gelu(&x[0]),
        composed: |x| activation::gelu_composed(&x[0]),
    },
    Operation {
        name: "quick_gelu",
        shapes: &[&[&[5, 7]]],
        fast: |x| activation::quick_gelu(&x[0]),
        composed: |x| {
            let sigmoid = ((&x[0] * -1.702)?.exp()? + 1.0)?.recip()?;
            Ok((&x[0] * sigmoid)?)
        },
    },
    Operation {
        name: "tanh",
        shapes: &[&[&[5, 7]]],
        fast: |x| activation::tanh(&x[0]),
        composed: |x| {
            let power = (&x[0] * 2.0)?.exp()?;
            Ok(((&power - 1.0)? / (&power + 1.0)?)?)
        },
    },
    Operation {
        name: "softmax_last",
        shapes: &[&[&[5, 7]], &[&[2, 3, 1]], &[&[2, 3, 35, 11]]],
        fast: |x| softmax::softmax_last(&x[0]),
        composed: |x| softmax::masked_softmax_composed(&x[0], 1.0, None),
    },
    Operation {
        name: "attention",
        shapes: &[
            &[&[2, 3, 5, 4], &[2, 3, 5, 4], &[2, 3, 5, 4]],
            &[&[1, 1, 1, 1], &[1, 1, 1, 1], &[1, 1, 1, 1]],
            &[&[2, 3, 1, 4], &[2, 3, 5, 4], &[2, 3, 5, 4]],
        ],
        fast: |x| attention::attention(&x[0], &x[1], &x[2], None, None),
        composed: |x| attention::attention_composed(&x[0], &x[1], &x[2], None),
    },
    Operation {
        name: "attention with padding",
        shapes: &[&[&[3, 2, 5, 4], &[3, 2, 5, 4], &[3, 2, 5, 4]]],
        fast: |x| attention::attention(&x[0], &x[1], &x[2], Some(&mask(&x[0])?), None),
        composed: |x| attention::attention_composed(&x[0], &x[1], &x[2], Some(&mask(&x[0])?)),
    },
    Operation {
        name: "attention with a mask for each query",
        shapes: &[
            &[&[3, 2, 5, 4], &[3, 2, 5, 4], &[3, 2, 5, 4]],
            &[&[2, 3, 1, 4], &[2, 3, 5, 4], &[2, 3, 5, 4]],
        ],
        fast: |x| attention::attention(&x[0], &x[1], &x[2], Some(&causal(x)?), None),
        composed: |x| attention::attention_composed(&x[0], &x[1], &x[2], Some(&causal(x)?)),
    },
    Operation {
        name: "embedding",
        shapes: &[&[&[4, 3]]],
        fast: |x| embedding::embedding(&Tensor::new(&EMBEDDED, &Device::Cpu)?, &x[0]),
        composed: |x| {
            // A product with rows of the identity.
            let one_hot = EMBEDDED
                .map(|row| row.map(|id| [0_u32, 1, 2, 3].map(|n| f64::from(u8::from(n == id)))));
            let one_hot = Tensor::new(&one_hot, &Device::Cpu)?.to_dtype(x[0].dtype())?;
            let width = x[0].dim(1)?;
            Ok(one_hot.reshape((6, 4))?.matmul(&x[0])?.reshape((2, 3, width))?)
        },
    },
];

/// Ids with a repetition and a row that is not used.
const EMBEDDED: [[u32; 3]; 2] = [[0, 3, 3], [1, 0, 3]];

/// Query i reads the keys up to i, and one more in every second row.
fn causal(x: &[Tensor]) -> Result<Tensor> {
    let (batch, _, queries, _) = x[0].dims4()?;
    let keys = x[1].dim(2)?;
    let flags: Vec<f32> = (0..batch * queries * keys)
        .map(|index| (index / keys / queries, index / keys % queries, index % keys))
        .map(|(row, query, key)| f32::from(u8::from(key <= query + row % 2)))
        .collect();
    Ok(Tensor::from_vec(flags, (batch, queries, keys), x[0].device())?.to_dtype(DType::F32)?)
}

/// Keys that differ from row to row: all, but the last, the first.
fn mask(query: &Tensor) -> Result<Tensor> {
    let (batch, _, keys, _) = query.dims4()?;
    let kept = |row: usize| match row % 3 {
        0 => keys,
        1 => keys - 1,
        _ => 1,
    };
    let flags: Vec<f32> = (0..batch * keys)
        .map(|index| if index % keys < kept(index / keys) { 1.0 } else { 0.0 })
        .collect();
    Ok(Tensor::from_vec(flags, (batch, keys), query.device())?.to_dtype(DType::F32)?)
}
