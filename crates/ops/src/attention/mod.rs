//! Scaled dot-product attention (Vaswani et al., 2017) within each of some sequences:
//! `softmax(Q Kᵀ / √d) V`, with dropout on the probabilities.
//!
//! Sequences lie side by side without padding, so nothing is masked but, where tokens read only
//! what stands before them, the future. Backward computes the probabilities again from the
//! queries and keys: they are the one intermediate result that grows with the square of the
//! length.

mod composed;
mod kernel;

use candle_core::{CpuStorage, CustomOp3, Layout, Shape, Tensor};

use self::composed::attention_composed;
pub(crate) use self::kernel::normalise_rows;
use crate::dropout::Dropout;
use crate::error::{OpsError, Result};
use crate::mask::Mask;
use crate::real::{Real, are_native, contiguous, elements, read, tensor_of, with_type};
use crate::recording::applied3;
use crate::sequences::Sequences;

/// Who reads whom.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionPlan {
    /// How many heads the width is cut into.
    pub(crate) heads: usize,
    /// The width of a head.
    pub(crate) width: usize,
    /// The keys.
    pub(crate) sequences: Sequences,
    /// The queries: all tokens, or one token of each sequence.
    pub(crate) queries: Sequences,
    /// The tokens that read, where not all do: one of each sequence.
    pub(crate) readers: Option<Vec<u32>>,
    /// Whether a token reads only itself and those before it.
    pub(crate) causal: bool,
    pub(crate) dropout: Option<Dropout>,
}

impl AttentionPlan {
    /// Every token reads every token of its sequence, with `heads` heads of `width` elements.
    #[must_use]
    pub fn new(sequences: &Sequences, heads: usize, width: usize) -> Self {
        Self {
            heads,
            width,
            sequences: sequences.clone(),
            queries: sequences.clone(),
            readers: None,
            causal: false,
            dropout: None,
        }
    }

    /// Only these tokens read, one of each sequence, by their places among all tokens.
    ///
    /// # Errors
    /// [`OpsError::Setting`] where a token is not of its sequence.
    pub fn read_by(self, readers: Vec<u32>) -> Result<Self> {
        let fits = readers.len() == self.sequences.count()
            && readers
                .iter()
                .enumerate()
                .all(|(row, &token)| self.sequences.range(row).contains(&(token as usize)));
        if !fits {
            return Err(OpsError::Setting {
                setting: "readers",
                value: format!("{readers:?}"),
                expected: format!("a token of each of {} sequences", self.sequences.count()),
            });
        }
        let queries = self.sequences.picked(&readers);
        Ok(Self { queries, readers: Some(readers), ..self })
    }

    /// Tokens read only themselves and those before them.
    #[must_use]
    pub fn causal(self) -> Self {
        Self { causal: true, ..self }
    }

    /// With dropout on the probabilities.
    ///
    /// # Errors
    /// A probability outside `0..1`.
    pub fn with_dropout(self, dropout: Dropout) -> Result<Self> {
        dropout.check()?;
        Ok(Self { dropout: Some(dropout), ..self })
    }

    /// The sequences of those who read: all, or one token each.
    #[must_use]
    pub fn queries(&self) -> &Sequences {
        &self.queries
    }

    fn hidden(&self) -> usize {
        self.heads * self.width
    }
}

/// What each query reads: `query` `[queries, heads · width]`, `key` and `value`
/// `[tokens, heads · width]`; result `[queries, heads · width]`.
///
/// # Errors
/// Shapes that do not fit the plan.
pub fn attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    plan: &AttentionPlan,
) -> Result<Tensor> {
    check(query, key, value, plan)?;
    #[cfg(feature = "cuda")]
    if crate::cuda::takes(&[query, key, value]) {
        return Ok(crate::cuda::attention(query, key, value, plan)?);
    }
    if !are_native(&[query, key, value]) {
        return attention_composed(query, key, value, plan);
    }
    let op = Attention { masks: plan.masks(), plan: plan.clone() };
    Ok(applied3(&contiguous(query)?, &contiguous(key)?, &contiguous(value)?, op)?)
}

fn check(query: &Tensor, key: &Tensor, value: &Tensor, plan: &AttentionPlan) -> Result<()> {
    let (queries, tokens) = (plan.queries.tokens(), plan.sequences.tokens());
    if plan.hidden() == 0 {
        return Err(OpsError::Setting {
            setting: "heads × width",
            value: format!("{} × {}", plan.heads, plan.width),
            expected: "at least 1".to_owned(),
        });
    }
    for (argument, tensor, rows) in
        [("query", query, queries), ("key", key, tokens), ("value", value, tokens)]
    {
        let wanted = [rows, plan.hidden()];
        if tensor.dims() != wanted {
            return Err(OpsError::Shape {
                operation: "attention",
                argument,
                found: tensor.dims().to_vec(),
                expected: format!("{wanted:?}"),
            });
        }
    }
    Ok(())
}

struct Attention {
    plan: AttentionPlan,
    masks: Option<Vec<Mask>>,
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        query: &CpuStorage,
        query_layout: &Layout,
        key: &CpuStorage,
        key_layout: &Layout,
        value: &CpuStorage,
        value_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let output = with_type!(query, T => {
            let inputs = (
                elements::<T>(query, query_layout)?,
                elements::<T>(key, key_layout)?,
                elements::<T>(value, value_layout)?,
            );
            T::storage(self.plan.forward(inputs, self.masks.as_deref()).to_vec())
        });
        Ok((output, query_layout.shape().clone()))
    }

    fn bwd(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [by_query, by_key, by_value] = read(
            [query, key, value, gradient],
            |[(query, ql), (key, kl), (value, vl), (gradient, gl)]| {
                Ok(with_type!(query, T => {
                    let inputs = (
                        elements::<T>(query, ql)?,
                        elements::<T>(key, kl)?,
                        elements::<T>(value, vl)?,
                    );
                    let gradient = elements::<T>(gradient, gl)?;
                    self.plan
                        .backward(inputs, self.masks.as_deref(), gradient)
                        .map(|buffer| T::storage(buffer.to_vec()))
                }))
            },
        )?;
        Ok((
            Some(tensor_of(by_query, query.shape())?),
            Some(tensor_of(by_key, key.shape())?),
            Some(tensor_of(by_value, value.shape())?),
        ))
    }
}
