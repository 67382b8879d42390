//! What every model is to the rest: a [`Classifier`].

use candle_core::{Device, Tensor, Var};
use mmc_data::Arm;
use mmc_ops::Dropout;
use mmc_preprocess::Batch;

use crate::lora::LowRank;
use crate::{ModelError, Pairing, States};

/// A model with a head for `classes()` classes.
///
/// A forward is a function of the parameters, the batch and the [`Pass`], and of nothing else:
/// row i of the logits depends on row i of the batch alone, and there is no state to set.
pub trait Classifier: Send + Sync {
    /// The logits `[batch, classes]` of a batch.
    ///
    /// # Errors
    /// [`ModelError::NoInput`] where the batch lacks an input that the arm needs,
    /// [`ModelError::TooLong`] where a text has more tokens than the model has positions.
    fn forward(&self, batch: &Batch, pass: &Pass) -> Result<Logits, ModelError> {
        self.classify(&self.encode(batch, pass)?, pass)
    }

    /// The pooled representation `[batch, width]` that the head reads, before any dropout of the
    /// head.
    ///
    /// # Errors
    /// As [`Classifier::forward`].
    fn encode(&self, batch: &Batch, pass: &Pass) -> Result<Tensor, ModelError>;

    /// The logits `[batch, classes]` of representations `[batch, width]` as [`Classifier::encode`]
    /// gives them: the head alone, with its dropout. Row i is row `first_row + i` of the step that
    /// `pass` names, as in a whole forward.
    ///
    /// # Errors
    /// Representations of another width.
    fn classify(&self, pooled: &Tensor, pass: &Pass) -> Result<Logits, ModelError>;

    /// All parameters, in a fixed order.
    fn parameters(&self) -> &[Parameter];

    /// The inputs that this model reads.
    fn arm(&self) -> Arm;

    /// The kind of head, as `mmc.json` says it.
    fn head(&self) -> &'static str;

    /// How many classes the head has.
    fn classes(&self) -> usize;

    /// Where the parameters lie.
    fn device(&self) -> &Device;

    /// Floating-point operations of the forward of one sample with this many text and image
    /// tokens, 2 a multiply-add. Matrix products only: the rest is below one percent.
    fn flops(&self, text_tokens: f64, image_tokens: f64) -> f64;

    /// Tokens that a picture of this size becomes; 0 where the model sees no pictures.
    fn image_tokens(&self, height: usize, width: usize) -> usize;

    /// Height and width in pixels of what the published processor makes of a picture whose longer
    /// side is `aspect` times its shorter; `None` where the model sees no pictures.
    fn picture(&self, aspect: f64) -> Option<(usize, usize)>;

    /// What a forward in training makes of one row with so many text tokens and a picture of this
    /// height and width.
    fn states(&self, text_tokens: usize, picture: Option<(usize, usize)>) -> States;

    /// The model cut where text and picture meet; `None` where it is not shown both.
    fn pairing(&self) -> Option<&dyn Pairing> {
        None
    }
}

/// `[batch, classes]`, f32: one number a class, in the order of the data set's classes.
#[derive(Clone, Debug)]
pub struct Logits(
    /// The tensor.
    pub Tensor,
);

/// One tensor that training may change.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name in the checkpoint.
    pub name: String,
    /// Its value.
    pub var: Var,
    /// Whether weight decay applies: not to biases and norms.
    pub decay: bool,
    /// Whether it trains: it is on the arm's path and not frozen. Where not, it has no gradient, is
    /// not in the optimiser and is saved unchanged.
    pub active: bool,
    /// How many levels below the head it lies: embeddings `layers` + 1, layer i of an encoder
    /// `layers` − i, pooler, final norms and head 0. Layer-wise decay multiplies the learning rate
    /// by its factor to this power.
    pub below_head: usize,
    /// What LoRA adds to it, which is in the list beside it and merged into it on saving.
    pub low_rank: Option<LowRank>,
}

impl Parameter {
    /// A parameter of the head that trains and decays.
    #[must_use]
    pub fn new(name: &str, var: Var) -> Self {
        let name = name.to_owned();
        Self { name, var, decay: true, active: true, below_head: 0, low_rank: None }
    }
}

/// Whether a forward is for evaluation, or for training at a given place of a run.
///
/// It is a value: dropout masks are a function of it, so neither the order of calls nor threads
/// nor shards can change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    training: Option<Training>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Training {
    seed: u64,
    step: u64,
    first_row: usize,
    recomputed_layers: usize,
}

impl Pass {
    /// No dropout.
    #[must_use]
    pub fn evaluate() -> Self {
        Self { training: None }
    }

    /// Training in `step` of the run with this seed; `first_row` is where the batch begins among
    /// the rows of the step.
    #[must_use]
    pub fn train(seed: u64, step: u64, first_row: usize) -> Self {
        Self { training: Some(Training { seed, step, first_row, recomputed_layers: 0 }) }
    }

    /// The same with gradient checkpointing: of each stack the first `layers` layers keep their input
    /// alone and are computed again in the backward pass; the gradients are the same bit for bit.
    #[must_use]
    pub fn recomputing(self, layers: usize) -> Self {
        let training =
            self.training.map(|training| Training { recomputed_layers: layers, ..training });
        Self { training }
    }

    /// Whether this layer of a stack, from 0, is computed again in the backward pass.
    pub(crate) fn recomputes(&self, layer: usize) -> bool {
        self.training.is_some_and(|training| layer < training.recomputed_layers)
    }

    /// Dropout with this probability at one layer; `None` where nothing is to be dropped.
    pub(crate) fn dropout(&self, probability: f64, layer: u64) -> Option<Dropout> {
        let Training { seed, step, first_row, .. } = self.training?;
        let first_row = first_row as u64;
        (probability > 0.0).then_some(Dropout { probability, seed, step, layer, first_row })
    }

    /// Whether dropout acts.
    #[must_use]
    pub fn is_training(&self) -> bool {
        self.training.is_some()
    }
}
