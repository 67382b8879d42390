//! Every row of the catalogue as a small model with data.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use mmc_data::{Arm, ReadOptions, Sample, dataset};
use mmc_models::{
    CATALOG, Classifier, CreateRequest, FreshHead, LoadRequest, Loaded, Pass, Preset, Trained,
    create, load_to_train,
};
use mmc_ops::{Objective, Targets};
use mmc_preprocess::{Batch, Padding, Processor, collate};

/// A model of a row, made from scratch and loaded for one arm.
pub(crate) struct Fixture {
    pub(crate) preset: &'static Preset,
    pub(crate) arm: Arm,
    pub(crate) head: Option<&'static str>,
    pub(crate) labels: Vec<String>,
    /// Kept until the end of the test, since it holds the checkpoint.
    pub(crate) root: tempfile::TempDir,
    pub(crate) processor: Processor,
    pub(crate) samples: Vec<Sample>,
}

impl Fixture {
    pub(crate) fn new(preset: &'static Preset, arm: Arm, head: Option<&'static str>) -> Self {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/models/data");
        let split = dataset("table").unwrap().read(&data, "train", &ReadOptions::default());
        let split = split.unwrap();
        let texts: Vec<&str> = split.iter().map(|sample| sample.text.as_str()).collect();
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("initial");
        let request = CreateRequest {
            preset: &Preset { tiny: true, ..*preset },
            arm: Some(arm),
            head,
            texts: &texts,
            labels: &split.labels,
            seed: 1,
        };
        create(&request, &folder).unwrap();
        let processor = Processor::from_folder(&folder, arm).unwrap();
        let samples = split.samples[..8].to_vec();
        Self { preset, arm, head, labels: split.labels, root, processor, samples }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.root.path().join("initial")
    }

    pub(crate) fn load_from(&self, folder: &Path, dropout: Option<f64>) -> Box<dyn Classifier> {
        self.load_to_train(folder, dropout, Trained::Everything)
    }

    pub(crate) fn load_to_train(
        &self,
        folder: &Path,
        dropout: Option<f64>,
        trained: Trained,
    ) -> Box<dyn Classifier> {
        let request = LoadRequest {
            folder,
            labels: &self.labels,
            arm: Some(self.arm),
            head: None,
            fresh_head: FreshHead::Refused,
            dropout,
            device: &Device::Cpu,
        };
        let Loaded { model, report, preset, .. } = load_to_train(&request, trained).unwrap();
        assert_eq!(preset, self.preset.name);
        let own = model.parameters().iter().filter(|parameter| !parameter.name.contains(".lora_"));
        assert_eq!(report.taken.len(), own.count(), "{report}");
        assert!(report.dropped.is_empty() && report.left_over.is_empty(), "{report}");
        model
    }

    pub(crate) fn model(&self) -> Box<dyn Classifier> {
        self.load_from(&self.folder(), None)
    }

    pub(crate) fn batch_of(&self, rows: std::ops::Range<usize>, padding: Padding) -> Batch {
        let examples: Vec<_> = self.samples[rows]
            .iter()
            .map(|sample| self.processor.prepare(sample).unwrap())
            .collect();
        collate(&examples, padding, self.processor.pad_id()).unwrap()
    }

    pub(crate) fn batch(&self) -> Batch {
        self.batch_of(0..self.samples.len(), Padding::Longest)
    }

    pub(crate) fn name(&self) -> String {
        let head = self.head.unwrap_or("default");
        format!("{}, arm {}, head {head}", self.preset.name, self.arm)
    }
}

/// Every row in every arm with every head.
pub(crate) fn fixtures() -> impl Iterator<Item = Fixture> {
    CATALOG.iter().flat_map(|row| {
        let heads = row.heads();
        row.arms.iter().flat_map(move |&arm| {
            heads.clone().into_iter().map(move |head| Fixture::new(row, arm, Some(head)))
        })
    })
}

pub(crate) fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

pub(crate) fn logits(model: &dyn Classifier, batch: &Batch, pass: &Pass) -> Vec<f32> {
    values(&model.forward(batch, pass).unwrap().0)
}

pub(crate) fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

pub(crate) fn loss(model: &dyn Classifier, batch: &Batch) -> Tensor {
    let logits = model.forward(batch, &Pass::train(0, 1, 0)).unwrap().0;
    let Some(mmc_preprocess::Targets::Classes(classes)) = &batch.targets else {
        panic!("the fixture is labelled");
    };
    Objective::CrossEntropy { class_weights: None, label_smoothing: 0.0 }
        .loss_sum(&logits, &Targets::Classes(classes))
        .unwrap()
}
