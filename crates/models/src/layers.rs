//! What the architectures share exactly: linear maps, norms, dropout, the pooler.

use candle_core::Tensor;
use mmc_ops::{Dropout, Sequences, dropout, layer_norm, linear, tanh};

use crate::parameters::{Kind, Parameters};
use crate::{ModelError, Pass};

/// A linear map with a bias.
pub(crate) struct Linear {
    weight: Tensor, // [out, in]
    bias: Tensor,   // [out]
}

impl Linear {
    /// `prefix.weight` `[outputs, inputs]` and `prefix.bias` `[outputs]`.
    pub(crate) fn new(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: parameters.take(
                &format!("{prefix}.weight"),
                &[outputs, inputs],
                Kind::Weight,
            )?,
            bias: parameters.take(&format!("{prefix}.bias"), &[outputs], Kind::Bias)?,
        })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(linear(x, &self.weight, Some(&self.bias))?)
    }
}

/// Layer normalisation.
pub(crate) struct Norm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl Norm {
    /// `prefix.weight` and `prefix.bias`, both `[width]`.
    pub(crate) fn new(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        width: usize,
        eps: f64,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            weight: parameters.take(&format!("{prefix}.weight"), &[width], Kind::Scale)?,
            bias: parameters.take(&format!("{prefix}.bias"), &[width], Kind::Bias)?,
            eps,
        })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor, ModelError> {
        Ok(layer_norm(x, &self.weight, &self.bias, self.eps)?)
    }
}

/// A place where dropout acts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DropoutSite {
    probability: f64,
    layer: u64,
}

impl DropoutSite {
    pub(crate) fn new(name: &str, probability: f64) -> Self {
        Self { probability, layer: Dropout::layer(name) }
    }

    /// What is dropped in this pass; `None` where nothing is.
    pub(crate) fn settings(&self, pass: &Pass) -> Option<Dropout> {
        pass.dropout(self.probability, self.layer)
    }

    /// Dropout on `x` `[tokens, width]`, the tokens of these sequences.
    pub(crate) fn forward(
        &self,
        x: Tensor,
        pass: &Pass,
        sequences: &Sequences,
    ) -> Result<Tensor, ModelError> {
        match self.settings(pass) {
            Some(settings) => Ok(dropout(&x, &settings, sequences)?),
            None => Ok(x),
        }
    }

    /// Dropout on pooled representations `[rows, width]`.
    pub(crate) fn forward_pooled(&self, x: &Tensor, pass: &Pass) -> Result<Tensor, ModelError> {
        self.forward(x.clone(), pass, &Sequences::single(x.dim(0)?))
    }
}

/// Sizes of an encoder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    pub(crate) hidden: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) intermediate: usize,
    pub(crate) eps: f64,
    pub(crate) hidden_dropout: f64,
    pub(crate) attention_dropout: f64,
}

impl Sizes {
    /// Operations of the encoder's matrix products on a sequence of this length, whose last layer
    /// computes the first token alone.
    pub(crate) fn flops(&self, tokens: f64) -> f64 {
        self.flops_of(tokens, 1.0)
    }

    /// The same where the last layer computes all tokens.
    pub(crate) fn flops_of_all(&self, tokens: f64) -> f64 {
        self.flops_of(tokens, tokens)
    }

    /// The last layer computes the first `last` tokens.
    fn flops_of(&self, tokens: f64, last: f64) -> f64 {
        let (hidden, intermediate) = (self.hidden as f64, self.intermediate as f64);
        // Per query: query and output maps, scores and their sum over values, feed-forward.
        let query = 4.0 * hidden * hidden + 4.0 * tokens * hidden + 4.0 * hidden * intermediate;
        // Per token: key and value maps.
        let key = 4.0 * hidden * hidden;
        let queries = (self.layers as f64 - 1.0).max(0.0) * tokens + last;
        queries * query + self.layers as f64 * tokens * key
    }
}

/// `tanh(dense(first token))`.
pub(crate) struct Pooler {
    dense: Linear,
}

impl Pooler {
    /// `prefix.dense`.
    pub(crate) fn new(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        hidden: usize,
    ) -> Result<Self, ModelError> {
        let dense = Linear::new(parameters, &format!("{prefix}.dense"), hidden, hidden)?;
        Ok(Self { dense })
    }

    /// From the states of first tokens `[batch, hidden]` to `[batch, hidden]`.
    pub(crate) fn forward(&self, states: &Tensor) -> Result<Tensor, ModelError> {
        Ok(tanh(&self.dense.forward(states)?)?)
    }
}
