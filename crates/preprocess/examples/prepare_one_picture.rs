//! What does a checkpoint's processor make of one picture and one text?
//!
//! ```console
//! $ cargo run -p mmc-preprocess --example prepare_one_picture -- FOLDER PICTURE TEXT
//! ```
//!
//! `FOLDER` holds a CLIP, FLAVA or ViLT checkpoint in Hugging Face layout; its weights are not
//! read. Without arguments it uses a small folder and picture of this crate's tests.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;
use std::path::PathBuf;

use mmc_data::{Arm, ImageSource, Sample};
use mmc_preprocess::{Padding, Processor, collate};

fn main() -> Result<(), Box<dyn Error>> {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().map_or(fixtures.join("tokens/vilt-json"), PathBuf::from);
    let picture = arguments.next().map_or(fixtures.join("pictures/wide.png"), PathBuf::from);
    let text = arguments.next().unwrap_or_else(|| "the red car".to_owned());

    let processor = Processor::from_folder(&folder, Arm::Both)?;
    let example = processor.prepare(&Sample {
        id: "one".to_owned(),
        text,
        image: Some(ImageSource::File(picture)),
        target: None,
        group: None,
    })?;
    let batch = collate(&[example], Padding::Longest, processor.pad_id())?;

    if let Some(text) = &batch.text {
        println!("token ids {:?}", text.token_ids.to_vec2::<u32>()?);
    }
    if let Some(image) = &batch.image {
        let values = image.pixel_values.flatten_all()?.to_vec1::<f32>()?;
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        println!("pixel values {:?}, mean {mean:.4}", image.pixel_values.dims());
    }
    Ok(())
}
