//! ViLT cut between its embeddings and its encoder: text and picture meet in the first block, so a
//! pair costs nearly all of a forward.

use mmc_preprocess::Batch;

use super::Vilt;
use crate::packing::Part;
use crate::{Classifier, Encoded, Logits, ModelError, Pairing, Pass};

impl Pairing for Vilt {
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
        self.classify(&self.pool(Part::join(&[text, image])?, &pass)?, &pass)
    }

    fn pair_flops(&self, text_tokens: f64, image_tokens: f64) -> f64 {
        self.config.sizes.flops(text_tokens + image_tokens) + self.head_flops()
    }
}
