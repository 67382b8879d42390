//! A layer of a transformer (Vaswani et al., 2017) as one operation: attention and a feed-forward
//! network, each with a residual connection, dropout and a norm.
//!
//! ```text
//! norm after (BERT):   h = norm₁(x + drop(attention(x) Wₒᵀ + bₒ))    y = norm₂(h + drop(feed(h)))
//! norm before (ViT):   h = x + drop(attention(norm₁(x)) Wₒᵀ + bₒ)    y = h + drop(feed(norm₂(h)))
//!                      feed(h) = act(h W₁ᵀ + b₁) W₂ᵀ + b₂
//! ```
//!
//! One operation and not a dozen, because each that candle's graph knows costs it two passes over
//! memory for the gradient alone and keeps its result until the end. This one keeps queries, keys,
//! values, what was read, the sums before the norms and the inner states before the activation
//! (10 or 9 widths a token), computes again what is cheap, and lets go of each as backward passes
//! it.

mod backward;
mod forward;

use std::any::Any;
use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp2, DType, Layout, Shape, Tensor, bail};

use self::forward::Saved;
use crate::activation::Activation;
use crate::attention::{AttentionPlan, attention};
use crate::dropout::{Dropout, dropout};
use crate::error::{OpsError, Result};
use crate::layer_norm::layer_norm;
use crate::linear::linear;
use crate::mask::Mask;
use crate::real::{Real, are_native, contiguous, hold, tensor_of};
use crate::recording::{applied2, is_recording};

/// A weight and a bias: of a linear map `[out, in]` and `[out]`, or of a norm, both `[width]`.
#[derive(Clone, Debug)]
pub struct Affine {
    /// The weight.
    pub weight: Tensor,
    /// The bias.
    pub bias: Tensor,
}

/// The parameters of a layer and what it does with them.
#[derive(Clone, Debug)]
pub struct EncoderLayer {
    /// `[hidden, hidden]`.
    pub query: Affine,
    /// `[hidden, hidden]`.
    pub key: Affine,
    /// `[hidden, hidden]`.
    pub value: Affine,
    /// From what was read: `[hidden, hidden]`.
    pub attention_output: Affine,
    /// The norm of the attention half.
    pub attention_norm: Affine,
    /// The first map of the feed-forward network: `[inner, hidden]`.
    pub inner: Affine,
    /// Its second: `[hidden, inner]`.
    pub output: Affine,
    /// The norm of the feed-forward half.
    pub output_norm: Affine,
    /// ε of the norms.
    pub eps: f64,
    /// Where the norms are.
    pub norms: Norms,
    /// What is between the two maps of the feed-forward network.
    pub activation: Activation,
}

/// Where a layer normalises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norms {
    /// What goes into each half.
    Before,
    /// What comes out of each half and its residual connection.
    After,
}

/// The dropouts of a layer beside that of attention.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StateDropouts {
    /// On the output of attention.
    pub attention_output: Option<Dropout>,
    /// On the output of the feed-forward network.
    pub output: Option<Dropout>,
}

impl EncoderLayer {
    /// The new states of those who read, `[queries, hidden]`, from `x` `[tokens, hidden]`.
    ///
    /// In f32 and f64 on the CPU and in f32 on CUDA, with parameters that are variables or do not
    /// learn, this is one operation; elsewhere, and where a weight is itself computed (as with LoRA),
    /// it is made of the other operations of this crate, which keep more in the graph.
    ///
    /// # Errors
    /// Shapes that do not fit each other or the plan, a probability outside `0..1`.
    pub fn forward(
        &self,
        x: &Tensor,
        plan: &AttentionPlan,
        dropouts: StateDropouts,
    ) -> Result<Tensor> {
        self.check(x, plan)?;
        for dropout in [dropouts.attention_output, dropouts.output].into_iter().flatten() {
            dropout.check()?;
        }
        // Gradients of parameters that are computed themselves have to go through candle's graph.
        let plain = |tensor: &&Tensor| {
            tensor.is_contiguous() && (tensor.is_variable() || !tensor.track_op())
        };
        let parameters = self.parameters();
        let operands = [&[x], &parameters[..]].concat();
        // One that learns stands in the graph for all, so that the layer is in it where its input
        // does not; which one is of no account, since each gets its gradient by itself.
        let learning = parameters.iter().find(|tensor| tensor.track_op());
        let learning = learning.copied().unwrap_or(&self.inner.weight);
        #[cfg(feature = "cuda")]
        if parameters.iter().all(plain) && crate::cuda::takes(&operands) {
            return Ok(crate::cuda::layer(self, x, learning, plan, dropouts)?);
        }
        if !parameters.iter().all(plain) || !are_native(&operands) {
            return self.in_parts(x, plan, dropouts);
        }
        let tracked = x.track_op() || parameters.iter().any(|tensor| tensor.track_op());
        let hidden = x.dim(1)?;
        let mask = |dropout: Option<Dropout>| {
            dropout.map(|dropout| (Mask::of_states(&dropout, plan.queries(), hidden), dropout))
        };
        let op = Layer {
            masks: Masks {
                heads: plan.masks(),
                attention_output: mask(dropouts.attention_output),
                output: mask(dropouts.output),
            },
            parts: self.clone(),
            plan: plan.clone(),
            keeps: tracked && is_recording(),
            saved: Mutex::new(None),
        };
        Ok(applied2(&contiguous(x)?, learning, op)?)
    }

