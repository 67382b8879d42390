//! From samples to batches.
mod batch;
mod error;
mod order;
pub use batch::{Batch, Example, ImageInput, Padding, Pixels, Targets, TextInput, Tokens, collate};
pub use error::PreprocessError;
pub use order::Order;
