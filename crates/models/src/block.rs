//! A block of an encoder under the names that a checkpoint has for its parts.

use candle_core::Tensor;
use mmc_ops::{
    Activation, Affine, AttentionPlan, EncoderLayer, Norms, Sequences, StateDropouts, recompute,
};

use crate::layers::{DropoutSite, Sizes};
use crate::lora::LowRank;
use crate::parameters::{Kind, Parameters};
use crate::{ModelError, Pass};

/// What a checkpoint calls the parts of a block, each behind the block's own prefix.
pub(crate) struct BlockNames {
    /// What holds the three maps below; also the name of attention's dropout.
    pub(crate) attention: &'static str,
    pub(crate) query: &'static str,
    pub(crate) key: &'static str,
    pub(crate) value: &'static str,
    pub(crate) attention_output: &'static str,
    /// The name of the dropout behind it.
    pub(crate) attention_dropout: &'static str,
    pub(crate) attention_norm: &'static str,
    pub(crate) inner: &'static str,
    pub(crate) output: &'static str,
    /// The name of the dropout behind it.
    pub(crate) output_dropout: &'static str,
    pub(crate) output_norm: &'static str,
}

/// A block: its parameters, and where dropout acts in it.
pub(crate) struct Block {
    layer: EncoderLayer,
    /// What LoRA adds to the query and the value map.
    low_rank: [Option<LowRank>; 2],
    /// Which of its stack it is, from 0.
    place: usize,
    heads: usize,
    attention: DropoutSite,
    attention_output: DropoutSite,
    output: DropoutSite,
}

/// Who reads in a block.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Readers<'a> {
    /// Every token.
    All,
    /// One token of each sequence, by its place among all tokens.
    These(&'a [u32]),
}

/// What all blocks of a forward need beside the states.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) sequences: &'a Sequences,
    /// Whether a token reads only itself and those before it.
    pub(crate) causal: bool,
    pub(crate) pass: &'a Pass,
}

impl Block {
    /// The block whose parameters begin with `stack.place`.
    fn new(
        parameters: &mut Parameters<'_>,
        (stack, place): (&str, usize),
        names: &BlockNames,
        sizes: &Sizes,
        (norms, activation): (Norms, Activation),
    ) -> Result<Self, ModelError> {
        let prefix = format!("{stack}.{place}");
        let (hidden, inner) = (sizes.hidden, sizes.intermediate);
        let BlockNames { attention, query, key, value, .. } = names;
        let (query, value) =
            (format!("{prefix}.{attention}.{query}"), format!("{prefix}.{attention}.{value}"));
        let mut map = |name: &str, outputs: usize, inputs: usize| {
            affine(parameters, &format!("{prefix}.{name}"), &[outputs, inputs], Kind::Weight)
        };
        let layer_maps = (
            map(&format!("{attention}.{}", names.query), hidden, hidden)?,
            map(&format!("{attention}.{key}"), hidden, hidden)?,
            map(&format!("{attention}.{}", names.value), hidden, hidden)?,
            map(names.attention_output, hidden, hidden)?,
            map(names.inner, inner, hidden)?,
            map(names.output, hidden, inner)?,
        );
        let mut norm =
            |name: &str| affine(parameters, &format!("{prefix}.{name}"), &[hidden], Kind::Scale);
        let layer = EncoderLayer {
            attention_norm: norm(names.attention_norm)?,
            output_norm: norm(names.output_norm)?,
            query: layer_maps.0,
            key: layer_maps.1,
            value: layer_maps.2,
            attention_output: layer_maps.3,
            inner: layer_maps.4,
            output: layer_maps.5,
            eps: sizes.eps,
            norms,
            activation,
        };
        let mut adapt = |module: &str| parameters.adapt(module, hidden, hidden);
        let site =
            |name: &str, probability| DropoutSite::new(&format!("{prefix}.{name}"), probability);
        Ok(Self {
            layer,
            low_rank: [adapt(&query)?, adapt(&value)?],
            place,
            heads: sizes.heads,
            attention: site(attention, sizes.attention_dropout),
            attention_output: site(names.attention_dropout, sizes.hidden_dropout),
            output: site(names.output_dropout, sizes.hidden_dropout),
        })
    }

