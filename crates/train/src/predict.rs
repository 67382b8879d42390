//! A split through a model: [`predict`] to classes, [`embed`] to vectors.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::Arc;

use candle_core::{DType, Tensor};
use mmc_data::{OnBadItem, Split, Task};
use mmc_models::{Classifier, Pass};
use mmc_ops::without_gradient;
use mmc_preprocess::{Batch, Loader, LoaderOptions, Padding, Processor, Targets};
use mmc_run::{Prediction, Predictions};

use crate::{Intervention, TrainError};

/// How a split is taken through a model. Make one with [`PredictOptions::new`] and change what
/// differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PredictOptions {
    /// The names of the classes, or the answers, in the order of the model's logits.
    pub classes: Vec<String>,
    /// What a row of the result is: a class with all probabilities, or an answer with the few that
    /// are most probable.
    pub task: Task,
    /// Rows of one forward.
    pub rows: usize,
    /// How far texts are padded.
    pub padding: Padding,
    /// Threads that prepare batches beside the one that computes; 0: none.
    pub workers: usize,
    /// What to do with an item that cannot be prepared. With [`OnBadItem::Skip`] the result has
    /// fewer rows than the split.
    pub on_bad_item: OnBadItem,
    /// What is done to the inputs first.
    pub intervention: Intervention,
}

impl PredictOptions {
    /// Eight rows a forward, padded to the longest, prepared by two threads; bad items are errors,
    /// and nothing is done to the inputs.
    #[must_use]
    pub fn new(classes: Vec<String>) -> Self {
        Self {
            classes,
            task: Task::Classes,
            rows: 8,
            padding: Padding::Longest,
            workers: 2,
            on_bad_item: OnBadItem::Error,
            intervention: Intervention::None,
        }
    }

    pub(crate) fn loader(&self) -> LoaderOptions {
        loader_options(self.workers, self.padding, self.on_bad_item)
    }
}

/// What a model says about a split, and what of the split it did not see.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// A row for each item that could be prepared.
    pub predictions: Predictions,
    /// Texts that were longer than the processor's limit, so that the model saw their beginning.
    pub cut_texts: usize,
    /// Ids of the items that could not be prepared and were left out.
    pub skipped: Vec<String>,
}

/// What a user should know of items that were left out of a split of so many; nothing is said of none.
#[must_use]
pub fn skipped_warning(split: &str, ids: &[String], items: usize) -> Option<String> {
    let shown: Vec<String> = ids.iter().take(5).map(|id| format!("`{id}`")).collect();
    let more = if ids.len() > shown.len() { ", …" } else { "" };
    (!ids.is_empty()).then(|| {
        let (count, shown) = (ids.len(), shown.join(", "));
        format!(
            "{count} of {items} items of `{split}` cannot be used and were skipped: {shown}{more}; \
             `mmc data check` says why"
        )
    })
}

/// Vectors of some items.
#[derive(Clone, Debug)]
pub struct Embeddings {
    /// Texts that were longer than the processor's limit, so that the model saw their beginning.
    pub cut_texts: usize,
    /// The id of each row.
    pub ids: Vec<String>,
    /// `[rows, width]`, f32.
    pub rows: Tensor,
}

/// The predictions of a model on every item of a split, in its order. `progress` is told how many
/// items are done.
///
/// Probabilities are the softmax of the logits in f64 (of answers, the logistic function of each);
/// the predicted class is that of the highest logit, the first on ties.
///
/// # Errors
/// What reading and preparing an item or the forward returns; logits that are not finite, with
/// the item's id; an intervention on what the model is not shown, or that leaves an item without a
/// partner.
pub fn predict(
    model: &dyn Classifier,
    processor: &Arc<Processor>,
    split: &Arc<Split>,
    options: &PredictOptions,
    progress: &mut dyn FnMut(usize),
) -> Result<Predicted, TrainError> {
    let goes_on = &mut |done| {
        progress(done);
        ControlFlow::<Infallible>::Continue(())
    };
    let ControlFlow::Continue(found) = predict_until(model, processor, split, options, goes_on)?;
    Ok(found)
}

