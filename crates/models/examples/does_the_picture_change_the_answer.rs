//! Does the picture change the answer? One sentence, two pictures, a tiny model from scratch.
//!
//!     cargo run -p mmc-models --example does_the_picture_change_the_answer

use candle_core::Device;
use mmc_data::{Arm, ImageSource, Sample};
use mmc_models::{CreateRequest, FreshHead, LoadRequest, Pass, create, load, preset};
use mmc_preprocess::{Padding, Processor, collate};

#[allow(clippy::print_stdout, reason = "an example prints its answer")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let labels = ["day".to_owned(), "night".to_owned()];
    let checkpoint = folder.path().join("checkpoint");
    let request = CreateRequest {
        preset: preset("vilt-tiny")?,
        arm: None,
        head: None,
        texts: &["look at this sky"],
        labels: &labels,
        seed: 7,
    };
    create(&request, &checkpoint)?;

    let mut samples = Vec::new();
    for (id, grey) in [("bright", 230), ("dark", 20)] {
        let path = folder.path().join(format!("{id}.png"));
        image::RgbImage::from_pixel(48, 32, image::Rgb([grey; 3])).save(&path)?;
        samples.push(Sample {
            id: id.to_owned(),
            text: "look at this sky".to_owned(),
            image: Some(ImageSource::File(path)),
            target: None,
            group: None,
        });
    }

    for arm in [Arm::Both, Arm::Text] {
        let processor = Processor::from_folder(&checkpoint, arm)?;
        let examples: Vec<_> =
            samples.iter().map(|sample| processor.prepare(sample)).collect::<Result<_, _>>()?;
        let batch = collate(&examples, Padding::Longest, processor.pad_id())?;
        let model = load(&LoadRequest {
            folder: &checkpoint,
            labels: &labels,
            arm: Some(arm),
            head: None,
            fresh_head: FreshHead::Refused,
            dropout: None,
            device: &Device::Cpu,
        })?
        .model;
        let logits = model.forward(&batch, &Pass::evaluate())?.0.to_vec2::<f32>()?;
        println!("arm {arm}: bright {:.3?}, dark {:.3?}", logits[0], logits[1]);
    }
    Ok(())
}
