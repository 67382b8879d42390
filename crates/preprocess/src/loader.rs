//! Batches prepared ahead of the training loop, in a fixed order.

mod ahead;

use std::any::Any;
use std::iter::FusedIterator;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use mmc_data::{OnBadItem, Split};

use self::ahead::Ahead;
use crate::{Batch, Example, Padding, PreprocessError, Processor, Tokens, collate};

/// What makes the example with an index: [`Processor::prepare`] on a split's sample, or anything
/// wrapped around it.
pub type Prepare = Arc<dyn Fn(usize) -> Result<Example, PreprocessError> + Send + Sync>;

/// How a [`Loader`] works. None of it but `padding` and `on_bad_item` changes a batch.
#[derive(Clone, Copy, Debug)]
pub struct LoaderOptions {
    /// Threads that prepare shards; 0: each is prepared when asked for, by the caller's thread.
    pub workers: usize,
    /// Shards held ahead of the caller whatever they weigh, those being prepared included; 0 is as no
    /// workers.
    pub prefetch: usize,
    /// Further shards are begun as long as all together weigh no more bytes than this: a reserve for tiny
    /// models, whose steps take as long as a thread may wait for its turn.
    pub ahead_bytes: usize,
    /// How long texts become.
    pub padding: Padding,
    /// Whether an item that cannot be prepared ends the loading or is left out and recorded.
    pub on_bad_item: OnBadItem,
}

impl Default for LoaderOptions {
    /// Two workers, eight shards ahead or more up to 32 MiB, padding to the longest, errors on bad items.
    fn default() -> Self {
        Self {
            workers: 2,
            prefetch: 8,
            ahead_bytes: 32 << 20,
            padding: Padding::Longest,
            on_bad_item: OnBadItem::Error,
        }
    }
}

/// Yields the batches of a plan in its order, prepared ahead by worker threads.
///
/// Batches and their order do not depend on the number of workers. No more is held in memory than
/// `prefetch` shards and besides `ahead_bytes`. An error takes the place of its shard's batch and ends
/// the iteration; so does a panic beneath, as an error. Dropping the loader stops its threads, each after
/// the item in hand.
///
/// With [`OnBadItem::Skip`] a bad item is missing from its batch and named by
/// [`Loader::skipped`]; a shard without a good item yields no batch. [`Loader::shard`] says which
/// shard of the plan the last batch was, so steps can be counted across such gaps.
pub struct Loader {
    job: Arc<Job>,
    /// Worker `n` prepares the shards `n`, `n + workers`, …, so no order has to be restored.
    lanes: Vec<Receiver<Result<Prepared, PreprocessError>>>,
    threads: Vec<JoinHandle<()>>,
    next: usize,
    last: Option<usize>,
    waited: Duration,
    skipped: Vec<String>,
    cut_texts: usize,
}

/// One shard, prepared.
struct Prepared {
    /// `None` if all items were skipped.
    batch: Option<Batch>,
    skipped: Vec<String>,
    cut_texts: usize,
    /// Of the batch in memory.
    bytes: usize,
}

/// What all workers share.
struct Job {
    plan: Vec<Vec<usize>>,
    prepare: Prepare,
    pad_id: u32,
    options: LoaderOptions,
    ahead: Ahead,
    stop: AtomicBool,
}

impl Loader {
    /// Loads the samples of a split; `plan` holds the sample indices of each shard, in order.
    ///
    /// # Errors
    /// [`PreprocessError::Plan`] where a shard is empty or names a sample that the split lacks,
    /// [`PreprocessError::Threads`] where no thread can be started.
    pub fn new(
        split: Arc<Split>,
        processor: Arc<Processor>,
        plan: Vec<Vec<usize>>,
        options: LoaderOptions,
    ) -> Result<Self, PreprocessError> {
        let items = split.len();
        for (shard, indices) in plan.iter().enumerate() {
            if let Some(index) = indices.iter().find(|&&index| index >= items) {
                let problem = format!("names item {index}, but the split has {items}");
                return Err(PreprocessError::Plan { shard, problem });
            }
        }
        let pad_id = processor.pad_id();
        let prepare = move |index: usize| processor.prepare(&split.samples[index]);
        Self::from_prepare(Arc::new(prepare), pad_id, plan, options)
    }

