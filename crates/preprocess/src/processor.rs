//! From a sample to an example, as the checkpoint's own processor does it.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use image::RgbImage;
use mmc_data::{
    Arm, DataError, Decoded, ImageSource, Sample, decode, decode_at_least, decode_rows,
};

use crate::augment::Draw;
use crate::cache::Cache;
use crate::model_kind::ModelKind;
use crate::picture::PictureSteps;
use crate::resize::Source;
use crate::store::Key;
use crate::text::Tokenization;
use crate::{Example, PictureStore, Pixels, PreprocessError, Tokens};

/// Bytes of resized pictures that are kept in memory unless [`Processor::with_cache_bytes`] says
/// otherwise: 512 MiB, or 3,500 pictures of 224 by 224 pixels.
const CACHE_BYTES: usize = 512 << 20;

/// Bytes of texts with their tokens that are kept in memory: 32 MiB, or about 100,000 questions.
const TEXT_CACHE_BYTES: usize = 32 << 20;

/// What a text takes there beside its letters and tokens.
const TEXT_ENTRY_BYTES: usize = 128;

/// Counts changes of how pictures are decoded and resized: what an earlier version has stored is not
/// taken for what this one makes.
const ARITHMETIC: u32 = 3;

/// Tokenizes texts and resizes and normalises pictures as a checkpoint's files say.
///
/// The arm is applied here and nowhere else: what it leaves out is absent from the [`Example`].
/// ViLT is the exception that its architecture asks for: with [`Arm::Image`] its text is the empty
/// one, `[CLS] [SEP]`, since the pooled output is the state of `[CLS]`.
pub struct Processor {
    arm: Arm,
    text: Option<Tokenization>,
    picture: Option<PictureSteps>,
    jpeg_scaling: bool,
    /// Resized 8-bit pictures. Files are taken not to change meanwhile.
    pictures: Cache<OsString, Arc<RgbImage>>,
    /// Tokens by text: a tiny model's step takes less time than its tokenizer.
    texts: Cache<String, Tokens>,
    store: Option<PictureStore>,
}

impl Processor {
    /// Reads the processor of a checkpoint folder in Hugging Face layout.
    ///
    /// - `config.json`: `model_type` and the most tokens a text can have.
    /// - Texts: `tokenizer.json`, else `vocab.txt` (BERT, FLAVA, ViLT) or `vocab.json` and
    ///   `merges.txt` (RoBERTa, CLIP); `tokenizer_config.json` and `special_tokens_map.json` where present.
    /// - Pictures: `processor_config.json` (`image_processor`), else `preprocessor_config.json`,
    ///   with the names of transformers 4 or 5. Not read for [`Arm::Text`].
    ///
    /// # Errors
    /// A file that is needed and absent, malformed, or has a value that is not supported, named
    /// with its key; [`PreprocessError::Arm`] where the model does not see pictures.
    pub fn from_folder(folder: &Path, arm: Arm) -> Result<Self, PreprocessError> {
        let (kind, positions) = ModelKind::from_folder(folder)?;
        if arm.uses_image() && !kind.sees_pictures() {
            let (folder, model_type) = (folder.to_owned(), kind.name().to_owned());
            return Err(PreprocessError::Arm { folder, model_type, arm });
        }
        let text = if arm.uses_text() || kind == ModelKind::Vilt {
            Some(Tokenization::from_folder(folder, kind, positions)?)
        } else {
            None
        };
        let picture = if arm.uses_image() {
            Some(PictureSteps::from_folder(folder, kind.name())?)
        } else {
            None
        };
        let (pictures, texts) = (Cache::new(CACHE_BYTES), Cache::new(TEXT_CACHE_BYTES));
        Ok(Self { arm, text, picture, jpeg_scaling: false, pictures, texts, store: None })
    }

    /// Cuts texts at this many tokens, special tokens included; at most what the model takes, and
    /// never below its special tokens: [`Processor::max_length`] says where they are cut then.
    /// Below [`Processor::min_length`] nothing of a text is left.
    #[must_use]
    pub fn with_max_length(mut self, tokens: usize) -> Self {
        if let Some(text) = &mut self.text {
            text.set_max_length(tokens);
            self.texts.clear();
        }
        self
    }

