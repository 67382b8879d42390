//! Differentiable operations for training on candle: what candle cuts from the graph, computes
//! with rounded constants or lacks.
//!
//! Each operation has a CPU form with a hand-written backward for `f32` and `f64`, with the feature
//! `cuda` one of our own kernels for `f32` on such a device, and a composed form of candle's own
//! operations, which other types and devices use and which the tests hold the others equal to.
//! [`OPS`] lists them; each is checked against finite differences.
//!
//! ```
//! use candle_core::{Device, Tensor, Var};
//! use mmc_ops::{Objective, Targets, layer_norm, linear};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let weight = Var::new(&[[0.5_f32, -0.5], [0.25, 1.0]], &Device::Cpu)?;
//! let x = Tensor::new(&[[1.0_f32, 2.0], [3.0, 1.0]], &Device::Cpu)?;
//! let norm = (Tensor::ones(2, x.dtype(), x.device())?, Tensor::zeros(2, x.dtype(), x.device())?);
//!
//! let logits = linear(&layer_norm(&x, &norm.0, &norm.1, 1e-5)?, &weight, None)?;
//! let objective = Objective::CrossEntropy { class_weights: None, label_smoothing: 0.0 };
//! let loss = objective.loss_sum(&logits, &Targets::Classes(&[1, 0]))?;
//! assert_eq!(loss.backward()?.get(&weight).unwrap().dims(), [2, 2]);
//! # Ok(())
//! # }
//! ```
//!
//! Not here: modules with parameters (`mmc-models`), optimisers (`mmc-train`).

#![allow(
    clippy::inline_always,
    reason = "kernels have to be inlined into the function that is compiled for a processor's vectors"
)]

mod activation;
mod attention;
mod buffer;
mod contribution;
#[cfg(feature = "cuda")]
pub mod cuda;
mod dropout;
mod embedding;
mod encoder_layer;
mod error;
mod gradients;
mod in_place;
mod layer_norm;
mod linear;
mod loss;
mod mask;
mod matrix;
mod precision;
mod real;
mod recompute;
mod recording;
mod rounding;
mod sequences;
mod softmax;
mod table;
mod threads;
mod turns;
mod vector;

pub use activation::{Activation, gelu, quick_gelu, tanh};
pub use attention::{AttentionPlan, attention};
pub use dropout::{Dropout, dropout};
pub use embedding::embedding;
pub use encoder_layer::{Affine, EncoderLayer, Norms, StateDropouts};
pub use error::OpsError;
pub use gradients::Gradients;
pub use in_place::in_place_f32;
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use loss::{Objective, Targets};
pub use precision::{Precision, with_products_in};
pub use recompute::recompute;
pub use recording::{with_composed_forms, without_gradient};
pub use sequences::Sequences;
pub use softmax::softmax_last;
pub use table::{OPS, Operation, layer_of};
pub use threads::on_first_thread;
pub use turns::Turns;
