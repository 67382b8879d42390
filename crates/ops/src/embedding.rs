//! Rows of a table: `y[…] = table[ids[…]]`. Backward adds each gradient to its row.
//!
//! A vocabulary has far more rows than a batch has tokens, so only the rows that were read are
//! touched.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor, bail};

use crate::contribution::{contribute_sparse, gradient_of, is_summed};
use crate::error::{OpsError, Result};
use crate::real::{Real, are_native, contiguous, elements, hold, with_type};
use crate::recording::applied1;

/// The rows of `table` `[entries, width]` that `ids` `[…]` (`u32`) name; result `[…, width]`. Ids
/// are best on the CPU, wherever the table is: whoever computes has to read them.
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
    let ids = ids.flatten_all()?;
    #[cfg(feature = "cuda")]
    if crate::cuda::takes(&[table]) {
        return Ok(crate::cuda::embedding(ids.to_vec1()?, table)?.reshape(shape)?);
    }
    let rows = if are_native(&[table]) {
        applied1(&contiguous(table)?, Lookup { ids: ids.to_vec1()? })?
    } else {
        contiguous(table)?.index_select(&ids.to_device(table.device())?, 0)?
    };
    Ok(rows.reshape(shape)?)
}

struct Lookup {
    ids: Vec<u32>,
}

impl Lookup {
    /// Adds each row of `gradient` to the row of `sums` that its id names. Gradients of one row are
    /// summed before they are added, in their order.
    fn add_rows<T: Real>(&self, gradient: &[T], width: usize, sums: &mut [T]) {
        let mut order: Vec<usize> = (0..self.ids.len()).collect();
        order.sort_by_key(|&place| self.ids[place]); // stable
        let mut row = vec![T::default(); width];
        for places in order.chunk_by(|&a, &b| self.ids[a] == self.ids[b]) {
            row.fill(T::default());
            for place in places {
                for (sum, value) in row.iter_mut().zip(&gradient[place * width..]) {
                    *sum += *value;
                }
            }
            let start = self.ids[places[0]] as usize * width;
            for (sum, value) in sums[start..].iter_mut().zip(&row) {
                *sum += *value;
            }
        }
    }

    fn backward<T: Real>(
        &self,
        table: &Tensor,
        gradient: &[T],
    ) -> candle_core::Result<Option<Tensor>> {
        let width = table.dim(1)?;
        if is_summed(table) {
            contribute_sparse(table, |sums: &mut [T]| self.add_rows(gradient, width, sums))?;
            return Ok(None);
        }
        gradient_of(table, |output: &mut [T]| {
            output.fill(T::default());
            self.add_rows(gradient, width, output);
        })
    }
}

impl CustomOp1 for Lookup {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn cpu_fwd(
        &self,
        table: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (entries, width) = layout.shape().dims2()?;
        if let Some(id) = self.ids.iter().find(|&&id| id as usize >= entries) {
            bail!("row {id} of a table of {entries}");
        }
        let output = with_type!(table, T => {
            let table = elements::<T>(table, layout)?;
            let mut output = Vec::with_capacity(self.ids.len() * width);
            for &id in &self.ids {
                output.extend_from_slice(&table[id as usize * width..][..width]);
            }
            T::storage(output)
        });
        Ok((output, Shape::from((self.ids.len(), width))))
    }

    fn bwd(
        &self,
        table: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let gradient = contiguous(gradient)?;
        let held = hold(&gradient);
        match gradient.dtype() {
            DType::F64 => self.backward::<f64>(table, held.values()?),
            _ => self.backward::<f32>(table, held.values()?),
        }
    }
}
