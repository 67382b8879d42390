//! Runs of which a part trains: a frozen backbone is as if it were computed each time, LoRA leaves
//! an adapter, and neither depends on what may not matter.

use std::fs;

use candle_core::{Device, Tensor};
use mmc_data::{ReadOptions, dataset};
use mmc_models::{FreshHead, LoadRequest, LoraSettings, Parameter, Pass, Trained, load_to_train};
use mmc_ops::{Gradients, Objective, Targets};
use mmc_preprocess::{Order, Padding, Processor, collate};
use mmc_run::{Freeze, PartialSettings, RunFolder};
use mmc_train::{AdamW, AdamWSettings, Cut, Outcome, Schedule, StepPlan, resolve, sum_of_squares};

use crate::bench::{Bench, Remains};
use crate::told;

/// A pretrained stand-in: a run of all parameters, whose checkpoint the variants begin with.
fn pretrained(bench: &Bench) -> String {
    bench.run("pretrained", |asked| asked.epochs = Some(3));
    bench.out("pretrained").join("checkpoint").display().to_string()
}

fn frozen(asked: &mut PartialSettings) {
    asked.freeze = Some(Freeze::Backbone);
    asked.learning_rate = Some(1e-2);
}

fn lora(asked: &mut PartialSettings) {
    asked.lora_rank = Some(4);
    asked.learning_rate = Some(1e-2);
}

/// The losses of a run whose backbone is computed in every step, in evaluation mode.
fn naive_losses(bench: &Bench, folder: &str, shard_rows: usize) -> Vec<f64> {
    let asked = bench.asked();
    let split =
        dataset("table").unwrap().read(&bench.root, "train", &ReadOptions::default()).unwrap();
    let request = LoadRequest {
        folder: folder.as_ref(),
        labels: &split.labels,
        arm: None,
        head: None,
        fresh_head: FreshHead::Refused,
        dropout: asked.dropout,
        device: &Device::Cpu,
    };
    let model = load_to_train(&request, Trained::Head).unwrap().model;
    let processor = Processor::from_folder(folder.as_ref(), model.arm()).unwrap();
    let parameters: Vec<&Parameter> = model.parameters().iter().filter(|at| at.active).collect();
    let mut optimizer = AdamW::new(&parameters, AdamWSettings::with_weight_decay(0.01)).unwrap();
    let cut = Cut { items_per_step: 16, shard_rows };
    let steps = StepPlan::of_epochs(4, split.len(), cut, Order::Shuffled { seed: 3 });
    let schedule = Schedule::new(1e-2, 0.1, steps.steps(), mmc_run::Schedule::Linear);
    let objective = Objective::CrossEntropy { class_weights: None, label_smoothing: 0.0 };
    let mut gradients = Gradients::of(parameters.iter().map(|at| at.var.as_tensor()));
    let mut losses = Vec::new();
    for step in 1..=steps.steps() {
        let (mut first, mut sum) = (0, 0.0);
        gradients.reset();
        for shard in &steps.rest_of_epoch(step)[0] {
            let examples: Vec<_> =
                shard.iter().map(|&at| processor.prepare(&split.samples[at]).unwrap()).collect();
            let batch = collate(&examples, Padding::Longest, processor.pad_id()).unwrap();
            let Some(mmc_preprocess::Targets::Classes(classes)) = &batch.targets else { panic!() };
            let pooled = model.encode(&batch, &Pass::evaluate()).unwrap();
            let logits = model.classify(&pooled, &Pass::train(3, step, first)).unwrap();
            let loss = objective.loss_sum(&logits.0, &Targets::Classes(classes)).unwrap();
            gradients.add(&loss).unwrap();
            sum += f64::from(loss.to_scalar::<f32>().unwrap());
            first += shard.len();
        }
        let sums: Vec<Tensor> =
            (0..parameters.len()).map(|at| gradients.sum(at).unwrap().clone()).collect();
        let norm = sums.iter().map(|at| sum_of_squares(at).unwrap()).sum::<f64>().sqrt();
        let items = first as f64;
        let scale = (1.0 / (norm / items + 1e-6)).min(1.0) / items;
        optimizer.step(&parameters, &sums, schedule.rate(step), scale).unwrap();
        losses.push(sum / items);
    }
    losses
}

#[test]
fn a_frozen_backbone_computed_once_is_one_computed_each_time() {
    let bench = Bench::new();
    let checkpoint = pretrained(&bench);
    for shard_rows in [8, 3] {
        let remains = bench.run(&format!("frozen{shard_rows}"), |asked| {
            frozen(asked);
            asked.checkpoint = Some(checkpoint.clone());
            asked.shard_rows = Some(shard_rows);
        });
        let losses = naive_losses(&bench, &checkpoint, shard_rows);
        assert_eq!(remains.steps.len(), losses.len());
        for (step, expected) in remains.steps.iter().zip(losses) {
            let error = (step[1] - expected).abs() / expected;
            assert!(error < 1e-5, "step {}: {} for {expected}", step[0], step[1]);
        }
    }
}

