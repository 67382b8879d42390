//! Rows of a table: `y[…] = table[ids[…]]`. Backward adds each gradient to its row.

use candle_core::Tensor;

use crate::error::{OpsError, Result};
use crate::real::contiguous;

/// The rows of `table` `[entries, width]` that `ids` `[…]` (`u32`) name; result `[…, width]`.
///
/// # Errors
/// An id that the table does not have, shapes that do not fit.
pub fn embedding(ids: &Tensor, table: &Tensor) -> Result<Tensor> {
    let &[_, width] = table.dims() else {
        return Err(OpsError::Shape {
            operation: "embedding",
            argument: "table",
            found: table.dims().to_vec(),
            expected: "[entries, width]".to_owned(),
        });
    };
    let mut shape = ids.dims().to_vec();
    shape.push(width);
    Ok(contiguous(table)?.index_select(&ids.flatten_all()?, 0)?.reshape(shape)?)
}
