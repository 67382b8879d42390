//! The suite over `CATALOG`: every row, in every arm, tiny or shrunk to the tiny size.
//!
//! A new model is covered by its row alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use candle_core::backprop::GradStore;
use candle_core::{Device, Var};
use candle_nn::{Optimizer, ParamsAdamW};
use mmc_data::{Arm, Sample};
use mmc_models::{
    CATALOG, Classifier, Encoded, FreshHead, LoadRequest, LoraSettings, ModelError, Parameter,
    Pass, Trained, load, save,
};
use mmc_ops::Gradients;
use mmc_preprocess::{Batch, Padding, collate};

#[path = "models/fixture.rs"]
mod fixture;
#[path = "models/recomputed.rs"]
mod recomputed;
#[path = "models/saving.rs"]
mod saving;

use fixture::{Fixture, fixtures, largest_difference, logits, loss, values};

/// f32 against f64 is 2e-6 for such models.
const ROUNDING: f32 = 1e-5;

#[test]
fn outputs_have_their_shapes() {
    for fixture in fixtures() {
        let (model, batch, name) = (fixture.model(), fixture.batch(), fixture.name());
        let output = model.forward(&batch, &Pass::evaluate()).unwrap().0;
        assert_eq!(output.dims(), [8, fixture.labels.len()], "{name}");
        let pooled = model.encode(&batch, &Pass::evaluate()).unwrap();
        let (rows, width) = pooled.dims2().unwrap();
        assert!(rows == 8 && width % 32 == 0, "{name}: {rows} by {width}");
        assert_eq!((model.arm(), model.classes()), (fixture.arm, fixture.labels.len()), "{name}");
        assert_eq!(model.image_tokens(32, 48) > 0, fixture.arm.uses_image(), "{name}");
        let reads_text = batch.text.is_some(); // ViLT does in every arm
        assert_eq!(model.flops(20.0, 10.0) > model.flops(10.0, 10.0), reads_text, "{name}");
        assert_eq!(
            model.flops(10.0, 20.0) > model.flops(10.0, 10.0),
            fixture.arm.uses_image(),
            "{name}"
        );
        assert!(model.flops(10.0, 10.0) > 10_000.0, "{name}");
        let mut names: Vec<&str> =
            model.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), model.parameters().len(), "{name}: a name stands for two");
    }
}

/// Weight decay is for matrices and vectors of tokens, not for biases and norms.
#[test]
fn biases_and_norms_do_not_decay() {
    for fixture in fixtures() {
        for Parameter { name, decay, .. } in fixture.model().parameters() {
            let is_norm = name.to_lowercase().contains("norm") || name.starts_with("classifier.1.");
            assert_eq!(*decay, !(is_norm || name.ends_with("bias")), "{name}");
        }
    }
}

#[test]
fn padding_and_batch_mates_change_no_logit() {
    for fixture in fixtures() {
        let (model, name) = (fixture.model(), fixture.name());
        let pass = Pass::evaluate();
        let together = logits(&*model, &fixture.batch(), &pass);
        let longest = fixture.processor.max_length().unwrap_or(0);
        let padded = logits(&*model, &fixture.batch_of(0..8, Padding::Max(longest)), &pass);
        assert!(largest_difference(&together, &padded) <= ROUNDING, "{name}: padding");
        let alone: Vec<f32> = (0..8)
            .flat_map(|row| {
                logits(&*model, &fixture.batch_of(row..row + 1, Padding::Longest), &pass)
            })
            .collect();
        assert!(largest_difference(&together, &alone) <= ROUNDING, "{name}: batch-mates");
    }
}

/// A text that is encoded once meets a picture that is encoded once as in a whole forward, its own
/// or another's; and only models that are shown both are cut there.
#[test]
fn pairs_meet_as_in_a_forward() {
    for fixture in fixtures() {
        let (model, name) = (fixture.model(), fixture.name());
        let Some(pairing) = model.pairing() else {
            assert_ne!(fixture.arm, Arm::Both, "{name}");
            continue;
        };
        assert_eq!(fixture.arm, Arm::Both, "{name}");
        let (first, second) =
            (fixture.batch_of(0..3, Padding::Longest), fixture.batch_of(3..8, Padding::Longest));
        let both = |encode: &dyn Fn(&Batch) -> Result<Encoded, ModelError>| {
            Encoded::cat(&[encode(&first).unwrap(), encode(&second).unwrap()]).unwrap()
        };
        let texts = both(&|batch| pairing.encode_texts(batch));
        let images = both(&|batch| pairing.encode_images(batch));
        assert_eq!((texts.rows(), images.rows()), (8, 8), "{name}");
        for shift in [0, 3] {
            let pairs: Vec<(usize, usize)> = (0..8).map(|row| (row, (row + shift) % 8)).collect();
            let found = values(&pairing.classify_pairs(&texts, &images, &pairs).unwrap().0);
            let examples: Vec<_> = pairs
                .iter()
                .map(|&(text, image)| {
                    let image = fixture.samples[image].image.clone();
                    let sample = Sample { image, ..fixture.samples[text].clone() };
                    fixture.processor.prepare(&sample).unwrap()
                })
                .collect();
            let batch = collate(&examples, Padding::Longest, fixture.processor.pad_id()).unwrap();
            let expected = logits(&*model, &batch, &Pass::evaluate());
            assert!(largest_difference(&found, &expected) <= ROUNDING, "{name}: shift {shift}");
        }
        assert!(pairing.classify_pairs(&texts, &images, &[(0, 8)]).is_err(), "{name}");
        let pair = pairing.pair_flops(10.0, 17.0);
        assert!(pair > 0.0 && pair < model.flops(10.0, 17.0), "{name}");
    }
}