    /// The new states of those who read, `[readers, hidden]`, from all `[tokens, hidden]`.
    pub(crate) fn forward(
        &self,
        states: &Tensor,
        readers: Readers<'_>,
        context: &Context<'_>,
    ) -> Result<Tensor, ModelError> {
        let width = states.dim(1)? / self.heads;
        let mut plan = AttentionPlan::new(context.sequences, self.heads, width);
        if context.causal {
            plan = plan.causal();
        }
        if let Readers::These(tokens) = readers {
            plan = plan.read_by(tokens.to_vec())?;
        }
        if let Some(dropout) = self.attention.settings(context.pass) {
            plan = plan.with_dropout(dropout)?;
        }
        let dropouts = StateDropouts {
            attention_output: self.attention_output.settings(context.pass),
            output: self.output.settings(context.pass),
        };
        let (layer, low_rank) = (self.layer.clone(), self.low_rank.clone());
        let part = move |states: &Tensor| {
            let mut layer = layer.clone();
            let [query, value] = &low_rank;
            for (map, low_rank) in [(&mut layer.query, query), (&mut layer.value, value)] {
                if let Some(low_rank) = low_rank {
                    map.weight = low_rank.added_to(&map.weight)?;
                }
            }
            layer.forward(states, &plan, dropouts)
        };
        if context.pass.recomputes(self.place) {
            return Ok(recompute(states, self.learning(), part)?);
        }
        Ok(part(states)?)
    }

    /// A parameter that learns, if there is one.
    fn learning(&self) -> Option<&Tensor> {
        let changes = self.low_rank.iter().flatten().map(|low_rank| low_rank.a.as_tensor());
        changes.chain([&self.layer.inner.weight]).find(|tensor| tensor.track_op())
    }
}

/// `prefix.weight` of this shape and `prefix.bias` as long as its first dimension.
fn affine(
    parameters: &mut Parameters<'_>,
    prefix: &str,
    shape: &[usize],
    kind: Kind,
) -> Result<Affine, ModelError> {
    Ok(Affine {
        weight: parameters.take(&format!("{prefix}.weight"), shape, kind)?,
        bias: parameters.take(&format!("{prefix}.bias"), &shape[..1], Kind::Bias)?,
    })
}

/// A stack of blocks.
pub(crate) struct Blocks {
    blocks: Vec<Block>,
}

impl Blocks {
    /// `prefix.0`, `prefix.1`, …
    pub(crate) fn new(
        parameters: &mut Parameters<'_>,
        prefix: &str,
        names: &BlockNames,
        sizes: &Sizes,
        kind: (Norms, Activation),
    ) -> Result<Self, ModelError> {
        let block = |layer| Block::new(parameters, (prefix, layer), names, sizes, kind);
        Ok(Self { blocks: (0..sizes.layers).map(block).collect::<Result<_, _>>()? })
    }

    /// The states `[tokens, hidden]` of all tokens.
    pub(crate) fn all_tokens(
        &self,
        mut states: Tensor,
        context: &Context<'_>,
    ) -> Result<Tensor, ModelError> {
        for block in &self.blocks {
            states = block.forward(&states, Readers::All, context)?;
        }
        Ok(states)
    }

    /// The states `[sequences, hidden]` of one token of each sequence, all that the last block
    /// computes.
    pub(crate) fn tokens(
        &self,
        mut states: Tensor,
        tokens: &[u32],
        context: &Context<'_>,
    ) -> Result<Tensor, ModelError> {
        let Some((last, blocks)) = self.blocks.split_last() else {
            return crate::packing::picked(&states, tokens);
        };
        for block in blocks {
            states = block.forward(&states, Readers::All, context)?;
        }
        last.forward(&states, Readers::These(tokens), context)
    }

    /// The states `[sequences, hidden]` of the first token of each sequence.
    pub(crate) fn first_tokens(
        &self,
        states: Tensor,
        context: &Context<'_>,
    ) -> Result<Tensor, ModelError> {
        self.tokens(states, &context.sequences.first_tokens()?, context)
    }
}