/// As [`predict`], unless `progress`, told after each forward how many items are done, ends it: then
/// what it breaks with is all that is left. A break after the last item comes too late to end anything.
///
/// # Errors
/// As [`predict`].
pub fn predict_until<B>(
    model: &dyn Classifier,
    processor: &Arc<Processor>,
    split: &Arc<Split>,
    options: &PredictOptions,
    progress: &mut dyn FnMut(usize) -> ControlFlow<B>,
) -> Result<ControlFlow<B, Predicted>, TrainError> {
    let mut rows = Vec::with_capacity(split.len());
    let mut cut_texts = 0;
    let mut teller = RowTeller::new(split, options);
    let mut loader = batches(processor, split, options)?;
    let mut broken = None;
    while let Some(batch) = loader.next() {
        if let Some(broken) = broken {
            return Ok(ControlFlow::Break(broken));
        }
        let batch = batch?;
        cut_texts += loader.cut_texts();
        let logits = without_gradient(|| model.forward(&batch, &Pass::evaluate()))?;
        let logits = logits.0.to_vec2::<f32>()?;
        for (row, logits) in logits.into_iter().enumerate() {
            rows.push(teller.row(&batch, row, logits)?);
        }
        broken = progress(rows.len()).break_value();
    }
    let predictions = Predictions { classes: teller.classes(), rows };
    let skipped = loader.skipped().to_vec();
    Ok(ControlFlow::Continue(Predicted { predictions, cut_texts, skipped }))
}

/// What a model makes of every item of a split before its head, in the split's order. `progress`
/// is told how many items are done.
///
/// # Errors
/// As [`predict`]; an empty split.
pub fn embed(
    model: &dyn Classifier,
    processor: &Arc<Processor>,
    split: &Arc<Split>,
    options: &PredictOptions,
    progress: &mut dyn FnMut(usize),
) -> Result<Embeddings, TrainError> {
    let mut ids = Vec::with_capacity(split.len());
    let mut parts = Vec::new();
    let mut cut_texts = 0;
    let mut loader = batches(processor, split, options)?;
    while let Some(batch) = loader.next() {
        let mut batch = batch?;
        cut_texts += loader.cut_texts();
        let pooled = without_gradient(|| model.encode(&batch, &Pass::evaluate()))?; // [batch, width]
        parts.push(pooled.detach().to_dtype(DType::F32)?.to_device(&candle_core::Device::Cpu)?);
        ids.append(&mut batch.ids);
        progress(ids.len());
    }
    if parts.is_empty() {
        let problem = format!("{}: there is no item to embed", split.path.display());
        return Err(TrainError::setting("input", problem));
    }
    Ok(Embeddings { cut_texts, ids, rows: Tensor::cat(&parts, 0)? })
}

/// What a user should know of `cut` texts of `items` in a split that were longer than `max_length`
/// tokens; `None` if there is none.
#[must_use]
pub fn cut_texts_warning(
    split: &str,
    cut: usize,
    items: usize,
    max_length: usize,
) -> Option<String> {
    let share = 100.0 * cut as f64 / items.max(1) as f64;
    (cut > 0).then(|| {
        format!(
            "{cut} of {items} texts of `{split}` ({share:.1} %) are longer than {max_length} tokens \
             and were cut"
        )
    })
}

/// The split in its own order, cut into batches.
fn batches(
    processor: &Arc<Processor>,
    split: &Arc<Split>,
    options: &PredictOptions,
) -> Result<Loader, TrainError> {
    let all: Vec<usize> = (0..split.len()).collect();
    let plan = all.chunks(options.rows.max(1)).map(<[usize]>::to_vec).collect();
    let prepare = options.intervention.prepare(split, processor)?;
    Ok(Loader::from_prepare(prepare, processor.pad_id(), plan, options.loader())?)
}

pub(crate) fn loader_options(
    workers: usize,
    padding: Padding,
    on_bad_item: OnBadItem,
) -> LoaderOptions {
    // Two shards a worker keep all of them busy while memory stays bounded.
    let prefetch = workers.max(1).saturating_mul(2);
    LoaderOptions { workers, prefetch, padding, on_bad_item, ..LoaderOptions::default() }
}

