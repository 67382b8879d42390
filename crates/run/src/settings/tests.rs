use super::*;

fn asked() -> PartialSettings {
    PartialSettings {
        model: Some("bert-tiny".to_owned()),
        dataset: Some("table".to_owned()),
        data_root: Some("data/emoji".to_owned()),
        checkpoint: Some("none".to_owned()),
        arm: Some(Arm::Text),
        head: Some("linear".to_owned()),
        max_length: Some(32),
        ..PartialSettings::default()
    }
}

#[test]
fn the_defaults_are_those_of_the_training_semantics() {
    let settings = asked().resolve().unwrap();
    assert_eq!(
        (settings.epochs, settings.batch_size, settings.shard_rows, settings.seed),
        (10, 16, 8, 0)
    );
    assert!((settings.learning_rate - 2e-5).abs() < 1e-12);
    assert_eq!((settings.keep, settings.schedule), (Keep::Best, Schedule::Linear));
    assert_eq!((settings.keep_states, settings.workers), (2, 2));
    let stepped = PartialSettings { max_steps: Some(50), ..asked() }.resolve().unwrap();
    assert_eq!(stepped.keep, Keep::Last);
}

#[test]
fn the_upper_layer_wins_where_it_speaks() {
    let preset = PartialSettings { epochs: Some(3), seed: Some(1), ..asked() };
    let flags = PartialSettings { epochs: Some(5), ..PartialSettings::default() };
    let settings = preset.merge(flags).resolve().unwrap();
    assert_eq!((settings.epochs, settings.seed), (5, 1));
}

#[test]
fn everything_missing_and_everything_impossible_is_named() {
    let message = PartialSettings::default().resolve().unwrap_err().to_string();
    assert_eq!(message.lines().count(), 7);
    assert!(message.contains("`data_root` is not set; give `--data-root`"), "{message}");

    let wrong = PartialSettings {
        batch_size: Some(0),
        learning_rate: Some(f64::NAN),
        dropout: Some(1.0),
        warmup_ratio: Some(-0.1),
        ..asked()
    };
    let message = wrong.resolve().unwrap_err().to_string();
    assert_eq!(message.lines().count(), 4, "{message}");
    assert!(message.contains("`batch_size` is `0`, expected at least 1"), "{message}");
}

#[test]
fn figures_that_no_machine_can_count_to_are_named() {
    let message = |asked: PartialSettings| asked.resolve().unwrap_err().to_string();
    let product = PartialSettings {
        batch_size: Some(99_999_999_999_999),
        grad_accumulation: Some(99_999_999_999),
        ..asked()
    };
    assert_eq!(
        message(product),
        "`batch_size` × `grad_accumulation` is `99999999999999 × 99999999999`, expected at most \
         9223372036854775807"
    );
    let seed = message(PartialSettings { seed: Some(u64::MAX), ..asked() });
    assert!(seed.starts_with("`seed` is `18446744073709551615`, expected at most"), "{seed}");
    let workers = message(PartialSettings { workers: Some(usize::MAX), ..asked() });
    assert!(workers.ends_with("expected at most 1024"), "{workers}");
}

#[test]
fn a_text_has_room_for_a_token_of_its_own() {
    for tokens in [1, 2] {
        let asked = PartialSettings { max_length: Some(tokens), ..asked() };
        let message = asked.resolve().unwrap_err().to_string();
        assert!(message.starts_with("`max_length` is") && message.contains("at least 3"));
    }
    PartialSettings { max_length: Some(3), ..asked() }.resolve().unwrap();
}

#[test]
fn only_what_can_change_the_result_differs() {
    let ours = asked().resolve().unwrap();
    let theirs = Settings {
        workers: 7,
        save_every: Some(3),
        data_root: "elsewhere".to_owned(),
        seed: 4,
        dropout: Some(0.1),
        ..ours.clone()
    };
    let names: Vec<String> =
        ours.differences(&theirs).unwrap().into_iter().map(|at| at.name).collect();
    assert_eq!(names, ["dropout", "seed"]);
    assert_ne!(ours.hash().unwrap(), theirs.hash().unwrap());
    let moved = Settings { data_root: "elsewhere".to_owned(), ..ours.clone() };
    assert_eq!(ours.hash().unwrap(), moved.hash().unwrap());
}

#[test]
fn variants_of_training_that_contradict_each_other_are_named() {
    let message = |asked: PartialSettings| asked.resolve().unwrap_err().to_string();
    let both = PartialSettings { freeze: Some(Freeze::Backbone), lora_rank: Some(8), ..asked() };
    let said = message(both);
    assert!(said.starts_with("`lora_rank` is `8`, expected no value with `freeze`"), "{said}");
    let said = message(PartialSettings { lora_rank: Some(0), ..asked() });
    assert_eq!(said, "`lora_rank` is `0`, expected at least 1");
    let said = message(PartialSettings { lora_alpha: Some(8.0), ..asked() });
    assert_eq!(said, "`lora_alpha` is `8`, expected no value without `lora_rank`; set that too");
    let frozen = |augment| PartialSettings {
        freeze: Some(Freeze::Backbone),
        augment: Some(augment),
        ..asked()
    };
    let said = message(frozen(Augment::Light));
    assert!(said.starts_with("`augment` is `light`, expected no value with `freeze`"), "{said}");
    assert_eq!(frozen(Augment::None).resolve().unwrap().augment, None);
    for decay in [0.0, -0.5, 1.1, f64::NAN] {
        let said = message(PartialSettings { layer_decay: Some(decay), ..asked() });
        assert!(said.ends_with("expected a number above 0 and at most 1"), "{said}");
    }
    let settings = PartialSettings { lora_rank: Some(4), ..asked() }.resolve().unwrap();
    assert_eq!((settings.lora_alpha, settings.freeze), (Some(8.0), Freeze::None));
    assert!((settings.layer_decay - 1.0).abs() < f64::EPSILON);
}

#[test]
fn half_precision_scales_the_loss_unless_told_otherwise() {
    let resolved = |asked: PartialSettings| {
        let settings = asked.resolve().unwrap();
        (settings.precision, settings.loss_scale)
    };
    let with = |precision| PartialSettings { precision: Some(precision), ..asked() };
    assert_eq!(resolved(asked()), (None, None));
    assert_eq!(resolved(with(Precision::F32)), (None, None));
    assert_eq!(resolved(with(Precision::Bf16)), (Some(Precision::Bf16), None));
    let dynamic = Some(LossScale::Dynamic);
    assert_eq!(resolved(with(Precision::F16)), (Some(Precision::F16), dynamic));
    let fixed = Some(LossScale::Fixed(8.0));
    let told = PartialSettings { loss_scale: fixed, ..with(Precision::F16) };
    assert_eq!(resolved(told), (Some(Precision::F16), fixed));

    let message = |asked: PartialSettings| asked.resolve().unwrap_err().to_string();
    let said = message(PartialSettings { loss_scale: fixed, ..asked() });
    assert!(
        said.starts_with("`loss_scale` is `8`, expected no value without `precision`"),
        "{said}"
    );
    let none = PartialSettings { loss_scale: Some(LossScale::Fixed(0.0)), ..with(Precision::F16) };
    assert!(message(none).contains("`loss_scale` is `0`"));
}
