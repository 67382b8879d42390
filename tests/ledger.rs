//! The gain ledger on generated sets whose truth is known: the gain is where the generator put it.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on stops")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use candle_core::Device;
use mmc_data::demo::{DemoSet, Truth, write};
use mmc_data::{Arm, Split};
use mmc_metrics::metric;
use mmc_models::{FreshHead, LoadRequest, load};
use mmc_preprocess::Processor;
use mmc_report::{DiagnosisFiles, DiagnosisTerms, LedgerPart, ModelDiagnosis, diagnosis};
use mmc_run::{DIAGNOSIS_METHOD, Diagnosis, DiagnosisSource, PartialSettings, RunFolder};
use mmc_train::{Plan, PredictOptions, diagnose, resolve, train};

/// A run of one model on a set, with the defaults of its preset.
fn run(data: &Path, (model, arm, head): (&str, Arm, Option<&str>)) -> (Plan, RunFolder) {
    let asked = PartialSettings {
        model: Some(model.to_owned()),
        dataset: Some("hateful_memes".to_owned()),
        data_root: Some(data.display().to_string()),
        arm: Some(arm),
        head: head.map(str::to_owned),
        dropout: Some(0.0),
        ..PartialSettings::default()
    };
    let plan = resolve(PartialSettings::default(), asked).unwrap();
    let name = format!("{model}-{arm}-{}", head.unwrap_or("default"));
    let folder = RunFolder::create(&data.join("runs").join(name)).unwrap();
    train(&plan, &folder, &AtomicBool::new(false), &mut |_| ()).unwrap();
    (plan, folder)
}

fn diagnosed(plan: &Plan, folder: &RunFolder) -> Diagnosis {
    let checkpoint = folder.checkpoint();
    let loaded = load(&LoadRequest {
        folder: &checkpoint,
        labels: plan.classes(),
        arm: None,
        head: None,
        fresh_head: FreshHead::Refused,
        dropout: None,
        device: &Device::Cpu,
    });
    let model = loaded.unwrap().model;
    let processor = Arc::new(Processor::from_folder(&checkpoint, Arm::Both).unwrap());
    let split: Arc<Split> = plan.test.clone().unwrap();
    let source = DiagnosisSource {
        method: DIAGNOSIS_METHOD,
        checkpoint: String::new(),
        split: split.name.to_string(),
        fingerprint: split.fingerprint(),
        seed: 0,
        permutations: 5,
        grid_items: None,
    };
    let options = PredictOptions::new(plan.classes().to_vec());
    diagnose(model.as_ref(), &processor, &split, &options, source, &mut |_| ()).unwrap()
}

/// The ledger of CLIP with one seed of each arm, over BERT.
fn ledger(truth: Truth, head: Option<&str>) -> ModelDiagnosis {
    let root = tempfile::tempdir().unwrap();
    let set = DemoSet { train: 3000, dev: 100, test: 600, ..DemoSet::new(truth, 4) };
    write(&set, root.path()).unwrap();
    let test = |(_, folder): (Plan, RunFolder)| folder.predictions("test_unseen").unwrap();
    let (plan, folder) = run(root.path(), ("clip-tiny", Arm::Both, head));
    let text_arm = test(run(root.path(), ("clip-tiny", Arm::Text, head)));
    let text_model = test(run(root.path(), ("bert-tiny", Arm::Text, None)));
    let terms = DiagnosisTerms {
        model: "clip-tiny",
        text_model: "bert-tiny",
        metric: metric("auroc").unwrap(),
        positive: None,
        margin: 0.05,
    };
    let diagnoses = [&diagnosed(&plan, &folder)];
    let files =
        DiagnosisFiles { diagnoses: &diagnoses, text_arm: &[text_arm], text_model: &[text_model] };
    let found = diagnosis(&terms, &files).unwrap();
    eprintln!("{truth} {head:?}: {:#?}", found.reading);
    assert_eq!((found.ledger_items, found.scope), (600, "this checkpoint"), "{truth}");
    let parts = &found.ledger;
    let sum: f64 = [&parts.backbone, &parts.additive, &parts.interaction]
        .map(|at| at.estimate.unwrap())
        .iter()
        .sum();
    let total = parts.total.estimate.unwrap();
    assert!((sum - total).abs() < 1e-12, "{truth}: {sum} and {total}");
    assert!((total - found.gain_on_all_items.unwrap()).abs() < 1e-9, "{truth}: all items meet");
    found
}

/// Whether a part's interval lies above zero, and that it is large; else that it is small.
fn assert_part(truth: Truth, name: &str, part: &LedgerPart, is_there: bool) {
    let (estimate, at) = (part.estimate.unwrap(), part.interval.unwrap());
    if is_there {
        assert!(estimate > 0.3 && at.low > 0.2, "{truth}: {name} {estimate} {at:?}");
    } else {
        assert!(estimate.abs() < 0.1, "{truth}: {name} {estimate} {at:?}");
    }
}

#[test]
fn the_gain_is_where_the_generator_put_it() {
    for (truth, additive, interaction) in [
        (Truth::Interaction, false, true),
        (Truth::Image, true, false),
        (Truth::Text, false, false),
        (Truth::Redundant, false, false),
        (Truth::None, false, false),
    ] {
        let found = ledger(truth, None);
        assert_part(truth, "backbone", &found.ledger.backbone, false);
        assert_part(truth, "additive", &found.ledger.additive, additive);
        assert_part(truth, "interaction", &found.ledger.interaction, interaction);
        let drop = found.drop;
        let relies = |drop: mmc_report::ScoreDrop| drop.interval.low > 0.05;
        match truth {
            Truth::Interaction => assert!(relies(drop.text) && relies(drop.image)),
            Truth::Image => assert!(!relies(drop.text) && relies(drop.image)),
            Truth::Text => assert!(relies(drop.text) && !relies(drop.image)),
            // Whether a picture that repeats the text is used is the model's choice.
            Truth::Redundant => assert!(relies(drop.text) || relies(drop.image)),
            Truth::None => assert!(!relies(drop.text) && !relies(drop.image)),
        }
    }
}

/// The negative control: two towers under a linear head cannot express an interaction.
#[test]
fn a_linear_head_has_no_interaction() {
    let found = ledger(Truth::Interaction, Some("linear"));
    let at = found.ledger.interaction.estimate.unwrap();
    assert!(at.abs() < 1e-3, "{at}");
    assert!(found.interaction_share.unwrap() < 1e-9, "{:?}", found.interaction_share);
    assert!(found.score < 0.6, "{}", found.score);
}