/// Makes rows of a split's logits, in the split's order.
pub(crate) struct RowTeller<'a> {
    split: &'a Split,
    options: &'a PredictOptions,
    /// Where in the split the next row is looked for.
    next: usize,
}

impl<'a> RowTeller<'a> {
    pub(crate) fn new(split: &'a Split, options: &'a PredictOptions) -> Self {
        Self { split, options, next: 0 }
    }

    /// The classes that the rows have probabilities of.
    pub(crate) fn classes(&self) -> Vec<String> {
        match self.options.task {
            Task::Classes => self.options.classes.clone(),
            Task::Answers => Vec::new(),
        }
    }

    /// What the logits of row `row` of a batch say.
    pub(crate) fn row(
        &mut self,
        batch: &Batch,
        row: usize,
        logits: Vec<f32>,
    ) -> Result<Prediction, TrainError> {
        let classes = &self.options.classes;
        if self.options.task == Task::Classes {
            return prediction(batch, row, logits, classes);
        }
        check_logits(&batch.ids[row], &logits, classes)?;
        let known = self.split.answers_of(&batch.ids[row], self.next);
        self.next = known.map_or(self.next, |(_, next)| next);
        let named = (batch.ids[row].clone(), batch.groups[row].clone());
        let known = known.map(|(answers, _)| answers.as_ref());
        Ok(Prediction::of_answer_logits(named, classes, &logits, known))
    }
}

fn check_logits(id: &str, logits: &[f32], classes: &[String]) -> Result<(), TrainError> {
    if logits.len() == classes.len() && logits.iter().all(|logit| logit.is_finite()) {
        return Ok(());
    }
    Err(TrainError::Logits { id: id.to_owned(), found: logits.len(), classes: classes.len() })
}

fn prediction(
    batch: &Batch,
    row: usize,
    logits: Vec<f32>,
    classes: &[String],
) -> Result<Prediction, TrainError> {
    let id = batch.ids[row].clone();
    let name = |class: usize| classes.get(class).cloned();
    check_logits(&id, &logits, classes)?;
    let label = match &batch.targets {
        Some(Targets::Classes(labels)) => name(labels[row] as usize),
        Some(Targets::Soft(scores)) => scores[row]
            .iter()
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
            .and_then(|(class, _)| name(*class as usize)),
        None => None,
    };
    let group = batch.groups[row].clone();
    Ok(Prediction { label, group, ..Prediction::of_logits(id, classes, logits) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(targets: Option<Targets>) -> Batch {
        let ids = vec!["a".to_owned(), "b".to_owned()];
        Batch { ids, groups: vec![None, Some("g".to_owned())], text: None, image: None, targets }
    }

    fn classes() -> Vec<String> {
        ["no", "yes", "maybe"].map(str::to_owned).to_vec()
    }

    #[test]
    fn a_row_keeps_its_id_label_and_group() {
        let batch = batch(Some(Targets::Classes(vec![2, 1])));
        let row = prediction(&batch, 1, vec![0.0, 3.0, 3.0], &classes()).unwrap();
        assert_eq!((row.id.as_str(), row.group.as_deref()), ("b", Some("g")));
        assert_eq!(row.label.as_deref(), Some("yes"));
        assert_eq!(row.prediction, "yes", "the first of equals");
    }

    #[test]
    fn unlabelled_rows_have_no_label_and_soft_ones_their_highest() {
        let row = prediction(&batch(None), 0, vec![0.0; 3], &classes()).unwrap();
        assert_eq!(row.label, None);
        let soft = Targets::Soft(vec![vec![(0, 0.3), (2, 0.9)], vec![]]);
        let row = prediction(&batch(Some(soft)), 0, vec![0.0; 3], &classes()).unwrap();
        assert_eq!(row.label.as_deref(), Some("maybe"));
    }

    #[test]
    fn a_diverged_model_is_named_by_its_item() {
        let error = prediction(&batch(None), 0, vec![0.0, f32::NAN, 0.0], &classes()).unwrap_err();
        assert!(error.to_string().contains("`a`"), "{error}");
    }
}
