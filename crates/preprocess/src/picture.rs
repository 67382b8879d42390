//! What a checkpoint's image processor does with a picture: resize, crop, rescale, normalise.

use std::path::Path;

use image::RgbImage;
use mmc_data::Rows as _;
use serde_json::Value;

use crate::folder::Config;
use crate::resize::{Filter, Source};
use crate::resizing::Resizing;
use crate::size::SizeRule;
use crate::{Pixels, PreprocessError};

const CLIP_MEAN: [f64; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const CLIP_STD: [f64; 3] = [0.268_629_54, 0.261_302_58, 0.275_777_11];
const PLAIN_MEAN: [f64; 3] = [0.5, 0.5, 0.5];

/// The steps from a decoded picture to [`Pixels`], read from a checkpoint folder.
#[derive(Clone, Debug)]
pub(crate) struct PictureSteps {
    size: SizeRule,
    filter: Filter,
    /// Height and width cut out of the middle.
    crop: Option<(usize, usize)>,
    /// `[channel][level]`: rescaled and normalised.
    levels: Box<[[f32; 256]; 3]>,
}

/// The image processors that are known, each with defaults for what its file leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Clip,
    Flava,
    Vilt,
}

impl PictureSteps {
    /// Reads `processor_config.json` (its `image_processor` wins) or `preprocessor_config.json`.
    pub(crate) fn from_folder(folder: &Path, model_type: &str) -> Result<Self, PreprocessError> {
        let nested = match Config::read(&folder.join("processor_config.json"))? {
            Some(config) => config.nested("image_processor")?,
            None => None,
        };
        let path = folder.join("preprocessor_config.json");
        let config = match nested {
            Some(config) => config,
            None => Config::read(&path)?.ok_or(PreprocessError::Missing {
                path,
                purpose: "to prepare pictures",
                remedy: "copy it from the checkpoint, or use `--arm text`",
            })?,
        };
        Self::from_config(&config, model_type)
    }

    fn from_config(config: &Config, model_type: &str) -> Result<Self, PreprocessError> {
        let family = Family::of(config, model_type)?;
        let crops = config.switch("do_center_crop", family != Family::Vilt)?;
        if config.get("pad_size").is_some() {
            return Err(config.unsupported("pad_size", "no such key"));
        }
        if family == Family::Vilt && !config.switch("do_pad", true)? {
            let expected = "`true`: pictures of several sizes share a batch";
            return Err(config.unsupported("do_pad", expected));
        }
        if family == Family::Vilt && crops {
            return Err(config.unsupported("do_center_crop", "`false` in a ViLT processor"));
        }
        Ok(Self {
            size: family.size_rule(config)?,
            filter: filter(config)?,
            crop: if crops { Some(crop_size(config)?) } else { None },
            levels: family.levels(config)?,
        })
    }

    /// What decides how a picture is resized, in words that differ where the pixels may.
    pub(crate) fn way(&self) -> String {
        format!("{:?} {:?} {:?}", self.size, self.filter, self.crop)
    }

    /// Width and height after resizing a picture of this width and height, before the crop.
    pub(crate) fn size(&self, full: (usize, usize)) -> (usize, usize) {
        self.size.of(full)
    }

    /// Resizes and crops; still 8-bit. The sizes are those of the whole picture, however many of its
    /// pixels were decoded.
    pub(crate) fn resize(&self, picture: &Source<'_>) -> RgbImage {
        let mut resizing = self.resizing();
        resizing.begin(&picture.shape);
        resizing.take(picture.rows());
        resizing.finish()
    }

    /// [`PictureSteps::resize`] of a picture whose rows come one after the other.
    pub(crate) fn resizing(&self) -> Resizing {
        Resizing::new(self.size, self.filter, self.crop)
    }

