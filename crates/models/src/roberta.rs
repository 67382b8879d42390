//! RoBERTa (Liu et al., 2019) with the classification head of transformers'
//! `RobertaForSequenceClassification`: `out_proj(tanh(dense(first token)))`, with dropout before
//! each map. There is no pooler.
//!
//! BERT's encoder but for the numbering of tokens, which begins behind the id of padding, so that
//! the table of positions has that many rows and one more than a text may have tokens.

use candle_core::{Device, Tensor};
use mmc_data::Arm;
use mmc_ops::tanh;
use mmc_preprocess::Batch;

use crate::config::ConfigFile;
use crate::depth::Stack;
use crate::layers::{DropoutSite, Linear};
use crate::parameters::Parameters;
use crate::post_norm::{Encoder, EncoderConfig, Numbering};
use crate::text::text_of;
use crate::{Classifier, Logits, ModelError, Parameter, Pass, States};

/// The name of its head.
pub(crate) const HEAD: &str = "mlp";

/// The text arm, the only one, uses every parameter.
pub(crate) fn off_path(_arm: Arm) -> &'static [&'static str] {
    &[]
}

/// The encoder.
pub(crate) fn stacks(file: &ConfigFile) -> Result<Vec<Stack>, ModelError> {
    let layers = file.count("num_hidden_layers", 12)?;
    let (layer, embeddings): (_, &[_]) = ("roberta.encoder.layer.", &["roberta.embeddings."]);
    Ok(vec![Stack { layer, embeddings, layers, above: 0 }])
}

/// A RoBERTa classifier.
pub(crate) struct Roberta {
    config: EncoderConfig,
    classes: usize,
    parameters: Vec<Parameter>,
    device: Device,
    encoder: Encoder,
    head_dropout: DropoutSite,
    dense: Linear,
    output_dropout: DropoutSite,
    output: Linear,
}

impl Roberta {
    /// Builds the model from `parameters`, whose list it keeps.
    pub(crate) fn new(
        file: &ConfigFile,
        dropout: Option<f64>,
        classes: usize,
        parameters: &mut Parameters<'_>,
    ) -> Result<Self, ModelError> {
        let pad_id = file.count("pad_token_id", 1)?;
        let pad_id = u32::try_from(pad_id)
            .ok()
            .ok_or_else(|| file.unsupported("pad_token_id", "an id of the vocabulary"))?;
        let config = EncoderConfig::read(file, 50_265, Numbering::BehindPad(pad_id), dropout)?;
        let hidden = config.sizes.hidden;
        Ok(Self {
            encoder: Encoder::new(parameters, "roberta", &config)?,
            head_dropout: DropoutSite::new("classifier.dense", config.head_dropout),
            dense: Linear::new(parameters, "classifier.dense", hidden, hidden)?,
            output_dropout: DropoutSite::new("classifier.out_proj", config.head_dropout),
            output: Linear::new(parameters, "classifier.out_proj", hidden, classes)?,
            config,
            classes,
            device: parameters.device.clone(),
            parameters: std::mem::take(&mut parameters.list),
        })
    }
}

impl Classifier for Roberta {
    fn encode(&self, batch: &Batch, pass: &Pass) -> Result<Tensor, ModelError> {
        let text = text_of(batch, Arm::Text)?;
        self.encoder.first_token(text, pass)
    }

    fn classify(&self, pooled: &Tensor, pass: &Pass) -> Result<Logits, ModelError> {
        let state = self.head_dropout.forward_pooled(pooled, pass)?;
        let state = tanh(&self.dense.forward(&state)?)?;
        let state = self.output_dropout.forward_pooled(&state, pass)?;
        Ok(Logits(self.output.forward(&state)?)) // [batch, classes]
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn arm(&self) -> Arm {
        Arm::Text
    }

    fn head(&self) -> &'static str {
        HEAD
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn flops(&self, text_tokens: f64, _image_tokens: f64) -> f64 {
        let hidden = self.config.sizes.hidden as f64;
        self.config.sizes.flops(text_tokens) + 2.0 * hidden * (hidden + self.classes as f64)
    }

    fn image_tokens(&self, _height: usize, _width: usize) -> usize {
        0
    }

    fn picture(&self, _aspect: f64) -> Option<(usize, usize)> {
        None
    }

    fn states(&self, text_tokens: usize, _picture: Option<(usize, usize)>) -> States {
        self.config.states(text_tokens)
    }
}
