//! FLAVA cut between its towers and the multimodal encoder, which a pair costs.

use mmc_preprocess::Batch;

use super::Flava;
use crate::{Classifier, Encoded, Logits, ModelError, Pairing, Pass};

impl Pairing for Flava {
    fn encode_texts(&self, batch: &Batch) -> Result<Encoded, ModelError> {
        Ok(Encoded::new(self.text_part(batch, &Pass::evaluate())?))
    }

    fn encode_images(&self, batch: &Batch) -> Result<Encoded, ModelError> {
        Ok(Encoded::new(self.image_part(batch, &Pass::evaluate())?))
    }

    fn classify_pairs(
        &self,
        texts: &Encoded,
        images: &Encoded,
        pairs: &[(usize, usize)],
    ) -> Result<Logits, ModelError> {
        let pass = Pass::evaluate();
        let (text, image) = Encoded::meet(texts, images, pairs)?;
        self.classify(&self.fuse(pairs.len(), vec![image, text], &pass)?, &pass)
    }

    fn pair_flops(&self, text_tokens: f64, image_tokens: f64) -> f64 {
        let head = 2.0 * (self.config.multimodal.hidden * self.classes) as f64;
        self.config.multimodal.flops(1.0 + text_tokens + image_tokens) + head
    }
}
