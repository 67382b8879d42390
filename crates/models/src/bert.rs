//! BERT (Devlin et al., 2019) with the classification head of transformers'
//! `BertForSequenceClassification`. BETO is this architecture with Spanish weights.
//!
//! The pooler reads the first token.

use candle_core::{Device, Tensor};
use mmc_data::Arm;
use mmc_preprocess::Batch;

use crate::config::ConfigFile;
use crate::depth::Stack;
use crate::layers::{DropoutSite, Linear, Pooler};
use crate::parameters::Parameters;
use crate::post_norm::{Encoder, EncoderConfig, Numbering};
use crate::text::text_of;
use crate::{Classifier, Logits, ModelError, Parameter, Pass, States};

/// The name of its head.
pub(crate) const HEAD: &str = "linear";

/// The text arm, the only one, uses every parameter.
pub(crate) fn off_path(_arm: Arm) -> &'static [&'static str] {
    &[]
}

/// The encoder.
pub(crate) fn stacks(file: &ConfigFile) -> Result<Vec<Stack>, ModelError> {
    let layers = file.count("num_hidden_layers", 12)?;
    let (layer, embeddings): (_, &[_]) = ("bert.encoder.layer.", &["bert.embeddings."]);
    Ok(vec![Stack { layer, embeddings, layers, above: 0 }])
}

/// A BERT classifier.
pub(crate) struct Bert {
    config: EncoderConfig,
    classes: usize,
    parameters: Vec<Parameter>,
    device: Device,
    encoder: Encoder,
    pooler: Pooler,
    head_dropout: DropoutSite,
    head: Linear,
}

impl Bert {
    /// Builds the model from `parameters`, whose list it keeps.
    pub(crate) fn new(
        file: &ConfigFile,
        dropout: Option<f64>,
        classes: usize,
        parameters: &mut Parameters<'_>,
    ) -> Result<Self, ModelError> {
        let config = EncoderConfig::read(file, 30_522, Numbering::FromZero, dropout)?;
        let hidden = config.sizes.hidden;
        Ok(Self {
            encoder: Encoder::new(parameters, "bert", &config)?,
            pooler: Pooler::new(parameters, "bert.pooler", hidden)?,
            head_dropout: DropoutSite::new("classifier", config.head_dropout),
            head: Linear::new(parameters, "classifier", hidden, classes)?,
            config,
            classes,
            device: parameters.device.clone(),
            parameters: std::mem::take(&mut parameters.list),
        })
    }
}

impl Classifier for Bert {
    fn encode(&self, batch: &Batch, pass: &Pass) -> Result<Tensor, ModelError> {
        let text = text_of(batch, Arm::Text)?;
        let states = self.encoder.first_token(text, pass)?;
        self.pooler.forward(&states)
    }

    fn classify(&self, pooled: &Tensor, pass: &Pass) -> Result<Logits, ModelError> {
        let pooled = self.head_dropout.forward_pooled(pooled, pass)?;
        Ok(Logits(self.head.forward(&pooled)?)) // [batch, classes]
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