/// Masks belong to the row of the step, so that cutting a step into shards changes nothing.
#[test]
fn shards_and_padding_change_no_dropout_mask() {
    for fixture in fixtures() {
        let model = fixture.load_from(&fixture.folder(), Some(0.2));
        let whole = logits(&*model, &fixture.batch(), &Pass::train(3, 7, 0));
        for cut in [1, 4, 7] {
            let parts = [(0, 0..cut), (cut, cut..8)];
            let shards: Vec<f32> = parts
                .into_iter()
                .flat_map(|(first, rows)| {
                    let batch = fixture.batch_of(rows, Padding::Longest);
                    logits(&*model, &batch, &Pass::train(3, 7, first))
                })
                .collect();
            let difference = largest_difference(&whole, &shards);
            assert!(difference <= ROUNDING, "{}: cut at {cut}: {difference}", fixture.name());
        }
    }
}

#[test]
fn gradients_reach_exactly_the_active_parameters() {
    for fixture in fixtures() {
        let (model, name) = (fixture.model(), fixture.name());
        let variables = model.parameters().iter().map(|parameter| parameter.var.as_tensor());
        let mut gradients = Gradients::of(variables);
        gradients.add(&loss(&*model, &fixture.batch())).unwrap();
        let off_path = (fixture.preset.off_path)(fixture.arm);
        for Parameter { name: parameter, var, active, .. } in model.parameters() {
            assert_eq!(
                *active,
                !off_path.iter().any(|part| parameter.starts_with(part)),
                "{name}: {parameter}"
            );
            match gradients.get(var) {
                Some(gradient) => {
                    assert!(active, "{name}: {parameter} gets a gradient and is listed as off");
                    // That of a key bias is zero but for rounding.
                    let is_zero = values(gradient).iter().all(|value| value.abs() < 1e-8);
                    let is_key =
                        parameter.ends_with("key.bias") || parameter.ends_with("k_proj.bias");
                    assert!(!is_zero || is_key, "{name}: the gradient of {parameter} is zero");
                }
                None => assert!(!active, "{name}: no gradient reaches {parameter}"),
            }
        }
        for listed in off_path {
            let exists =
                model.parameters().iter().any(|parameter| parameter.name.starts_with(listed));
            assert!(exists, "{name}: {listed} is listed as off and does not exist");
        }
    }
}

const LORA: LoraSettings = LoraSettings { rank: 4, alpha: 8.0, seed: 2 };