    /// Rescales and normalises an 8-bit picture.
    pub(crate) fn normalise(&self, picture: &RgbImage) -> Pixels {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let pixels = picture.as_raw().as_chunks::<3>().0;
        let mut values = Vec::with_capacity(3 * pixels.len());
        for (channel, levels) in self.levels.iter().enumerate() {
            values.extend(pixels.iter().map(|pixel| levels[usize::from(pixel[channel])]));
        }
        Pixels { values, height, width }
    }
}

impl Family {
    /// By the processor's name in any of its spellings (`CLIPImageProcessor`, `…Fast`, `…Pil`,
    /// `CLIPFeatureExtractor`), else by the model.
    fn of(config: &Config, model_type: &str) -> Result<Self, PreprocessError> {
        for key in ["image_processor_type", "feature_extractor_type"] {
            let Some(name) = config.typed::<String>(key, "the name of an image processor")? else {
                continue;
            };
            let stem = name.trim_end_matches("Fast").trim_end_matches("Pil");
            let stem =
                stem.strip_suffix("ImageProcessor").or(stem.strip_suffix("FeatureExtractor"));
            return match stem {
                Some("CLIP") => Ok(Self::Clip),
                Some("Flava") => Ok(Self::Flava),
                Some("Vilt") => Ok(Self::Vilt),
                _ => Err(config.unsupported(
                    key,
                    "`CLIPImageProcessor`, `FlavaImageProcessor` or `ViltImageProcessor`",
                )),
            };
        }
        match model_type {
            "clip" => Ok(Self::Clip),
            "flava" => Ok(Self::Flava),
            "vilt" => Ok(Self::Vilt),
            _ => Err(config.missing("image_processor_type", "the name of an image processor")),
        }
    }

    fn size_rule(self, config: &Config) -> Result<SizeRule, PreprocessError> {
        if !config.switch("do_resize", true)? {
            return Ok(SizeRule::Keep);
        }
        let divisor = config.count("size_divisor")?.unwrap_or(32);
        if !(1..=MOST_SIDE).contains(&(divisor as u64)) {
            let expected = format!("a whole number from 1 to {MOST_SIDE}");
            return Err(config.unsupported("size_divisor", &expected));
        }
        let shortest = |edge: usize| match self {
            Self::Vilt => SizeRule::Multiples { shorter: edge, divisor },
            _ => SizeRule::Shortest(edge),
        };
        let expected = match self {
            Self::Vilt => "a whole number or `{\"shortest_edge\": …}`",
            _ => "a whole number, `{\"shortest_edge\": …}` or `{\"height\": …, \"width\": …}`",
        };
        let rule = match (self, sides(config, "size", expected)?) {
            (Self::Flava, None) => SizeRule::Squash(224, 224),
            (Self::Clip, None) => SizeRule::Shortest(224),
            (Self::Vilt, None) => shortest(384),
            (Self::Flava, Some(Sides::Number(side))) => SizeRule::Squash(side, side),
            (_, Some(Sides::Number(edge) | Sides::Shortest(edge))) => shortest(edge),
            (Self::Vilt, Some(Sides::Both(..))) => {
                return Err(config.unsupported("size", expected));
            }
            (_, Some(Sides::Both(height, width))) => SizeRule::Squash(height, width),
        };
        Ok(rule)
    }

    /// What each level of each channel becomes: `(level · factor − mean) / std` in `f32`, the
    /// product in `f64` first (transformers' Pillow back end).
    fn levels(self, config: &Config) -> Result<Box<[[f32; 256]; 3]>, PreprocessError> {
        let factor = if config.switch("do_rescale", true)? {
            config.typed("rescale_factor", "a number")?.unwrap_or(1.0 / 255.0)
        } else {
            1.0
        };
        let (mean, std) = match self {
            Self::Clip | Self::Flava => (CLIP_MEAN, CLIP_STD),
            Self::Vilt => (PLAIN_MEAN, PLAIN_MEAN),
        };
        let (mean, std) = if config.switch("do_normalize", true)? {
            let mean = channels(config, "image_mean")?.unwrap_or(mean);
            (mean, channels(config, "image_std")?.unwrap_or(std))
        } else {
            ([0.0; 3], [1.0; 3])
        };
        if !std.iter().all(|std| *std > 0.0) {
            return Err(config.unsupported("image_std", "numbers above 0"));
        }
        let level = |level: usize, channel: usize| {
            ((level as f64 * factor) as f32 - mean[channel] as f32) / std[channel] as f32
        };
        let levels: Box<[[f32; 256]; 3]> = Box::new(std::array::from_fn(|channel| {
            std::array::from_fn(|value| level(value, channel))
        }));
        if levels.iter().flatten().all(|level| level.is_finite()) {
            Ok(levels)
        } else {
            Err(config.unsupported("image_mean", "numbers that leave every level finite"))
        }
    }
}

