//! What a loader promises: order, bounds, errors in their place, threads that stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mmc_data::{Arm, OnBadItem};
use mmc_preprocess::{
    Batch, Example, Loader, LoaderOptions, Padding, Prepare, PreprocessError, Tokens,
};

fn example(index: usize) -> Example {
    let ids = vec![7; 1 + index % 3];
    Example {
        id: format!("item{index}"),
        group: None,
        target: None,
        text: Some(Tokens { type_ids: vec![0; ids.len()], full_length: ids.len(), ids }),
        image: None,
    }
}

fn missing(index: usize) -> PreprocessError {
    PreprocessError::NoPicture { id: format!("item{index}"), arm: Arm::Both }
}

/// Shards of two items.
fn plan(items: usize) -> Vec<Vec<usize>> {
    (0..items).collect::<Vec<_>>().chunks(2).map(<[usize]>::to_vec).collect()
}

fn load(
    items: usize,
    options: LoaderOptions,
    prepare: impl Fn(usize) -> Result<Example, PreprocessError> + Send + Sync + 'static,
) -> Loader {
    Loader::from_prepare(Arc::new(prepare), 0, plan(items), options).unwrap()
}

fn options(workers: usize, prefetch: usize, on_bad_item: OnBadItem) -> LoaderOptions {
    LoaderOptions { workers, prefetch, ahead_bytes: 0, padding: Padding::Longest, on_bad_item }
}

fn rows(batch: &Batch) -> (Vec<String>, Vec<Vec<u32>>) {
    let text = batch.text.as_ref().unwrap();
    (batch.ids.clone(), text.token_ids.to_vec2().unwrap())
}

#[test]
fn batches_do_not_depend_on_the_workers() {
    let all = |workers, prefetch| -> Vec<_> {
        let options = options(workers, prefetch, OnBadItem::Error);
        load(41, options, |index| {
            // The early items are the slow ones.
            sleep(Duration::from_micros(2000 / (1 + index as u64)));
            Ok(example(index))
        })
        .map(|batch| rows(&batch.unwrap()))
        .collect()
    };
    let alone = all(0, 0);
    assert_eq!(alone.len(), 21);
    assert_eq!(alone[20].0, ["item40"]);
    for (workers, prefetch) in [(1, 1), (2, 3), (4, 2), (3, 100)] {
        assert_eq!(all(workers, prefetch), alone, "{workers} workers, {prefetch} ahead");
    }
}

#[test]
fn no_more_than_the_prefetch_is_held() {
    for (workers, prefetch) in [(1, 1), (2, 3), (3, 8), (4, 2)] {
        let begun = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&begun);
        let mut loader = load(60, options(workers, prefetch, OnBadItem::Error), move |index| {
            counter.fetch_add(1 - index % 2, Ordering::SeqCst); // a shard's first item
            Ok(example(index))
        });
        for taken in 0..5 {
            sleep(Duration::from_millis(20));
            let ahead = begun.load(Ordering::SeqCst) - taken;
            assert!(ahead <= prefetch, "{ahead} ahead, {prefetch} allowed");
            loader.next().unwrap().unwrap();
        }
    }
}

/// A shard of two short texts weighs 1,336 to 1,370 bytes, nearly all of them for what is around the tokens.
#[test]
fn small_batches_are_held_up_to_their_bytes() {
    for workers in [1, 3] {
        let begun = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&begun);
        let options =
            LoaderOptions { ahead_bytes: 40_000, ..options(workers, workers, OnBadItem::Error) };
        let mut loader = load(300, options, move |index| {
            counter.fetch_add(1 - index % 2, Ordering::SeqCst); // a shard's first item
            Ok(example(index))
        });
        for taken in 0..100 {
            let ahead = || begun.load(Ordering::SeqCst) - taken;
            let patience = Instant::now() + Duration::from_secs(10);
            while ahead() < 20_000 / 1_370 {
                assert!(Instant::now() < patience, "{} ahead of {taken}", ahead());
                sleep(Duration::from_millis(1));
            }
            // The nearest shards are begun whatever the others weigh.
            let most = 40_000 / 1_336 + workers;
            assert!(ahead() <= most, "{} ahead of {taken}, {most} allowed", ahead());
            loader.next().unwrap().unwrap();
        }
        assert_eq!(loader.count(), 50);
    }
}

