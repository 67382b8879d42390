//! CLIP cut between towers and head: a pair costs the head alone.

use candle_core::Tensor;
use mmc_preprocess::Batch;

use super::Clip;
use crate::{Classifier, Encoded, Logits, ModelError, Pairing, Pass};

impl Pairing for Clip {
    fn encode_texts(&self, batch: &Batch) -> Result<Encoded, ModelError> {
        Encoded::of_vectors(self.text_feature(batch, &Pass::evaluate())?)
    }

    fn encode_images(&self, batch: &Batch) -> Result<Encoded, ModelError> {
        Encoded::of_vectors(self.image_feature(batch, &Pass::evaluate())?)
    }

    fn classify_pairs(
        &self,
        texts: &Encoded,
        images: &Encoded,
        pairs: &[(usize, usize)],
    ) -> Result<Logits, ModelError> {
        let (text, image) = Encoded::meet(texts, images, pairs)?;
        self.classify(&Tensor::cat(&[text.states, image.states], 1)?, &Pass::evaluate())
    }

    fn pair_flops(&self, _text_tokens: f64, _image_tokens: f64) -> f64 {
        self.head.flops()
    }
}