/// The longest side that a processor's file may ask for, in pixels; models see 224 to 576. The
/// numbers of such a picture take 48 MiB.
const MOST_SIDE: u64 = 2048;

/// A size as a processor's file writes it.
enum Sides {
    Number(usize),
    Shortest(usize),
    Both(usize, usize),
}

fn sides(config: &Config, key: &str, expected: &str) -> Result<Option<Sides>, PreprocessError> {
    let Some(value) = config.get(key) else { return Ok(None) };
    let whole = |value: &Value| {
        value.as_u64().filter(|side| (1..=MOST_SIDE).contains(side)).map(|side| side as usize)
    };
    let sides = match value {
        Value::Object(object) => {
            // v5 writes the keys that it does not use as null.
            let given: Vec<(&str, Option<usize>)> = object
                .iter()
                .filter(|(_, side)| !side.is_null())
                .map(|(name, side)| (name.as_str(), whole(side)))
                .collect();
            match given[..] {
                [("shortest_edge", Some(edge))] => Some(Sides::Shortest(edge)),
                [("height", Some(height)), ("width", Some(width))]
                | [("width", Some(width)), ("height", Some(height))] => {
                    Some(Sides::Both(height, width))
                }
                _ => None,
            }
        }
        number => whole(number).map(Sides::Number),
    };
    sides.map(Some).ok_or_else(|| config.unsupported(key, expected))
}

fn crop_size(config: &Config) -> Result<(usize, usize), PreprocessError> {
    let expected = "a whole number or `{\"height\": …, \"width\": …}`";
    match sides(config, "crop_size", expected)? {
        None => Ok((224, 224)),
        Some(Sides::Number(side)) => Ok((side, side)),
        Some(Sides::Both(height, width)) => Ok((height, width)),
        Some(Sides::Shortest(_)) => Err(config.unsupported("crop_size", expected)),
    }
}

fn filter(config: &Config) -> Result<Filter, PreprocessError> {
    match config.get("resample").map(Value::as_u64) {
        None | Some(Some(3)) => Ok(Filter::Bicubic),
        Some(Some(1)) => Ok(Filter::Lanczos),
        Some(Some(2)) => Ok(Filter::Bilinear),
        Some(Some(4)) => Ok(Filter::Box),
        Some(Some(5)) => Ok(Filter::Hamming),
        _ => Err(config.unsupported(
            "resample",
            "1 (Lanczos), 2 (bilinear), 3 (bicubic), 4 (box) or 5 (Hamming)",
        )),
    }
}

