//! Pictures that are changed in every epoch: training sees it, and nothing else decides what it sees.

use std::fs;

use mmc_data::demo::{DemoSet, Format, Truth, write};
use mmc_run::{Augment, Freeze, PartialSettings, RunFolder};
use mmc_train::{Outcome, resolve};

use crate::bench::Bench;

/// Pictures with captions, 48 of them to train on, and what a run on them asks for.
fn captioned() -> (Bench, impl Fn(&mut PartialSettings)) {
    let folder = tempfile::tempdir().unwrap();
    let set =
        DemoSet { train: 48, dev: 24, test: 24, ..DemoSet::of(Format::Table, Truth::Image, 5) };
    write(&set, &folder.path().join("table")).unwrap();
    let root = folder.path().join("table").display().to_string();
    let asked = move |asked: &mut PartialSettings| {
        asked.model = Some("vilt-tiny".to_owned());
        asked.dataset = Some("table".to_owned());
        asked.data_root = Some(root.clone());
        asked.epochs = Some(2);
        asked.augment = Some(Augment::Light);
    };
    (Bench { root: folder.path().to_owned(), _owned: Some(folder) }, asked)
}

#[test]
fn changed_pictures_do_not_depend_on_workers_or_interruptions() {
    let (bench, light) = captioned();
    let whole = bench.run("whole", &light);
    for workers in [0, 4] {
        let run = bench.run(&format!("workers{workers}"), |asked| {
            light(asked);
            asked.workers = Some(workers);
        });
        run.assert_same(&whole, "workers");
    }
    let plan = bench.plan(&light);
    for steps in [1, 2, 1] {
        let outcome = bench.sit(&plan, "stopped", Some(steps));
        assert!(matches!(outcome, Outcome::Interrupted { .. }), "{outcome:?}");
    }
    bench.sit(&plan, "stopped", None);
    bench.remains("stopped").assert_same(&whole, "stopped");

    let plain = bench.run("plain", |asked| {
        light(asked);
        asked.augment = None;
    });
    assert_ne!(plain.steps[0][1].to_bits(), whole.steps[0][1].to_bits(), "training sees changes");
    let other = bench.run("other", |asked| {
        light(asked);
        asked.augment = Some(Augment::LightFlip);
    });
    assert_ne!(other.steps[0][1].to_bits(), whole.steps[0][1].to_bits(), "and which they are");
}

#[test]
fn a_run_records_its_augmentation_and_goes_on_with_no_other() {
    let (bench, light) = captioned();
    bench.sit(&bench.plan(&light), "run", Some(1));
    let folder = RunFolder::open(&bench.out("run")).unwrap();
    let config = fs::read_to_string(folder.config_path()).unwrap();
    assert!(config.contains("augment = \"light\""), "{config}");
    let other = bench.plan(|asked| {
        light(asked);
        asked.augment = Some(Augment::None);
    });
    let differences = folder.config().unwrap().obstacles(&other.config()).unwrap();
    assert!(differences.iter().any(|line| format!("{line:?}").contains("augment")));
}

#[test]
fn where_augmentation_can_do_nothing_that_is_said() {
    let (bench, light) = captioned();
    let text = bench.plan(|asked| {
        light(asked);
        asked.model = Some("bert-tiny".to_owned());
    });
    let said = "`--augment light` has no effect: the arm `text` sees no pictures";
    assert!(text.notes.iter().any(|note| note == said), "{:?}", text.notes);
    let mut asked = bench.asked();
    light(&mut asked);
    asked.freeze = Some(Freeze::Backbone);
    let error = resolve(PartialSettings::default(), asked).unwrap_err();
    assert!(error.is_usage(), "{error}");
    assert!(error.to_string().contains("leave one of the two out"), "{error}");
}

/// Neither a new folder of pictures, nor one that is there, nor a damaged one; with changed pictures
/// and without.
#[test]
fn a_picture_cache_changes_no_byte() {
    let (bench, light) = captioned();
    let cache = bench.root.join("cache");
    for augment in [None, Some(Augment::Light)] {
        let asked = |asked: &mut PartialSettings| {
            light(asked);
            asked.augment = augment;
        };
        let whole = bench.run(&format!("whole {augment:?}"), asked);
        let cached = |name: &str| {
            bench.run(&format!("{name} {augment:?}"), |all| {
                asked(all);
                all.picture_cache = Some(cache.display().to_string());
            })
        };
        cached("new").assert_same(&whole, "new");
        cached("there").assert_same(&whole, "there");
        let mut entries = 0;
        for folder in fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()) {
            for file in
                fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path())
            {
                entries += 1;
                let bytes = fs::read(&file).unwrap();
                fs::write(&file, &bytes[..bytes.len() - entries % 3]).unwrap();
            }
        }
        assert!(entries >= 96, "{entries}: a picture of each item");
        cached("damaged").assert_same(&whole, "damaged");
    }
}
