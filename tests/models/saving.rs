//! What is saved is what was there.

use candle_core::Device;
use mmc_models::{
    CATALOG, CreateRequest, FreshHead, LoadRequest, Parameter, Pass, create, load, save,
};

use crate::fixture::{fixtures, logits, values};

#[test]
fn what_is_saved_is_loaded_bit_for_bit() {
    for fixture in fixtures() {
        let (model, name) = (fixture.model(), fixture.name());
        // Values that no initialisation gives, off the path too.
        for (index, parameter) in model.parameters().iter().enumerate() {
            let moved = (parameter.var.as_tensor() + 1e-3 * (index as f64 + 0.1)).unwrap();
            parameter.var.set(&moved).unwrap();
        }
        let copy = fixture.root.path().join("copy");
        for _ in 0..2 {
            // The second time it replaces the first.
            save(&*model, &fixture.folder(), &fixture.labels, fixture.preset.name, &copy).unwrap();
        }
        let again = fixture.load_from(&copy, None);
        for (a, b) in model.parameters().iter().zip(again.parameters()) {
            assert_eq!((&a.name, a.active, a.decay), (&b.name, b.active, b.decay));
            let bits = |parameter: &Parameter| -> Vec<u32> {
                values(&parameter.var).into_iter().map(f32::to_bits).collect()
            };
            assert_eq!(bits(a), bits(b), "{name}: {}", a.name);
        }
        let batch = fixture.batch();
        let (a, b) = (
            logits(&*model, &batch, &Pass::evaluate()),
            logits(&*again, &batch, &Pass::evaluate()),
        );
        assert_eq!(a, b, "{name}");
        // The arm is stored with the checkpoint.
        let labels = [];
        let stored = load(&LoadRequest {
            folder: &copy,
            labels: &labels,
            arm: None,
            head: None,
            fresh_head: FreshHead::Refused,
            dropout: None,
            device: &Device::Cpu,
        });
        let stored = stored.unwrap();
        assert_eq!((stored.model.arm(), stored.labels), (fixture.arm, fixture.labels));
        assert_eq!(Some(stored.model.head()), fixture.head);
    }
}

#[test]
fn the_same_seed_and_texts_make_the_same_files() {
    for preset in CATALOG.iter().filter(|preset| preset.tiny) {
        let root = tempfile::tempdir().unwrap();
        let labels = ["no".to_owned(), "yes".to_owned()];
        let make = |seed, name| {
            let folder = root.path().join(name);
            let texts = &["a red car", "a blue car"];
            let request =
                CreateRequest { preset, arm: None, head: None, texts, labels: &labels, seed };
            create(&request, &folder).unwrap();
            let mut files: Vec<_> =
                std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
            files.sort();
            files.into_iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>()
        };
        let first = make(1, "first");
        assert_eq!(first, make(1, "second"));
        assert_ne!(first, make(2, "third"));
    }
}
