//! What a frozen backbone makes of a split, computed once: training then runs the head alone.
//!
//! The backbone never drops out here, so what it makes of an item is the same in every epoch. Items
//! are computed in the split's own order, `rows` at a time, whatever the order of training, so that
//! a resumed run computes the same bytes again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::Tensor;
use mmc_data::{Sample, Split};
use mmc_models::{Classifier, Pass};
use mmc_ops::without_gradient;
use mmc_preprocess::{Batch, Example, Loader, Padding, Processor, collate};
use mmc_run::Predictions;

use crate::predict::RowTeller;
use crate::ranks::{Next, Ranks, Share, present, share_chunks};
use crate::step::Shard;
use crate::watched::Watched;
use crate::{PredictOptions, Progress, TrainError};

/// A split before the head.
pub(crate) struct Represented {
    split: Arc<Split>,
    /// `[usable items, width]`, f32; `None` where no item is usable.
    pooled: Option<Tensor>,
    /// The row of each item; `None` for one that was left out.
    places: Vec<Option<u32>>,
    /// Whether the text of each item was cut.
    is_cut: Vec<bool>,
    /// Ids of the items left out.
    skipped: Vec<String>,
}

impl Represented {
    /// Takes a split through the backbone, each rank a share of it, and says how much memory the result
    /// takes. `None` where `interrupt` was set meanwhile, at whichever rank.
    ///
    /// # Errors
    /// What reading and preparing an item or the forward returns.
    pub(crate) fn compute(
        model: &dyn Classifier,
        processor: &Arc<Processor>,
        split: &Arc<Split>,
        options: &PredictOptions,
        watched: &mut Watched<'_, '_>,
    ) -> Result<Option<Self>, TrainError> {
        let (ranks, items) = (watched.ranks, split.len());
        let is_cut: Arc<Vec<AtomicBool>> = Arc::new((0..items).map(|_| false.into()).collect());
        let chunks = chunks(items, options.rows);
        let own = ranks.share().own(&chunks).cloned().collect();
        let loader = loader((processor, split), own, options, &is_cut)?;
        let mut encode = |batch: &Batch| -> Result<Tensor, TrainError> {
            let pooled = without_gradient(|| model.encode(batch, &Pass::evaluate()))?; // [batch, width]
            Ok(pooled.detach())
        };
        let mut found = Found { places: vec![None; items], parts: Vec::new(), rows: 0 };
        let mut next = Next::Goes;
        if ranks.is_alone() {
            let mut loader = loader;
            while let Some(batch) = loader.next().transpose()? {
                if next == Next::Stops {
                    return Ok(None);
                }
                let chunk = loader.shard().map_or(&[][..], |index| &chunks[index]);
                found.add(&present(split, chunk, &batch.ids), encode(&batch)?);
                next = watched.told(split, found.rows as usize)?;
            }
        } else {
            next = share_chunks(ranks, (split, &chunks), loader, &mut encode, &mut |bunch| {
                for chunk in bunch.into_iter().filter(|chunk| !chunk.items.is_empty()) {
                    let shape = (chunk.items.len(), chunk.width);
                    found.add(&chunk.items, Tensor::from_vec(chunk.values, shape, model.device())?);
                }
                watched.told(split, found.rows as usize)
            })?;
            if next == Next::Stops {
                return Ok(None);
            }
        }
        let Found { places, parts, .. } = found;
        let pooled = if parts.is_empty() { None } else { Some(Tensor::cat(&parts, 0)?) };
        watched.tell(split, items);
        if let Some(pooled) = &pooled {
            (watched.progress)(Progress::Note(&memory_note(split.name.as_str(), pooled)?));
        }
        let is_cut = everywhere(ranks, &is_cut)?;
        let absent = (0..items).filter(|&item| places[item].is_none());
        let skipped = absent.map(|item| split.samples[item].id.clone()).collect();
        Ok(Some(Self { split: Arc::clone(split), pooled, places, is_cut, skipped }))
    }

