//! Which values settings can have.

use super::{PartialSettings, Settings};
use crate::choice::{Augment, Freeze, LossScale};

/// Tokens of the shortest text that has a token of its own between the two special ones.
const SHORTEST_TEXT: usize = 3;
/// Far more threads than a machine has cores.
const MOST_WORKERS: usize = 1024;
/// What TOML can hold.
const LARGEST: &str = "at most 9223372036854775807";

/// Notes that something does not hold: whether it does, the setting, its value, what is expected.
type Check<'a> = &'a mut dyn FnMut(bool, &str, String, &str);

impl Settings {
    /// Values that cannot be, in words.
    pub(super) fn impossible(&self) -> Vec<String> {
        let mut problems = Vec::new();
        self.check_figures(&mut |holds, name, value, expected| {
            if !holds {
                problems.push(format!("`{name}` is `{value}`, expected {expected}"));
            }
        });
        problems
    }

    fn check_figures(&self, check: Check<'_>) {
        let counts = [
            ("epochs", self.epochs),
            ("batch_size", self.batch_size as u64),
            ("grad_accumulation", self.grad_accumulation as u64),
            ("shard_rows", self.shard_rows as u64),
            ("max_length", self.max_length as u64),
            ("max_steps", self.max_steps.unwrap_or(1)),
            ("early_stopping", self.early_stopping.unwrap_or(1)),
            ("lora_rank", self.lora_rank.unwrap_or(1) as u64),
            ("save_every", self.save_every.unwrap_or(1)),
            ("keep_states", self.keep_states as u64),
            ("picture_cache_gib", self.picture_cache_gib),
        ];
        for (name, count) in counts {
            check(count > 0, name, count.to_string(), "at least 1");
        }
        let whole = counts.into_iter().chain([("seed", self.seed)]);
        for (name, count) in whole {
            check(i64::try_from(count).is_ok(), name, count.to_string(), LARGEST);
        }
        let (batch, accumulation) = (self.batch_size, self.grad_accumulation);
        check(
            batch.checked_mul(accumulation).is_some_and(|items| i64::try_from(items).is_ok()),
            "batch_size` × `grad_accumulation",
            format!("{batch} × {accumulation}"),
            LARGEST,
        );
        let (length, workers) = (self.max_length, self.workers);
        check(
            length == 0 || length >= SHORTEST_TEXT,
            "max_length",
            length.to_string(),
            "at least 3: the two special tokens and one of the text",
        );
        check(workers <= MOST_WORKERS, "workers", workers.to_string(), "at most 1024");
        for (name, value) in [("learning_rate", self.learning_rate), ("clip_norm", self.clip_norm)]
        {
            check(value > 0.0 && value.is_finite(), name, value.to_string(), "a number above 0");
        }
        let decay = self.weight_decay;
        check(
            decay >= 0.0 && decay.is_finite(),
            "weight_decay",
            decay.to_string(),
            "0 or a number above",
        );
        let parts = [
            ("warmup_ratio", self.warmup_ratio, 1.0),
            ("label_smoothing", self.label_smoothing, 1.0),
            ("dropout", self.dropout.unwrap_or(0.0), 1.0),
        ];
        for (name, value, below) in parts {
            let fits = (0.0..below).contains(&value) || (name == "warmup_ratio" && value <= below);
            check(fits && value >= 0.0, name, value.to_string(), "a part between 0 and 1");
        }
        if let Some(labels) = &self.labels {
            let mut sorted = labels.clone();
            sorted.sort();
            sorted.dedup();
            let distinct = sorted.len() == labels.len() && labels.len() > 1;
            check(distinct, "labels", labels.join(","), "two or more different names");
        }
        self.check_variant(check);
        self.check_precision(check);
    }

    /// The type of products, and what goes with it.
    fn check_precision(&self, check: Check<'_>) {
        let Some(scale) = self.loss_scale else { return };
        if let LossScale::Fixed(number) = scale {
            let fits = number > 0.0 && number <= f64::from(f32::MAX);
            check(fits, "loss_scale", number.to_string(), "`dynamic` or a number above 0");
        }
        let has_precision = self.precision.is_some();
        let expected = "no value without `precision` `bf16` or `f16`; set that too";
        check(has_precision, "loss_scale", scale.to_string(), expected);
    }

    /// What of the model trains, and how fast.
    fn check_variant(&self, check: Check<'_>) {
        let decay = self.layer_decay;
        let expected = "a number above 0 and at most 1";
        check(decay > 0.0 && decay <= 1.0, "layer_decay", decay.to_string(), expected);
        if let Some(alpha) = self.lora_alpha {
            let value = alpha.to_string();
            check(
                alpha > 0.0 && alpha.is_finite(),
                "lora_alpha",
                value.clone(),
                "a number above 0",
            );
            let has_rank = self.lora_rank.is_some();
            check(has_rank, "lora_alpha", value, "no value without `lora_rank`; set that too");
        }
        if self.freeze == Freeze::Backbone {
            check_frozen(self.lora_rank, self.augment, check);
        }
    }
}

impl PartialSettings {
    /// What cannot be set together, in words, whatever the settings that are still open.
    #[must_use]
    pub fn contradictions(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.freeze == Some(Freeze::Backbone) {
            let augment = self.augment.filter(|&augment| augment != Augment::None);
            check_frozen(self.lora_rank, augment, &mut |_, name, value, expected| {
                problems.push(format!("`{name}` is `{value}`, expected {expected}"));
            });
        }
        problems
    }
}

/// What a frozen backbone excludes.
fn check_frozen(lora_rank: Option<usize>, augment: Option<Augment>, check: Check<'_>) {
    if let Some(rank) = lora_rank {
        let expected = "no value with `freeze` `backbone`: LoRA trains changes inside the backbone, \
                        which is then computed once; leave one of the two out";
        check(false, "lora_rank", rank.to_string(), expected);
    }
    if let Some(augment) = augment {
        let expected = "no value with `freeze` `backbone`: augmentation changes a picture in every \
                        epoch, and the backbone is computed once; leave one of the two out";
        check(false, "augment", augment.to_string(), expected);
    }
}