#[test]
fn variants_change_no_byte_where_nothing_may() {
    let bench = Bench::new();
    let checkpoint = pretrained(&bench);
    for (name, variant) in [("frozen", frozen as fn(&mut PartialSettings)), ("lora", lora)] {
        let asked = |asked: &mut PartialSettings| {
            variant(asked);
            asked.checkpoint = Some(checkpoint.clone());
        };
        let whole = bench.run(name, asked);
        let run = |what: &str, change: fn(&mut PartialSettings)| {
            bench.run(&format!("{name}-{what}"), |all| {
                asked(all);
                change(all);
            })
        };
        run("alone", |asked| asked.workers = Some(0)).assert_same(&whole, name);
        run("four", |asked| asked.workers = Some(4)).assert_same(&whole, name);
        let accumulated = run("accumulated", |asked| {
            asked.batch_size = Some(8);
            asked.grad_accumulation = Some(2);
        });
        accumulated.assert_same(&whole, name);
        let stopped = format!("{name}-stopped");
        let plan = bench.plan(asked);
        for steps in [1, 4, 2, 3] {
            let outcome = bench.sit(&plan, &stopped, Some(steps));
            assert!(matches!(outcome, Outcome::Interrupted { .. }), "{outcome:?}");
        }
        bench.sit(&plan, &stopped, None);
        bench.remains(&stopped).assert_same(&whole, &stopped);
    }
}

#[test]
fn what_a_variant_costs_and_leaves_is_said() {
    let bench = Bench::new();
    let checkpoint = pretrained(&bench);
    let cost = |name: &str| RunFolder::open(&bench.out(name)).unwrap().cost().unwrap();
    let all = cost("pretrained");
    assert_eq!(all.parameters, all.trainable_parameters);
    for (name, variant) in [("frozen", frozen as fn(&mut PartialSettings)), ("lora", lora)] {
        bench.run(name, |asked| {
            variant(asked);
            asked.checkpoint = Some(checkpoint.clone());
        });
        assert_eq!(cost(name).parameters, all.parameters, "{name}: LoRA is merged");
    }
    // Two classes on 32 numbers; and four maps of 32 × 32, each with two matrices of rank 4.
    let head = 2 * 32 + 2;
    assert_eq!(cost("frozen").trainable_parameters, head);
    assert_eq!(cost("lora").trainable_parameters, head + 4 * 2 * 4 * 32);
    let states = bench.out("frozen").join("state");
    let newest = fs::read_dir(states).unwrap().next().unwrap().unwrap().path();
    let saved = candle_core::safetensors::load(newest.join("parameters.safetensors"), &Device::Cpu);
    assert_eq!(saved.unwrap().len(), 2, "a state holds what trains");

    let adapter = bench.out("lora").join("checkpoint/adapter");
    let config = fs::read(adapter.join("adapter_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["base_model_name_or_path"], checkpoint.as_str());
    assert_eq!(config["target_modules"], serde_json::json!(["query", "value"]));
    assert_eq!((&config["r"], &config["lora_alpha"]), (&4.into(), &8.0.into()));
    assert!(!bench.out("frozen").join("checkpoint/adapter").exists());
}

#[test]
fn cut_and_skipped_items_of_a_frozen_run_are_counted_as_of_any() {
    let bench = Bench::new();
    let short = |asked: &mut PartialSettings| asked.max_length = Some(6);
    bench.run("plain", short);
    let plan = bench.plan(|asked| {
        frozen(asked);
        short(asked);
    });
    bench.sit(&plan, "frozen", Some(2));
    let (outcome, words) = told(&plan, &bench.out("frozen"));
    outcome.unwrap();
    let cost = |name: &str| RunFolder::open(&bench.out(name)).unwrap().cost().unwrap();
    assert!(cost("plain").cut_texts["train"] > 0);
    assert_eq!(cost("frozen").cut_texts, cost("plain").cut_texts);
    assert_eq!(words.iter().filter(|said| said.contains("texts of `train`")).count(), 1);
    assert!(plan.notes.iter().any(|note| note.contains("begins from scratch")));
}

#[test]
fn variants_that_make_no_sense_are_refused_and_those_without_effect_noted() {
    let bench = Bench::new();
    let mut asked = bench.asked();
    frozen(&mut asked);
    lora(&mut asked);
    let error = resolve(PartialSettings::default(), asked).unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("leave one of the two out"), "{error}");

    let plan = bench.plan(|asked| {
        frozen(asked);
        asked.layer_decay = Some(0.8);
    });
    assert!(plan.notes.iter().any(|note| note.starts_with("`--layer-decay 0.8` has no effect")));

    let plan = bench.plan(|asked| asked.lora_rank = Some(33));
    let expected = LoraSettings { rank: 33, alpha: 66.0, seed: 3 };
    assert_eq!(plan.trained(), Trained::Lora(expected));
    let (outcome, _) = told(&plan, &bench.out("wide"));
    let error = outcome.unwrap_err();
    assert!(error.is_usage() && error.to_string().contains("expected 1 to 32"), "{error}");
    assert!(!bench.out("wide").exists(), "a folder made for it goes with it");
}

#[test]
fn lower_layers_learn_slower_where_rates_decay() {
    let bench = Bench::new();
    let plain = bench.run("plain", |_| ());
    let one = bench.run("one", |asked| asked.layer_decay = Some(1.0));
    one.assert_same(&plain, "1 is none");
    let slow = bench.run("slow", |asked| asked.layer_decay = Some(1e-4));
    let rates = |remains: &Remains| remains.steps.iter().map(|at| at[3]).collect::<Vec<f64>>();
    assert_eq!(rates(&slow), rates(&plain), "the rate that is recorded is the head's");
    let moved = |run: &str| {
        let read = |folder: &str| {
            let path = bench.out(run).join(folder).join("model.safetensors");
            candle_core::safetensors::load(path, &Device::Cpu).unwrap()
        };
        let (before, after) = (read("initial"), read("checkpoint"));
        let name = "bert.encoder.layer.0.output.dense.weight";
        let difference = (&after[name] - &before[name]).unwrap().sqr().unwrap();
        difference.sum_all().unwrap().to_scalar::<f32>().unwrap()
    };
    assert!(moved("slow") < 1e-6 * moved("plain"), "{} {}", moved("slow"), moved("plain"));
}