/// Whether a map is one that LoRA changes.
fn is_adapted(name: &str) -> bool {
    ["query.weight", "value.weight", "q_proj.weight", "v_proj.weight"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// Frozen: the head. LoRA: the head, and two matrices for each query and value map on the path.
#[test]
fn variants_train_exactly_their_part() {
    for fixture in fixtures() {
        let (whole, name) = (fixture.model(), fixture.name());
        for trained in [Trained::Head, Trained::Lora(LORA)] {
            let model = fixture.load_to_train(&fixture.folder(), None, trained);
            let gradients = loss(&*model, &fixture.batch()).backward().unwrap();
            let mut expected: Vec<String> = Vec::new();
            for Parameter { name, .. } in whole.parameters().iter().filter(|at| at.active) {
                if name.starts_with("classifier.") {
                    expected.push(name.clone());
                } else if is_adapted(name) && trained != Trained::Head {
                    let module = name.strip_suffix("weight").unwrap();
                    expected.extend(["A", "B"].map(|at| format!("{module}lora_{at}.weight")));
                }
            }
            let mut found: Vec<String> = Vec::new();
            for Parameter { name: parameter, var, active, .. } in model.parameters() {
                assert_eq!(gradients.get(var).is_some(), *active, "{name}: {parameter}");
                found.extend(active.then(|| parameter.clone()));
            }
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "{name}");
        }
    }
}

/// LoRA begins at the checkpoint's own function, learns, leaves the weights themselves alone, and is
/// the same function when merged.
#[test]
fn lora_learns_beside_the_weights_and_is_saved_merged() {
    for fixture in fixtures() {
        let (batch, name) = (fixture.batch(), fixture.name());
        let model = fixture.load_to_train(&fixture.folder(), None, Trained::Lora(LORA));
        let evaluate = |model: &dyn Classifier| logits(model, &batch, &Pass::evaluate());
        let begun = evaluate(&*fixture.model());
        assert_eq!(evaluate(&*model), begun, "{name}: B is 0");
        let active = model.parameters().iter().filter(|parameter| parameter.active);
        let variables = active.map(|parameter| parameter.var.clone()).collect();
        let settings = ParamsAdamW { lr: 1e-2, weight_decay: 0.0, ..ParamsAdamW::default() };
        let mut optimizer = candle_nn::AdamW::new(variables, settings).unwrap();
        for _ in 0..10 {
            optimizer.step(&loss(&*model, &batch).backward().unwrap()).unwrap();
        }
        let learned = evaluate(&*model);
        assert!(largest_difference(&learned, &begun) > 1e-2, "{name}");
        let folder = fixture.root.path().join("merged");
        save(&*model, &fixture.folder(), &fixture.labels, fixture.preset.name, &folder).unwrap();
        let merged = fixture.load_from(&folder, None);
        let difference = largest_difference(&evaluate(&*merged), &learned);
        assert!(difference <= ROUNDING, "{name}: {difference}");
        let whole = fixture.model();
        for (after, before) in merged.parameters().iter().zip(whole.parameters()) {
            assert_eq!(after.name, before.name);
            let changed = values(&after.var) != values(&before.var);
            let adapted = before.active && is_adapted(&before.name);
            let trains = adapted || before.name.starts_with("classifier.");
            assert_eq!(changed, trains, "{name}: {}", before.name);
            let frozen = model.parameters().iter().find(|at| at.name == before.name).unwrap();
            let kept = values(&frozen.var) == values(&before.var);
            assert!(kept || frozen.active, "{name}: {} is frozen", before.name);
        }
    }
}

/// The head alone on representations is the tail of the whole forward, dropout included.
#[test]
fn a_head_apart_drops_what_it_drops_in_the_whole() {
    for fixture in fixtures() {
        let name = fixture.name();
        let folder = fixture.folder();
        let model = fixture.load_to_train(&folder, Some(0.3), Trained::Head);
        let pooled = model.encode(&fixture.batch(), &Pass::evaluate()).unwrap();
        let classify = |first: usize, rows: usize| {
            let pooled = pooled.narrow(0, first, rows).unwrap();
            values(&model.classify(&pooled, &Pass::train(3, 7, first)).unwrap().0)
        };
        let apart = [classify(0, 3), classify(3, 5)].concat();
        assert!(largest_difference(&apart, &classify(0, 8)) <= ROUNDING, "{name}");
        let plain = values(&model.classify(&pooled, &Pass::evaluate()).unwrap().0);
        assert_eq!(plain, logits(&*model, &fixture.batch(), &Pass::evaluate()), "{name}");
    }
}

/// `layers` + 1 − depth, counted from names alone; FLAVA's multimodal encoder is above its towers.
#[test]
fn every_parameter_lies_on_its_level() {
    for fixture in fixtures() {
        let model = fixture.load_to_train(&fixture.folder(), None, Trained::Lora(LORA));
        let names: Vec<&str> = model.parameters().iter().map(|at| at.name.as_str()).collect();
        let place = |name: &str| -> Option<(String, usize)> {
            let (tower, rest) = name.split_once(".encoder.layer")?;
            let layer = rest.trim_start_matches('s').trim_start_matches('.').split('.').next()?;
            Some((tower.to_owned(), layer.parse().ok()?))
        };
        let layers = |tower: &str| {
            let of_tower = names.iter().filter_map(|name| place(name)).filter(|at| at.0 == tower);
            of_tower.map(|at| at.1 + 1).max().unwrap_or(0)
        };
        let flava = fixture.preset.architecture == "flava";
        let carried = layers("multimodal_model"); // 0 but for FLAVA
        for parameter in model.parameters() {
            let name = parameter.name.as_str();
            let tower = name.split_once('.').map_or("", |at| at.0);
            let above = if flava && tower != "multimodal_model" { carried } else { 0 };
            let expected = if let Some((tower, layer)) = place(name) {
                above + layers(&tower) - layer
            } else if name.contains("embeddings.") || name.contains("pre_layrnorm") {
                above + layers(tower) + 1
            } else if name.contains("_to_mm_") || name.ends_with(".cls_token") {
                carried + 1
            } else {
                0
            };
            assert_eq!(parameter.below_head, expected, "{}: {name}", fixture.name());
        }
    }
}

#[test]
fn one_batch_is_learned_by_heart_and_every_active_parameter_changes() {
    for fixture in fixtures() {
        let (model, batch, name) = (fixture.model(), fixture.batch(), fixture.name());
        let before: Vec<Vec<f32>> =
            model.parameters().iter().map(|parameter| values(&parameter.var)).collect();
        let active = model.parameters().iter().filter(|parameter| parameter.active);
        let variables: Vec<Var> = active.map(|parameter| parameter.var.clone()).collect();
        let mut sums = Gradients::of(variables.iter().map(Var::as_tensor));
        let settings = ParamsAdamW { lr: 5e-3, weight_decay: 0.0, ..ParamsAdamW::default() };
        let mut optimizer = candle_nn::AdamW::new(variables.clone(), settings).unwrap();
        let first = loss(&*model, &batch).to_scalar::<f32>().unwrap();
        for _ in 0..60 {
            sums.reset();
            sums.add(&loss(&*model, &batch)).unwrap();
            let mut gradients = GradStore::default();
            for variable in &variables {
                gradients.insert(variable, sums.get(variable).unwrap().clone());
            }
            optimizer.step(&gradients).unwrap();
        }
        let last = loss(&*model, &batch).to_scalar::<f32>().unwrap();
        assert!(last < 0.05 * first, "{name}: the loss went from {first} to {last}");
        for (parameter, before) in model.parameters().iter().zip(before) {
            let changed = values(&parameter.var) != before;
            assert_eq!(changed, parameter.active, "{name}: {}", parameter.name);
        }
    }
}

#[test]
fn dropout_acts_in_training_only() {
    for fixture in fixtures() {
        let (batch, name) = (fixture.batch(), fixture.name());
        let plain = fixture.load_from(&fixture.folder(), Some(0.0));
        let dropping = fixture.load_from(&fixture.folder(), Some(0.3));
        let expected = logits(&*plain, &batch, &Pass::evaluate());
        assert_eq!(logits(&*dropping, &batch, &Pass::evaluate()), expected, "{name}");
        assert_eq!(logits(&*plain, &batch, &Pass::train(1, 1, 0)), expected, "{name}");
        let trained = |seed, step| logits(&*dropping, &batch, &Pass::train(seed, step, 0));
        assert_eq!(trained(1, 1), trained(1, 1), "{name}: the same step twice");
        assert!(largest_difference(&trained(1, 1), &expected) > 1e-3, "{name}: nothing dropped");
        assert_ne!(trained(1, 1), trained(1, 2), "{name}: two steps");
        assert_ne!(trained(1, 1), trained(2, 1), "{name}: two seeds");
    }
}

#[test]
fn what_a_batch_lacks_is_named() {
    for fixture in fixtures() {
        let (model, name) = (fixture.model(), fixture.name());
        let error = |batch: &Batch| model.forward(batch, &Pass::evaluate()).unwrap_err();
        if fixture.batch().text.is_some() {
            let no_text = error(&Batch { text: None, ..fixture.batch() });
            let is_named = matches!(no_text, ModelError::NoInput { input: "text", .. });
            assert!(is_named, "{name}: {no_text}");
            // Padding costs nothing, however long; a text has to fit.
            let mut long = fixture.batch_of(0..1, Padding::Max(1000));
            assert!(model.forward(&long, &Pass::evaluate()).is_ok(), "{name}");
            if let Some(text) = &mut long.text {
                text.lengths = vec![1000];
            }
            let long = error(&long);
            assert!(matches!(long, ModelError::TooLong { tokens: 1000, .. }), "{name}: {long}");
        }
        if fixture.arm.uses_image() {
            let blind = error(&Batch { image: None, ..fixture.batch() });
            assert!(matches!(blind, ModelError::NoInput { input: "picture", .. }), "{name}");
        }
    }
}

#[test]
fn an_arm_that_a_model_lacks_is_a_usage_error() {
    for preset in CATALOG {
        let fixture = Fixture::new(preset, preset.default_arm(), None);
        for arm in [Arm::Both, Arm::Text, Arm::Image] {
            let loaded = load(&LoadRequest {
                folder: &fixture.folder(),
                labels: &fixture.labels,
                arm: Some(arm),
                head: None,
                fresh_head: FreshHead::Allowed { seed: 0 }, // an arm may have its own
                dropout: None,
                device: &Device::Cpu,
            });
            match loaded {
                Ok(_) => assert!(preset.arms.contains(&arm), "{}: {arm}", preset.name),
                Err(error) => {
                    assert!(!preset.arms.contains(&arm), "{}: {error}", preset.name);
                    assert!(matches!(error, ModelError::Arm { .. }) && error.is_usage());
                }
            }
        }
    }
}