    /// Ids of the items left out.
    pub(crate) fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// The shards of a step that are in `share`; one whose items were all left out is absent.
    pub(crate) fn step<'a>(
        &'a self,
        planned: &'a [Vec<usize>],
        share: Share,
    ) -> impl Iterator<Item = Result<Shard, TrainError>> + 'a {
        let mut first_row = 0;
        planned.iter().enumerate().filter_map(move |(number, items)| {
            let begin = first_row;
            first_row += items.len();
            if share.takes(number) { self.shard(items, (number, begin)).transpose() } else { None }
        })
    }

    /// The predictions of a model with this backbone on every usable item, as
    /// [`predict`](crate::predict()) makes them; every rank makes all. `None`, at all of them, where one was
    /// asked to stop before it was done.
    pub(crate) fn predict(
        &self,
        model: &dyn Classifier,
        options: &PredictOptions,
        watched: &mut Watched<'_, '_>,
    ) -> Result<Option<Predictions>, TrainError> {
        let mut rows = Vec::with_capacity(self.split.len());
        let mut teller = RowTeller::new(&self.split, options);
        for items in chunks(self.split.len(), options.rows) {
            if watched.next()? == Next::Stops {
                return Ok(None);
            }
            let Some(Shard { batch, pooled: Some(pooled), .. }) = self.shard(&items, (0, 0))?
            else {
                continue;
            };
            let logits = model.classify(&pooled, &Pass::evaluate())?.0.to_vec2::<f32>()?;
            for (row, logits) in logits.into_iter().enumerate() {
                rows.push(teller.row(&batch, row, logits)?);
            }
            watched.tell(&self.split, rows.len());
        }
        Ok(Some(Predictions { classes: teller.classes(), rows }))
    }

    /// These items as a shard, without those that were left out; `None` if that is all.
    fn shard(
        &self,
        items: &[usize],
        (number, first_row): (usize, usize),
    ) -> Result<Option<Shard>, TrainError> {
        let found = items.iter().filter_map(|&item| Some((item, self.places[item]?)));
        let (items, places): (Vec<usize>, Vec<u32>) = found.unzip();
        let Some(pooled) = self.pooled.as_ref().filter(|_| !places.is_empty()) else {
            return Ok(None);
        };
        let pooled = pooled.index_select(&Tensor::new(places.as_slice(), pooled.device())?, 0)?;
        let cut_texts = items.iter().filter(|&&item| self.is_cut[item]).count();
        let batch = labels(items.iter().map(|&item| &self.split.samples[item]))?;
        Ok(Some(Shard { number, first_row, batch, pooled: Some(pooled), cut_texts }))
    }
}

/// The items of a split in its order, this many at a time.
pub(crate) fn chunks(items: usize, rows: usize) -> Vec<Vec<usize>> {
    let all: Vec<usize> = (0..items).collect();
    all.chunks(rows.max(1)).map(<[usize]>::to_vec).collect()
}

/// What came out of the backbone so far.
struct Found {
    places: Vec<Option<u32>>,
    parts: Vec<Tensor>,
    rows: u32,
}

impl Found {
    /// Takes the rows of these items, `[items, width]`.
    fn add(&mut self, items: &[usize], pooled: Tensor) {
        for &item in items {
            self.places[item] = Some(self.rows);
            self.rows += 1;
        }
        self.parts.push(pooled);
    }
}

/// What a user should know of what is kept.
fn memory_note(name: &str, pooled: &Tensor) -> Result<String, TrainError> {
    let (rows, width) = pooled.dims2()?;
    let mebibytes = (rows * width * size_of::<f32>()) as f64 / f64::from(1 << 20);
    Ok(format!(
        "`{name}`: {rows} representations of {width} numbers each are computed once and kept in \
         memory, {mebibytes:.1} MiB"
    ))
}

/// Whether any rank has marked an item.
fn everywhere(ranks: &Ranks, marks: &[AtomicBool]) -> Result<Vec<bool>, TrainError> {
    let own: Vec<bool> = marks.iter().map(|mark| mark.load(Ordering::Relaxed)).collect();
    if ranks.is_alone() {
        return Ok(own);
    }
    let all = ranks.gather_bytes(own.iter().map(|&mark| u8::from(mark)).collect())?;
    Ok((0..own.len()).map(|item| all.iter().any(|marks| marks[item] == 1)).collect())
}

/// Some chunks of a split, whose cut texts are marked as they are prepared.
fn loader(
    (processor, split): (&Arc<Processor>, &Arc<Split>),
    chunks: Vec<Vec<usize>>,
    options: &PredictOptions,
    is_cut: &Arc<Vec<AtomicBool>>,
) -> Result<Loader, TrainError> {
    let (split, processor, is_cut) = (Arc::clone(split), Arc::clone(processor), Arc::clone(is_cut));
    let pad_id = processor.pad_id();
    let prepare = move |item: usize| {
        let example = processor.prepare(&split.samples[item])?;
        let cut = example.text.as_ref().is_some_and(mmc_preprocess::Tokens::is_cut);
        is_cut[item].store(cut, Ordering::Relaxed);
        Ok(example)
    };
    Ok(Loader::from_prepare(Arc::new(prepare), pad_id, chunks, options.loader())?)
}

/// Ids, groups and labels of some samples as a batch without inputs.
pub(crate) fn labels<'a>(samples: impl Iterator<Item = &'a Sample>) -> Result<Batch, TrainError> {
    let example = |sample: &Sample| Example {
        id: sample.id.clone(),
        group: sample.group.clone(),
        target: sample.target.clone(),
        text: None,
        image: None,
    };
    let examples: Vec<Example> = samples.map(example).collect();
    Ok(collate(&examples, Padding::Longest, 0)?)
}