    /// Loads whatever `prepare` makes of the indices in `plan`.
    ///
    /// # Errors
    /// [`PreprocessError::Plan`] where a shard is empty, [`PreprocessError::Threads`] where no
    /// thread can be started.
    pub fn from_prepare(
        prepare: Prepare,
        pad_id: u32,
        plan: Vec<Vec<usize>>,
        options: LoaderOptions,
    ) -> Result<Self, PreprocessError> {
        if let Some(shard) = plan.iter().position(Vec::is_empty) {
            return Err(PreprocessError::Plan { shard, problem: "is empty".to_owned() });
        }
        let workers = options.workers.min(options.prefetch).min(plan.len());
        let ahead = Ahead::new(options.prefetch, options.ahead_bytes);
        let stop = AtomicBool::new(false);
        let job = Arc::new(Job { plan, prepare, pad_id, options, ahead, stop });
        let mut loader = Self {
            job,
            lanes: Vec::with_capacity(workers),
            threads: Vec::with_capacity(workers),
            next: 0,
            last: None,
            waited: Duration::ZERO,
            skipped: Vec::new(),
            cut_texts: 0,
        };
        for worker in 0..workers {
            let (sender, receiver) = channel(); // `Ahead` bounds what is in it
            let job = Arc::clone(&loader.job);
            let thread = Builder::new()
                .name(format!("mmc-loader-{worker}"))
                .spawn(move || job.run(worker, workers, &sender))
                .map_err(PreprocessError::Threads)?;
            loader.lanes.push(receiver);
            loader.threads.push(thread);
        }
        Ok(loader)
    }

    /// Seconds that [`Iterator::next`] has kept its caller waiting, in all.
    #[must_use]
    pub fn wait_seconds(&self) -> f64 {
        self.waited.as_secs_f64()
    }

    /// Ids of the items left out of the batches so far, in the order of the plan.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Texts of the last batch yielded that were longer than the processor's limit and were cut.
    #[must_use]
    pub fn cut_texts(&self) -> usize {
        self.cut_texts
    }

    /// Index in the plan of the last batch yielded.
    #[must_use]
    pub fn shard(&self) -> Option<usize> {
        self.last
    }

    fn receive(&self, shard: usize) -> Result<Prepared, PreprocessError> {
        if self.lanes.is_empty() {
            return self.job.prepare_shard(shard);
        }
        let prepared = self.lanes[shard % self.lanes.len()].recv().unwrap_or_else(|_| {
            let problem = "its thread has ended".to_owned();
            Err(PreprocessError::Worker { shard, problem })
        });
        self.job.ahead.taken(prepared.as_ref().map_or(0, |prepared| prepared.bytes));
        prepared
    }
}

impl Iterator for Loader {
    type Item = Result<Batch, PreprocessError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.next < self.job.plan.len() {
            let shard = self.next;
            let start = Instant::now();
            let prepared = self.receive(shard);
            self.waited += start.elapsed();
            match prepared {
                Ok(prepared) => {
                    self.next += 1;
                    self.skipped.extend(prepared.skipped);
                    if let Some(batch) = prepared.batch {
                        self.last = Some(shard);
                        self.cut_texts = prepared.cut_texts;
                        return Some(Ok(batch));
                    }
                }
                Err(error) => {
                    self.next = self.job.plan.len();
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl FusedIterator for Loader {}

impl Drop for Loader {
    fn drop(&mut self) {
        self.job.stop.store(true, Ordering::Relaxed);
        self.job.ahead.stop();
        for thread in self.threads.drain(..) {
            // Panics were caught inside; there is nobody left to tell.
            drop(thread.join());
        }
    }
}

impl Job {
    /// The life of a worker.
    fn run(
        &self,
        worker: usize,
        workers: usize,
        sender: &Sender<Result<Prepared, PreprocessError>>,
    ) {
        for shard in (worker..self.plan.len()).step_by(workers) {
            if !self.ahead.begin(shard) {
                return;
            }
            let prepared = self.prepare_shard(shard);
            self.ahead.prepared(prepared.as_ref().map_or(0, |prepared| prepared.bytes));
            let failed = prepared.is_err();
            if sender.send(prepared).is_err() || failed {
                return;
            }
        }
    }

    /// Prepares a shard; a panic beneath becomes an error.
    fn prepare_shard(&self, shard: usize) -> Result<Prepared, PreprocessError> {
        catch_unwind(AssertUnwindSafe(|| self.prepare_items(shard))).unwrap_or_else(|panic| {
            Err(PreprocessError::Worker { shard, problem: message(panic.as_ref()) })
        })
    }

    fn prepare_items(&self, shard: usize) -> Result<Prepared, PreprocessError> {
        let mut examples = Vec::with_capacity(self.plan[shard].len());
        let mut skipped = Vec::new();
        for &index in &self.plan[shard] {
            if self.stop.load(Ordering::Relaxed) {
                let problem = "the loading was stopped".to_owned();
                return Err(PreprocessError::Worker { shard, problem });
            }
            match (self.prepare)(index) {
                Ok(example) => examples.push(example),
                Err(error) => match (self.options.on_bad_item, error.bad_item()) {
                    (OnBadItem::Skip, Some(id)) => skipped.push(id.to_owned()),
                    _ => return Err(error),
                },
            }
        }
        let cut = |example: &&Example| example.text.as_ref().is_some_and(Tokens::is_cut);
        let cut_texts = examples.iter().filter(cut).count();
        let batch = if examples.is_empty() {
            None
        } else {
            Some(collate(&examples, self.options.padding, self.pad_id)?)
        };
        let bytes = batch.as_ref().map_or(0, Batch::bytes);
        Ok(Prepared { batch, skipped, cut_texts, bytes })
    }
}

/// The words of a panic.
fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
