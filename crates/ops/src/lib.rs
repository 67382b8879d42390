//! Differentiable operations for training on candle.

mod error;
mod loss;
mod real;

pub use error::OpsError;
pub use loss::{Objective, Targets};
