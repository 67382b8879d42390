//! Towers of CLIP that transformers saved alone: what they load as, and what they are saved as.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use mmc_data::{Arm, ImageSource, Sample};
use mmc_models::{FreshHead, LoadRequest, Loaded, ModelError, Pass, arms_of, load, save};
use mmc_preprocess::{Batch, Padding, Processor, collate};
use serde_json::Value;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/models/clip")
}

fn loaded(folder: &Path, arm: Option<Arm>, fresh_head: FreshHead) -> Result<Loaded, ModelError> {
    let (labels, device) = (&["no".to_owned(), "yes".to_owned()], &Device::Cpu);
    load(&LoadRequest { folder, labels, arm, head: None, fresh_head, dropout: None, device })
}

const FRESH: FreshHead = FreshHead::Allowed { seed: 1 };

/// The tower of an arm as transformers 5 saves it: with a projection under the names of the whole,
/// without one under names that do not say which tower it is.
fn alone(arm: Arm, with_projection: bool) -> tempfile::TempDir {
    let (tower, projection, config) = match arm {
        Arm::Text => ("text_model.", "text_projection.weight", "text_config"),
        _ => ("vision_model.", "visual_projection.weight", "vision_config"),
    };
    let folder = tempfile::tempdir().unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"] {
        fs::copy(fixture().join(file), folder.path().join(file)).unwrap();
    }
    let whole: Value =
        serde_json::from_slice(&fs::read(fixture().join("config.json")).unwrap()).unwrap();
    let mut own = whole[config].clone();
    own["projection_dim"] = whole["projection_dim"].clone();
    own["model_type"] = format!("clip_{}", tower.replace('.', "")).into();
    fs::write(folder.path().join("config.json"), own.to_string()).unwrap();
    let weights = fixture().join("model.safetensors");
    let weights = candle_core::safetensors::load(weights, &Device::Cpu).unwrap();
    let named = weights.into_iter().filter_map(|(name, tensor)| {
        let name = if with_projection {
            (name.starts_with(tower) || name == projection).then_some(name)
        } else {
            name.strip_prefix(tower).map(str::to_owned)
        };
        Some((name?, tensor))
    });
    let named: HashMap<String, Tensor> = named.collect();
    candle_core::safetensors::save(&named, folder.path().join("model.safetensors")).unwrap();
    folder
}

fn batch(folder: &Path, arm: Arm) -> Batch {
    let processor = Processor::from_folder(folder, arm).unwrap();
    let picture = fixture().join("../data/img/test0.png");
    let sample = Sample {
        id: "1".to_owned(),
        text: "a good day".to_owned(),
        image: Some(ImageSource::File(picture)),
        target: None,
        group: None,
    };
    collate(&[processor.prepare(&sample).unwrap()], Padding::Longest, processor.pad_id()).unwrap()
}

fn feature(model: &Loaded, batch: &Batch) -> Vec<Vec<f32>> {
    model.model.encode(batch, &Pass::evaluate()).unwrap().to_vec2().unwrap()
}

#[test]
fn a_tower_alone_gives_the_features_of_the_whole() {
    for arm in [Arm::Text, Arm::Image] {
        let folder = alone(arm, true);
        assert_eq!(arms_of(folder.path()).unwrap(), [arm]);
        let tower = loaded(folder.path(), None, FRESH).unwrap();
        assert_eq!(tower.model.arm(), arm, "the arm that is there");
        assert!(tower.report.fresh.iter().all(|name| name.starts_with("classifier.")));
        assert!(tower.report.left_over.is_empty() && tower.report.dropped.is_empty());
        let whole = loaded(&fixture(), Some(arm), FRESH).unwrap();
        let input = batch(folder.path(), arm);
        assert_eq!(input.ids, batch(&fixture(), arm).ids);
        assert_eq!(feature(&tower, &input), feature(&whole, &batch(&fixture(), arm)), "{arm}");
        let other = if arm == Arm::Text { "v" } else { "text_" };
        let names = || tower.model.parameters().iter().map(|parameter| &parameter.name);
        assert!(names().all(|name| !name.starts_with(other) && name != "logit_scale"));
    }
}

#[test]
fn another_arm_than_the_one_that_is_there_is_refused() {
    for (arm, other) in [(Arm::Text, Arm::Image), (Arm::Image, Arm::Text), (Arm::Text, Arm::Both)] {
        let error = loaded(alone(arm, true).path(), Some(other), FRESH).err().unwrap();
        assert!(error.is_usage());
        let text = error.to_string();
        assert!(text.contains("ModelWithProjection` model has no arm `"), "{text}");
        assert!(text.ends_with(&format!("no arm `{other}`, expected `{arm}`")), "{text}");
    }
}

#[test]
fn a_projection_that_is_missing_is_made_in_training_alone() {
    for (arm, projection) in [(Arm::Text, "text_projection"), (Arm::Image, "visual_projection")] {
        let folder = alone(arm, false);
        let projection = format!("{projection}.weight");
        let made = loaded(folder.path(), None, FRESH).unwrap();
        assert!(made.report.fresh.contains(&projection), "{:?}", made.report.fresh);
        assert!(made.report.taken.iter().all(|name| name.contains("_model.")));
        // With a head beside it, the projection is what is missing.
        let labels = ["no", "yes"].map(str::to_owned);
        let saved = tempfile::tempdir().unwrap();
        let saved = saved.path().join("saved");
        save(made.model.as_ref(), folder.path(), &labels, "clip-tiny", &saved).unwrap();
        fs::copy(folder.path().join("model.safetensors"), saved.join("model.safetensors")).unwrap();
        let error = loaded(&saved, None, FreshHead::Refused).err().unwrap().to_string();
        assert!(error.contains(&projection), "{error}");
    }
}

#[test]
fn a_tower_is_saved_as_what_it_was() {
    for arm in [Arm::Text, Arm::Image] {
        for with_projection in [true, false] {
            let folder = alone(arm, with_projection);
            let before = loaded(folder.path(), Some(arm), FRESH).unwrap();
            let labels = ["no", "yes"].map(str::to_owned);
            let place = tempfile::tempdir().unwrap();
            let saved = place.path().join("saved");
            save(before.model.as_ref(), folder.path(), &labels, "clip-tiny", &saved).unwrap();
            let read = |folder: &Path| -> Value {
                serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap()
            };
            assert_eq!(read(&saved)["model_type"], read(folder.path())["model_type"]);
            let class = read(&saved)["architectures"][0].as_str().unwrap().to_owned();
            assert!(class.ends_with("ModelWithProjection"), "{class}");
            let after = loaded(&saved, None, FreshHead::Refused).unwrap();
            assert!(after.report.fresh.is_empty(), "{:?}", after.report.fresh);
            let logits = |model: &Loaded| {
                let logits = model.model.forward(&batch(&saved, arm), &Pass::evaluate());
                logits.unwrap().0.to_vec2::<f32>().unwrap()
            };
            assert_eq!(logits(&before), logits(&after), "{arm}");
        }
    }
}
