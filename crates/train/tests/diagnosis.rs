//! Changed inputs and pairs through real models.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail as tests do")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use candle_core::Device;
use mmc_data::{Arm, Sample, Split, demo};
use mmc_models::{Classifier, FreshHead, LoadRequest};
use mmc_preprocess::Processor;
use mmc_run::{
    DIAGNOSIS_METHOD, Diagnosis, DiagnosisSource, PartialSettings, Predictions, RunFolder,
};
use mmc_train::{
    Diagnosing, Intervention, Modality, PredictOptions, TrainError, diagnose, partners, predict,
    resolve, train,
};

/// Sums in f32 depend on what is computed together.
const ROUNDING: f32 = 1e-4;

/// A model that was trained for an epoch on 24 memes, and 12 to look at.
struct Fixture {
    model: Box<dyn Classifier>,
    processor: Arc<Processor>,
    split: Arc<Split>,
    options: PredictOptions,
    _root: tempfile::TempDir,
}

impl Fixture {
    fn new(model: &str, arm: Arm, head: Option<&str>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        let truth = demo::Truth::Interaction;
        let set = demo::DemoSet { train: 24, dev: 8, test: 12, ..demo::DemoSet::new(truth, 1) };
        demo::write(&set, &data).unwrap();
        let asked = PartialSettings {
            model: Some(model.to_owned()),
            dataset: Some("hateful_memes".to_owned()),
            data_root: Some(data.display().to_string()),
            arm: Some(arm),
            head: head.map(str::to_owned),
            epochs: Some(1),
            batch_size: Some(8),
            ..PartialSettings::default()
        };
        let plan = resolve(PartialSettings::default(), asked).unwrap();
        let folder = RunFolder::create(&root.path().join("run")).unwrap();
        train(&plan, &folder, &AtomicBool::new(false), &mut |_| ()).unwrap();
        let (model, processor) = open(&folder.checkpoint(), arm, plan.classes());
        let options = PredictOptions::new(plan.classes().to_vec());
        Self { model, processor, split: plan.test.clone().unwrap(), options, _root: root }
    }

    fn predict(&self, split: &Arc<Split>, intervention: Intervention) -> Predictions {
        let options = PredictOptions { intervention, ..self.options.clone() };
        let model = self.model.as_ref();
        predict(model, &self.processor, split, &options, &mut |_| ()).unwrap().predictions
    }

    /// The split with its samples changed by hand.
    fn changed(&self, change: impl Fn(usize, &Sample) -> Sample) -> Arc<Split> {
        let samples = self.split.iter().enumerate().map(|(item, own)| change(item, own)).collect();
        Arc::new(Split { samples, ..Split::clone(&self.split) })
    }

    fn diagnose(&self, grid_items: Option<usize>) -> Result<Diagnosis, Box<TrainError>> {
        let source = DiagnosisSource {
            method: DIAGNOSIS_METHOD,
            checkpoint: "c".to_owned(),
            split: "test_unseen".to_owned(),
            fingerprint: self.split.fingerprint(),
            seed: 5,
            permutations: 2,
            grid_items,
        };
        let (mut notes, mut pairs) = (0, Vec::new());
        let tell = &mut |at: Diagnosing<'_>| match at {
            Diagnosing::Part { what: "pairs", done, of } => pairs.push((done, of)),
            Diagnosing::Note(_) => notes += 1,
            _ => {}
        };
        let model = self.model.as_ref();
        let found = diagnose(model, &self.processor, &self.split, &self.options, source, tell)
            .map_err(Box::new)?;
        let of = found.additive.pairs;
        assert_eq!((notes, pairs.last()), (1, Some(&(of, of))));
        assert!(pairs.is_sorted(), "{pairs:?}");
        Ok(found)
    }
}

fn open(folder: &Path, arm: Arm, labels: &[String]) -> (Box<dyn Classifier>, Arc<Processor>) {
    let loaded = mmc_models::load(&LoadRequest {
        folder,
        labels,
        arm: Some(arm),
        head: None,
        fresh_head: FreshHead::Refused,
        dropout: None,
        device: &Device::Cpu,
    });
    let processor = Processor::from_folder(folder, arm).unwrap();
    (loaded.unwrap().model, Arc::new(processor))
}

fn logits(rows: &Predictions) -> Vec<Vec<f32>> {
    rows.rows.iter().map(|row| row.logits.clone().unwrap()).collect()
}