/// Three numbers, or one for all channels.
fn channels(config: &Config, key: &str) -> Result<Option<[f64; 3]>, PreprocessError> {
    let expected = "three numbers";
    match config.get(key) {
        Some(Value::Number(_)) => Ok(config.typed(key, expected)?.map(|number| [number; 3])),
        _ => config.typed(key, expected),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn steps(model_type: &str, json: &str) -> Result<PictureSteps, PreprocessError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("preprocessor_config.json"), json).unwrap();
        PictureSteps::from_folder(folder.path(), model_type)
    }

    #[test]
    fn sizes_of_either_generation_are_read() {
        let rule = |model, json: &str| steps(model, json).unwrap().size;
        assert_eq!(rule("clip", "{}"), SizeRule::Shortest(224));
        assert_eq!(rule("clip", r#"{"size": 32, "crop_size": 32}"#), SizeRule::Shortest(32));
        assert_eq!(
            rule("clip", r#"{"size": {"height": null, "shortest_edge": 32}}"#),
            SizeRule::Shortest(32)
        );
        assert_eq!(rule("flava", r#"{"size": 32}"#), SizeRule::Squash(32, 32));
        assert_eq!(rule("flava", r#"{"size": {"width": 3, "height": 2}}"#), SizeRule::Squash(2, 3));
        assert_eq!(
            rule("vilt", r#"{"size": 64, "size_divisor": 16}"#),
            SizeRule::Multiples { shorter: 64, divisor: 16 }
        );
        // The file's own word beats the model's.
        assert_eq!(
            rule("clip", r#"{"feature_extractor_type": "FlavaFeatureExtractor"}"#),
            SizeRule::Squash(224, 224)
        );
    }

    #[test]
    fn unsupported_values_name_file_and_key() {
        for (json, key) in [
            (r#"{"resample": 0}"#, "resample"),
            (r#"{"resample": "bicubic"}"#, "resample"),
            (r#"{"size": {"shortest_edge": 800, "longest_edge": 1333}}"#, "size"),
            (r#"{"size": 0}"#, "size"),
            (r#"{"crop_size": {"shortest_edge": 8}}"#, "crop_size"),
            (r#"{"image_mean": [0.5]}"#, "image_mean"),
            (r#"{"image_std": [0.5, 0.0, 0.5]}"#, "image_std"),
            (r#"{"do_resize": "yes"}"#, "do_resize"),
            (r#"{"pad_size": {"height": 8, "width": 8}}"#, "pad_size"),
            (r#"{"image_processor_type": "ViTImageProcessor"}"#, "image_processor_type"),
        ] {
            let error = steps("clip", json).unwrap_err().to_string();
            assert!(error.contains("preprocessor_config.json: "), "{error}");
            assert!(error.contains(&format!("`{key}` is `")), "{error}");
        }
        let vilt = steps("vilt", r#"{"do_pad": false}"#).unwrap_err().to_string();
        assert!(vilt.contains("`do_pad` is `false`"), "{vilt}");
    }

    #[test]
    fn a_file_that_is_no_json_names_its_line() {
        let error = steps("clip", "{\n \"size\": 32,\n}").unwrap_err().to_string();
        assert!(error.contains("preprocessor_config.json:3: "), "{error}");
    }

    #[test]
    fn the_nested_processor_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let missing = PictureSteps::from_folder(path, "clip").unwrap_err().to_string();
        assert!(missing.contains("preprocessor_config.json: no such file"), "{missing}");
        fs::write(path.join("preprocessor_config.json"), r#"{"size": 48}"#).unwrap();
        fs::write(path.join("processor_config.json"), r#"{"processor_class": "CLIPProcessor"}"#)
            .unwrap();
        let steps = PictureSteps::from_folder(path, "clip").unwrap();
        assert_eq!(steps.size, SizeRule::Shortest(48));
        fs::write(path.join("processor_config.json"), r#"{"image_processor": {"size": 16}}"#)
            .unwrap();
        let steps = PictureSteps::from_folder(path, "clip").unwrap();
        assert_eq!(steps.size, SizeRule::Shortest(16));
        fs::write(path.join("processor_config.json"), r#"{"image_processor": {"size": []}}"#)
            .unwrap();
        let error = PictureSteps::from_folder(path, "clip").unwrap_err().to_string();
        assert!(error.contains("`image_processor.size` is `[]`"), "{error}");
    }

    #[test]
    fn a_very_long_picture_costs_no_memory() {
        let steps = steps("clip", "{}").unwrap();
        let line = RgbImage::new(20_000, 1);
        assert_eq!(steps.resize(&Source::from(&line)).dimensions(), (224, 224));
    }
}