    /// Keeps at most this many bytes of resized 8-bit pictures in memory, and of tokenized texts as many
    /// but no more than 32 MiB; 0 for none. The results are the same; files are taken not to change while
    /// the processor lives.
    #[must_use]
    pub fn with_cache_bytes(mut self, bytes: usize) -> Self {
        self.pictures = Cache::new(bytes);
        self.texts = Cache::new(bytes.min(TEXT_CACHE_BYTES));
        self
    }

    /// Decodes JPEG files of at least twice the size that pictures are resized to to fewer pixels, as
    /// [`decode_at_least`] does it, if `scaling`: faster, and no longer exactly what the checkpoint's own
    /// processor makes.
    #[must_use]
    pub fn with_jpeg_scaling(mut self, scaling: bool) -> Self {
        self.jpeg_scaling = scaling;
        self
    }

    /// Takes pictures from a folder and leaves them there. The results are the same.
    #[must_use]
    pub fn with_picture_store(mut self, store: PictureStore) -> Self {
        self.store = Some(store);
        self
    }

    /// What a user should know of the stored pictures and was not told yet.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.store.as_ref().map(PictureStore::warnings).unwrap_or_default()
    }

    /// Where texts are cut, in tokens; `None` without texts.
    #[must_use]
    pub fn max_length(&self) -> Option<usize> {
        self.text.as_ref().map(Tokenization::max_length)
    }

    /// The fewest tokens that leave one of the text, special tokens included; `None` without texts.
    #[must_use]
    pub fn min_length(&self) -> Option<usize> {
        self.text.as_ref().map(Tokenization::min_length)
    }

    /// The token to pad with; 0 without texts.
    #[must_use]
    pub fn pad_id(&self) -> u32 {
        self.text.as_ref().map_or(0, Tokenization::pad_id)
    }

    /// The inputs that examples have.
    #[must_use]
    pub fn arm(&self) -> Arm {
        self.arm
    }

    /// Tokens that [`Processor::prepare`] gives a text with these words: special tokens included,
    /// after the cut; 0 without texts, or if the text cannot be tokenized (`prepare` says why).
    #[must_use]
    pub fn text_length(&self, text: &str) -> usize {
        let shown = if self.arm.uses_text() { text } else { "" };
        self.text
            .as_ref()
            .and_then(|tokenization| tokenization.encode(shown).ok())
            .map_or(0, |tokens| tokens.ids.len())
    }

    /// Tokens that a text has before it is cut, special tokens included; `None` without texts, or if
    /// the text cannot be tokenized.
    #[must_use]
    pub fn full_length(&self, text: &str) -> Option<usize> {
        self.text.as_ref()?.full_length(text).ok()
    }

    /// Tokenizes the text and reads, resizes and normalises the picture of a sample.
    ///
    /// # Errors
    /// [`PreprocessError::NoPicture`] and [`PreprocessError::Picture`] where the arm needs a
    /// picture that is not there or cannot be read, [`PreprocessError::Text`] where the text
    /// cannot be tokenized.
    pub fn prepare(&self, sample: &Sample) -> Result<Example, PreprocessError> {
        Ok(Example {
            id: sample.id.clone(),
            group: sample.group.clone(),
            target: sample.target.clone(),
            text: self.tokens(sample)?,
            image: self.pixels(sample, |steps, source| self.resized(steps, source))?,
        })
    }

    /// [`Processor::prepare`], the picture changed at random as was drawn for the sample: a piece of it
    /// is resized, and what that gives has other colours. Nothing is kept in memory, since the next
    /// epoch needs another piece.
    ///
    /// # Errors
    /// As [`Processor::prepare`].
    pub fn prepare_augmented(
        &self,
        sample: &Sample,
        draw: Draw,
    ) -> Result<Example, PreprocessError> {
        Ok(Example {
            id: sample.id.clone(),
            group: sample.group.clone(),
            target: sample.target.clone(),
            text: self.tokens(sample)?,
            image: self.pixels(sample, |steps, source| {
                let mut draw = draw;
                let part = draw.least_side();
                let way = format!("decoded {part} {:?}", steps.way());
                let decoded = self.stored(source, &way, || self.decoded(steps, source, part))?;
                let mut picture = steps.resize(&Source::from(&draw.cut(&decoded.picture)));
                draw.colour(&mut picture);
                Ok(Arc::new(picture))
            })?,
        })
    }

    /// Resizes and normalises a picture that was decoded elsewhere; `None` where the arm is shown none.
    #[must_use]
    pub fn pixels_of(&self, picture: &RgbImage) -> Option<Pixels> {
        let steps = self.picture.as_ref()?;
        Some(steps.normalise(&steps.resize(&Source::from(picture))))
    }

    fn tokens(&self, sample: &Sample) -> Result<Option<Tokens>, PreprocessError> {
        let Some(tokenization) = &self.text else { return Ok(None) };
        let shown = if self.arm.uses_text() { sample.text.as_str() } else { "" };
        if let Some(kept) = self.texts.get(shown) {
            return Ok(Some(kept));
        }
        let tokens = tokenization.encode(shown).map_err(|error| PreprocessError::Text {
            id: sample.id.clone(),
            problem: error.to_string(),
        })?;
        let numbers = size_of_val(&*tokens.ids) + size_of_val(&*tokens.type_ids);
        self.texts.keep(shown, &tokens, shown.len() + numbers + TEXT_ENTRY_BYTES);
        Ok(Some(tokens))
    }

    /// The picture of the sample, after `resized` has made of it what the model sees.
    fn pixels(
        &self,
        sample: &Sample,
        resized: impl FnOnce(&PictureSteps, &ImageSource) -> Result<Arc<RgbImage>, DataError>,
    ) -> Result<Option<Pixels>, PreprocessError> {
        let Some(steps) = &self.picture else { return Ok(None) };
        let Some(source) = &sample.image else {
            return Err(PreprocessError::NoPicture { id: sample.id.clone(), arm: self.arm });
        };
        let picture = resized(steps, source)
            .map_err(|source| PreprocessError::Picture { id: sample.id.clone(), source })?;
        Ok(Some(steps.normalise(&picture)))
    }

    fn resized(
        &self,
        steps: &PictureSteps,
        source: &ImageSource,
    ) -> Result<Arc<RgbImage>, DataError> {
        let key = source.key().as_os_str();
        if let Some(kept) = self.pictures.get(key) {
            return Ok(kept);
        }
        let way = format!("resized {}", steps.way());
        let resized = self.stored(source, &way, || {
            let mut resizing = steps.resizing();
            let least = |full| steps.size(full);
            decode_rows(source, self.jpeg_scaling.then_some(&least), &mut resizing)?;
            Ok(Decoded::from(resizing.finish()))
        })?;
        let picture = Arc::new(resized.picture);
        self.pictures.keep(key, &picture, picture.as_raw().len());
        Ok(picture)
    }

    /// What `make` makes of a picture in this way, taken from the store where it is there.
    fn stored(
        &self,
        source: &ImageSource,
        way: &str,
        make: impl FnOnce() -> Result<Decoded, DataError>,
    ) -> Result<Decoded, DataError> {
        let Some(store) = &self.store else { return make() };
        let key = || Key::new(source, &format!("{ARITHMETIC} {} {way}", self.jpeg_scaling));
        let Some(before) = key() else { return make() };
        if let Some(found) = store.get(before) {
            return Ok(found);
        }
        let made = make()?;
        // A file that was written to meanwhile is neither the one nor the other.
        if key() == Some(before) {
            store.keep(before, &made);
        }
        Ok(made)
    }

    /// A picture of which this part of each side is going to be resized.
    fn decoded(
        &self,
        steps: &PictureSteps,
        source: &ImageSource,
        part: f64,
    ) -> Result<Decoded, DataError> {
        if !self.jpeg_scaling {
            return decode(source).map(Decoded::from);
        }
        let whole = |side: usize| (side as f64 / part).ceil() as usize;
        decode_at_least(source, &|full| {
            let (width, height) = steps.size(full);
            (whole(width), whole(height))
        })
    }
}

impl fmt::Debug for Processor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Processor")
            .field("arm", &self.arm)
            .field("max_length", &self.max_length())
            .field("pad_id", &self.pad_id())
            .finish_non_exhaustive()
    }
}