fn largest_difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn inputs_are_exchanged_and_blanked_as_if_by_hand() {
    let fixture = Fixture::new("vilt-tiny", Arm::Both, None);
    let plain = fixture.predict(&fixture.split, Intervention::None);
    for modality in [Modality::Text, Modality::Image] {
        let shuffled = Intervention::Shuffled { modality, seed: 3, permutation: 2 };
        let given = partners(&fixture.split, shuffled).unwrap();
        let by_hand = fixture.changed(|item, own| {
            let other = &fixture.split.samples[given[item]];
            match modality {
                Modality::Text => Sample { text: other.text.clone(), ..own.clone() },
                Modality::Image => Sample { image: other.image.clone(), ..own.clone() },
            }
        });
        let found = fixture.predict(&fixture.split, shuffled);
        assert_eq!(found, fixture.predict(&by_hand, Intervention::None));
        assert!(largest_difference(&logits(&found), &logits(&plain)) > ROUNDING);
        let names = |rows: &Predictions| -> Vec<(String, Option<String>)> {
            rows.rows.iter().map(|row| (row.id.clone(), row.label.clone())).collect()
        };
        assert_eq!(names(&found), names(&plain), "ids and labels stay");
    }
    let no_text = fixture.changed(|_, own| Sample { text: String::new(), ..own.clone() });
    let blank = fixture.predict(&fixture.split, Intervention::Blank(Modality::Text));
    assert_eq!(blank, fixture.predict(&no_text, Intervention::None));
    // With blank pictures it does not matter whose they were; all have one size here.
    let image = fixture.split.samples[0].image.clone();
    let one_picture = fixture.changed(|_, own| Sample { image: image.clone(), ..own.clone() });
    let blank = Intervention::Blank(Modality::Image);
    let found = fixture.predict(&fixture.split, blank);
    assert_eq!(found, fixture.predict(&one_picture, blank));
    assert!(largest_difference(&logits(&found), &logits(&plain)) > ROUNDING);
}

#[test]
fn what_a_model_is_not_shown_cannot_be_changed_or_diagnosed() {
    let fixture = Fixture::new("vilt-tiny", Arm::Text, None);
    let intervention = Intervention::Blank(Modality::Image);
    let options = PredictOptions { intervention, ..fixture.options.clone() };
    let model = fixture.model.as_ref();
    let error = predict(model, &fixture.processor, &fixture.split, &options, &mut |_| ());
    let error = error.unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("no picture"), "{error}");
    let error = fixture.diagnose(None).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("--arm both"), "{error}");
}

/// A head that is linear in two towers has no interaction; the others have.
#[test]
fn the_additive_part_of_a_linear_head_is_the_model() {
    for (model, head, is_additive) in [
        ("clip-tiny", Some("linear"), true),
        ("clip-tiny", Some("fused"), false),
        ("flava-tiny", None, false),
        ("vilt-tiny", None, false),
    ] {
        let fixture = Fixture::new(model, Arm::Both, head);
        let found = fixture.diagnose(None).unwrap();
        assert_eq!(found.additive.grids, [12], "{model}: few enough for one grid");
        assert_eq!((found.items.len(), found.shuffled.image.len()), (12, 2));
        let plain = fixture.predict(&fixture.split, Intervention::None);
        assert_eq!(found.plain, logits(&plain));
        let seed = found.source.seed;
        let first = Intervention::Shuffled { modality: Modality::Text, seed, permutation: 1 };
        assert_eq!(found.shuffled.text[0], logits(&fixture.predict(&fixture.split, first)));
        assert_ne!(found.shuffled.text[0], found.shuffled.text[1]);
        let (full, additive) = found.grid_predictions();
        let difference = largest_difference(&logits(&full), &logits(&additive));
        let shares = found.additive.interaction_share.iter().flatten().flatten();
        let share = shares.copied().fold(0.0, f64::max);
        assert_eq!(difference < ROUNDING, is_additive, "{model} {head:?}: {difference}");
        assert_eq!(share < 1e-9, is_additive, "{model} {head:?}: {share}");
    }
}

#[test]
fn subsets_hold_as_many_items_as_asked_for() {
    let fixture = Fixture::new("clip-tiny", Arm::Both, None);
    let found = fixture.diagnose(Some(3)).unwrap();
    assert_eq!((found.additive.grids.as_slice(), found.additive.pairs), (&[3, 3, 3][..], 27));
    assert_eq!((found.additive.items.len(), found.additive.logits.len()), (9, 9));
    assert!(found.additive.pair_cost < 0.1, "a pair costs a head: {}", found.additive.pair_cost);
    // Every item is in two of three grids of eight: its logits are the mean of both.
    let found = fixture.diagnose(Some(8)).unwrap();
    assert_eq!((found.additive.grids.len(), found.additive.items.len()), (3, 12));
    assert!(found.additive.items.is_sorted());
}
