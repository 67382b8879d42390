//! Gradient checkpointing changes no bit, of any model.

use mmc_models::{Classifier, LoraSettings, Pass, Trained};
use mmc_ops::{Gradients, Objective, Targets, with_composed_forms};
use mmc_preprocess::Batch;

use crate::fixture::{fixtures, values};

/// The loss and the gradient of each active parameter in a training step with dropout.
fn gradients(model: &dyn Classifier, batch: &Batch, layers: usize) -> (f32, Vec<Vec<f32>>) {
    let Some(mmc_preprocess::Targets::Classes(classes)) = &batch.targets else {
        panic!("the fixture is labelled");
    };
    let active: Vec<_> = model.parameters().iter().filter(|one| one.active).collect();
    let mut gradients = Gradients::of(active.iter().map(|one| one.var.as_tensor()));
    let objective = Objective::CrossEntropy { class_weights: None, label_smoothing: 0.1 };
    let mut sum = 0.0;
    for first_row in [0, 8] {
        let pass = Pass::train(5, 3, first_row).recomputing(layers);
        let logits = model.forward(batch, &pass).unwrap().0;
        let loss = objective.loss_sum(&logits, &Targets::Classes(classes)).unwrap();
        gradients.add(&loss).unwrap();
        assert_eq!(gradients.unreached(), None);
        sum += loss.to_scalar::<f32>().unwrap();
    }
    (sum, (0..active.len()).map(|at| values(gradients.sum(at).unwrap())).collect())
}

#[test]
fn recomputed_layers_give_the_same_gradients() {
    for fixture in fixtures() {
        let (batch, name) = (fixture.batch(), fixture.name());
        let lora = Trained::Lora(LoraSettings { rank: 2, alpha: 4.0, seed: 1 });
        for trained in [Trained::Everything, lora] {
            let model = fixture.load_to_train(&fixture.folder(), Some(0.2), trained);
            let plain = gradients(&*model, &batch, 0);
            for layers in [1, usize::MAX] {
                assert!(gradients(&*model, &batch, layers) == plain, "{name}: {layers} layers");
            }
        }
    }
}

/// The reference forms, which other devices and types use, are recomputed as well.
#[test]
fn recomputed_composed_forms_give_the_same_gradients() {
    for fixture in fixtures().filter(|fixture| fixture.head.is_some()).step_by(5) {
        let (batch, name) = (fixture.batch(), fixture.name());
        let model = fixture.load_to_train(&fixture.folder(), Some(0.2), Trained::Everything);
        let on = |layers| with_composed_forms(|| gradients(&*model, &batch, layers));
        assert!(on(usize::MAX) == on(0), "{name}");
    }
}
