//! How long does it take to make tokens of texts?
//!
//! ```text
//! cargo bench -p mmc-preprocess --bench tokens -- CHECKPOINT TEXTS.txt
//! ```
//!
//! For each line on standard input every line of the file is made tokens of, by as many threads as
//! `RAYON_NUM_THREADS` says, and a line of JSON is printed: `wall` in seconds, and as `loss` the
//! number of tokens. So two programs can take turns: `cargo xtask bench --suite tokenizer`.
#![allow(clippy::print_stdout, reason = "it answers on standard output")]

use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::time::Instant;

use mmc_data::{Arm, Sample};
use mmc_preprocess::Processor;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [folder, texts] = &arguments[..] else {
        // `cargo bench` runs every bench without arguments.
        println!("give CHECKPOINT TEXTS.txt, or run `cargo xtask bench --suite tokenizer`");
        return Ok(());
    };
    let processor = Processor::from_folder(Path::new(folder), Arm::Text)?.with_cache_bytes(0);
    let texts = std::fs::read_to_string(texts)?;
    let samples: Vec<Sample> = texts.lines().map(sample).collect();
    let threads: usize = std::env::var("RAYON_NUM_THREADS")?.parse()?;
    println!("{{\"ready\": true}}");
    for line in std::io::stdin().lock().lines() {
        line?;
        let begun = Instant::now();
        let tokens = tokens(&processor, &samples, threads)?;
        println!("{{\"wall\": {}, \"loss\": {tokens}}}", begun.elapsed().as_secs_f64());
    }
    println!("{{}}");
    Ok(())
}

fn sample(text: &str) -> Sample {
    Sample { id: String::new(), text: text.to_owned(), image: None, target: None, group: None }
}

/// The tokens of all texts, those of each thread beside the others.
fn tokens(
    processor: &Processor,
    samples: &[Sample],
    threads: usize,
) -> Result<usize, Box<dyn Error>> {
    let of = |samples: &[Sample]| -> Result<usize, String> {
        samples.iter().try_fold(0, |sum, sample| {
            let example = processor.prepare(sample).map_err(|error| error.to_string())?;
            Ok(sum + example.text.map_or(0, |text| text.ids.len()))
        })
    };
    let share = samples.len().div_ceil(threads.max(1)).max(1);
    let sums: Vec<Result<usize, String>> = std::thread::scope(|scope| {
        let shares: Vec<_> = samples.chunks(share).map(|part| scope.spawn(|| of(part))).collect();
        let panicked = |_| Err("a thread panicked".to_owned());
        shares.into_iter().map(|share| share.join().unwrap_or_else(panicked)).collect()
    });
    Ok(sums.into_iter().sum::<Result<usize, String>>()?)
}