    /// The same of the other operations of this crate.
    fn in_parts(
        &self,
        x: &Tensor,
        plan: &AttentionPlan,
        dropouts: StateDropouts,
    ) -> Result<Tensor> {
        let map = |x: &Tensor, map: &Affine| linear(x, &map.weight, Some(&map.bias));
        let norm = |x: &Tensor, norm: &Affine| layer_norm(x, &norm.weight, &norm.bias, self.eps);
        let drop = |x: Tensor, settings: Option<Dropout>| match settings {
            Some(settings) => dropout(&x, &settings, plan.queries()),
            None => Ok(x),
        };
        let readers = |x: &Tensor| match &plan.readers {
            Some(readers) => {
                let places = Tensor::new(readers.as_slice(), x.device())?;
                Ok::<_, OpsError>(contiguous(x)?.index_select(&places, 0)?)
            }
            None => Ok(x.clone()),
        };
        let before = self.norms == Norms::Before;
        let input = if before { norm(x, &self.attention_norm)? } else { x.clone() };
        let query = map(&readers(&input)?, &self.query)?;
        let read = attention(&query, &map(&input, &self.key)?, &map(&input, &self.value)?, plan)?;
        let read = drop(map(&read, &self.attention_output)?, dropouts.attention_output)?;
        let middle = (readers(x)? + read)?;
        let middle = if before { middle } else { norm(&middle, &self.attention_norm)? };
        let feed = if before { norm(&middle, &self.output_norm)? } else { middle.clone() };
        let feed = self.activation.forward(&map(&feed, &self.inner)?)?;
        let feed = drop(map(&feed, &self.output)?, dropouts.output)?;
        let states = (middle + feed)?;
        if before { Ok(states) } else { norm(&states, &self.output_norm) }
    }

    /// All of them, weights and biases in turn.
    fn parameters(&self) -> [&Tensor; 16] {
        let Self { query, key, value, attention_output, attention_norm, .. } = self;
        let Self { inner, output, output_norm, .. } = self;
        [
            &query.weight,
            &query.bias,
            &key.weight,
            &key.bias,
            &value.weight,
            &value.bias,
            &attention_output.weight,
            &attention_output.bias,
            &attention_norm.weight,
            &attention_norm.bias,
            &inner.weight,
            &inner.bias,
            &output.weight,
            &output.bias,
            &output_norm.weight,
            &output_norm.bias,
        ]
    }

    fn check(&self, x: &Tensor, plan: &AttentionPlan) -> Result<()> {
        let shape = |argument, tensor: &Tensor, wanted: &[usize]| {
            if tensor.dims() == wanted {
                return Ok(());
            }
            let (found, expected) = (tensor.dims().to_vec(), format!("{wanted:?}"));
            Err(OpsError::Shape { operation: "encoder_layer", argument, found, expected })
        };
        let hidden = plan.heads * plan.width;
        let inner = self.inner.weight.dims().first().copied().unwrap_or(0);
        if hidden == 0 || inner == 0 {
            return shape("inner", &self.inner.weight, &[inner.max(1), hidden.max(1)]);
        }
        shape("x", x, &[plan.sequences.tokens(), hidden])?;
        let square = [hidden, hidden];
        for (argument, affine, weight) in [
            ("query", &self.query, &square[..]),
            ("key", &self.key, &square),
            ("value", &self.value, &square),
            ("attention_output", &self.attention_output, &square),
            ("attention_norm", &self.attention_norm, &[hidden]),
            ("inner", &self.inner, &[inner, hidden]),
            ("output", &self.output, &[hidden, inner]),
            ("output_norm", &self.output_norm, &[hidden]),
        ] {
            shape(argument, &affine.weight, weight)?;
            shape(argument, &affine.bias, &weight[..1])?;
        }
        Ok(())
    }
}

/// Which elements dropout keeps.
struct Masks {
    heads: Option<Vec<Mask>>,
    attention_output: Option<(Mask, Dropout)>,
    output: Option<(Mask, Dropout)>,
}

/// A layer on its way through a graph.
struct Layer {
    parts: EncoderLayer,
    plan: AttentionPlan,
    masks: Masks,
    /// Whether backward will be asked for.
    keeps: bool,
    /// A [`Saved`] of the input's type, from the forward pass.
    saved: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Layer {
    fn forward<T: Real>(&self, x: &[T]) -> candle_core::Result<Vec<T>> {
        let held = self.parts.parameters().map(hold);
        let (output, saved) = forward::forward(self, &forward::Weights::of(&held)?, x);
        if self.keeps {
            let mut place = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
            *place = Some(Box::new(saved));
        }
        Ok(output)
    }

    fn backward<T: Real>(&self, x: &Tensor, gradient: &[T]) -> candle_core::Result<Option<Tensor>> {
        let saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(saved) = saved.and_then(|saved| saved.downcast::<Saved<T>>().ok()) else {
            bail!("the backward pass of a layer can be taken once");
        };
        let held = self.parts.parameters().map(hold);
        let held_x = hold(x);
        let weights = forward::Weights::of(&held)?;
        let input = (held_x.values()?, x.track_op());
        match backward::backward(self, &weights, *saved, input, gradient)? {
            Some(by_x) => tensor_of(T::storage(by_x), x.shape()).map(Some),
            None => Ok(None),
        }
    }
}

impl CustomOp2 for Layer {
    fn name(&self) -> &'static str {
        "encoder-layer"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        _learning: &CpuStorage,
        _learning_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let shape = Shape::from((self.plan.queries().tokens(), layout.shape().dims2()?.1));
        let output = crate::real::with_type!(x, T => {
            T::storage(self.forward::<T>(crate::real::elements(x, layout)?)?)
        });
        Ok((output, shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        _learning: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = contiguous(gradient)?;
        let held = hold(&gradient);
        let by_x = match gradient.dtype() {
            DType::F64 => self.backward::<f64>(x, held.values()?)?,
            _ => self.backward::<f32>(x, held.values()?)?,
        };
        Ok((by_x, None))
    }
}