#[test]
fn an_error_comes_in_its_place_and_ends_the_loading() {
    for workers in [0, 1, 3] {
        let mut loader = load(20, options(workers, 6, OnBadItem::Error), |index| {
            if index == 7 { Err(missing(index)) } else { Ok(example(index)) }
        });
        for _ in 0..3 {
            loader.next().unwrap().unwrap();
        }
        let error = loader.next().unwrap().unwrap_err();
        assert_eq!(error.bad_item(), Some("item7"));
        assert!(loader.next().is_none());
    }
}

#[test]
fn bad_items_are_left_out_and_named() {
    for workers in [0, 2] {
        let mut loader = load(8, options(workers, 4, OnBadItem::Skip), |index| {
            if [1, 2, 3].contains(&index) { Err(missing(index)) } else { Ok(example(index)) }
        });
        let mut seen = Vec::new();
        while let Some(batch) = loader.next() {
            seen.push((loader.shard().unwrap(), batch.unwrap().ids));
        }
        let names = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            seen,
            [
                (0, names(&["item0"])),
                (2, names(&["item4", "item5"])),
                (3, names(&["item6", "item7"])),
            ]
        );
        assert_eq!(loader.skipped(), ["item1", "item2", "item3"]);
    }
}

/// Errors that are no item's are never skipped.
#[test]
fn a_panic_becomes_an_error() {
    for workers in [0, 2] {
        let mut loader = load(6, options(workers, 4, OnBadItem::Skip), |index| {
            assert!(index != 2, "decoder broke");
            Ok(example(index))
        });
        loader.next().unwrap().unwrap();
        let error = loader.next().unwrap().unwrap_err().to_string();
        assert!(error.contains("shard 1") && error.contains("decoder broke"), "{error}");
        assert!(loader.next().is_none());
    }
}

#[test]
fn dropping_stops_the_threads_after_the_item_in_hand() {
    let prepared = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&prepared);
    let plan = vec![(0..1000).collect(), (1000..2000).collect()];
    let prepare: Prepare = Arc::new(move |index| {
        counter.fetch_add(1, Ordering::SeqCst);
        sleep(Duration::from_millis(5));
        Ok(example(index))
    });
    let loader = Loader::from_prepare(prepare, 0, plan, options(2, 2, OnBadItem::Error)).unwrap();
    sleep(Duration::from_millis(20));
    let start = Instant::now();
    drop(loader);
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let count = prepared.load(Ordering::SeqCst);
    assert!(count < 500, "{count}");
    sleep(Duration::from_millis(30));
    assert_eq!(prepared.load(Ordering::SeqCst), count, "a thread went on");
}

#[test]
fn waiting_is_counted() {
    let mut loader = load(2, options(1, 1, OnBadItem::Error), |index| {
        sleep(Duration::from_millis(10));
        Ok(example(index))
    });
    assert!(loader.wait_seconds().abs() < 1e-12);
    loader.next().unwrap().unwrap();
    assert!(loader.wait_seconds() > 0.005, "{}", loader.wait_seconds());
}

#[test]
fn an_empty_shard_is_refused() {
    let prepare: Prepare = Arc::new(|index| Ok(example(index)));
    let plan = vec![vec![0], vec![]];
    let error =
        Loader::from_prepare(prepare, 0, plan, LoaderOptions::default()).err().unwrap().to_string();
    assert!(error.contains("shard 1 of the plan is empty"), "{error}");
}

#[test]
fn cut_texts_are_those_of_the_last_batch() {
    for workers in [0, 2] {
        let mut loader = load(6, options(workers, 4, OnBadItem::Error), |index| {
            let mut example = example(index);
            let text = example.text.as_mut().unwrap();
            text.full_length += usize::from(index >= 3); // of the second shard one, of the third two
            Ok(example)
        });
        let mut cut = Vec::new();
        while let Some(batch) = loader.next() {
            batch.unwrap();
            cut.push(loader.cut_texts());
        }
        assert_eq!(cut, [0, 1, 2], "{workers} workers");
    }
}
