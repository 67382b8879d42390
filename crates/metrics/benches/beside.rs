//! Our side of `cargo xtask bench --suite metrics`: answers each line of its input with one timed
//! piece of work, as `xtask/peer/metrics.py` does with scikit-learn.
//!
//! `beside FOLDER WORK`: FOLDER holds `scores.f64` and `positive.u8`, raw and in item order; WORK is
//! `auroc`, `average_precision`, `bootstrap_auroc` or `bootstrap_average_precision`.
#![allow(clippy::print_stdout, reason = "its answers are read from there")]

use std::error::Error;
use std::hint::black_box;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use mmc_metrics::bootstrap::{Resampling, bootstrap_metric};
use mmc_metrics::{Items, auroc, average_precision, metric};

/// Resamples of one piece of work; `xtask/peer/metrics.py` has the same.
const REPLICATES: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let typed: Vec<String> = std::env::args().collect();
    let [_, folder, work, ..] = typed.as_slice() else {
        return Ok(()); // `cargo bench` starts every bench; this one needs its peer
    };
    let Ok(bytes) = std::fs::read(Path::new(folder).join("scores.f64")) else { return Ok(()) };
    let number = |bytes: &[u8]| bytes.try_into().map(f64::from_le_bytes);
    let scores: Vec<f64> = bytes.chunks_exact(8).map(number).collect::<Result<_, _>>()?;
    let positive = std::fs::read(Path::new(folder).join("positive.u8"))?;
    let positive: Vec<bool> = positive.into_iter().map(|byte| byte == 1).collect();
    let labels: Vec<usize> = positive.iter().map(|p| usize::from(*p)).collect();
    let rows: Vec<Vec<f64>> = scores.iter().map(|score| vec![1.0 - score, *score]).collect();
    let items = Items::new(&labels, &labels, &rows, 2);
    let resampling = Resampling { replicates: REPLICATES, ..Resampling::default() };
    let resample = |name: &str| -> Result<f64, Box<dyn Error>> {
        Ok(bootstrap_metric(metric(name)?, &items, &resampling)?.percentile.low)
    };
    let work = || -> Result<f64, Box<dyn Error>> {
        match work.as_str() {
            "auroc" => Ok(auroc(black_box(&scores), black_box(&positive))?),
            "average_precision" => Ok(average_precision(black_box(&scores), black_box(&positive))?),
            other => match other.strip_prefix("bootstrap_") {
                Some(name) => resample(name),
                None => Err(format!("no work is called `{other}`").into()),
            },
        }
    };
    println!("{{}}");
    for line in std::io::stdin().lock().lines() {
        line?;
        let (started, before) = (Instant::now(), cpu_seconds()?);
        let value = work()?;
        let (wall, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds()? - before);
        println!("{{\"wall\":{wall},\"cpu\":{cpu},\"loss\":{value}}}");
        std::io::stdout().flush()?;
    }
    println!("{{}}");
    Ok(())
}

/// Processor time of this process, all threads, in seconds: fields 14 and 15 of Linux's `stat`.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    const TICKS_A_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / TICKS_A_SECOND)
}
