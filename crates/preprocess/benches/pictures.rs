//! How long does it take to make pixels of pictures?
//!
//! ```text
//! cargo bench -p mmc-preprocess --bench pictures -- exact|scaled|resize FOLDER SIZE
//! ```
//!
//! `FOLDER/SIZE` is a checkpoint folder with an image processor, `FOLDER/pictures` has JPEG files. For
//! each line on standard input all of them are prepared four times, by as many threads as
//! `RAYON_NUM_THREADS` says, and a line of JSON is printed: `wall` and `cpu` in seconds, and as `loss`
//! the mean of all pixel values. With `resize` the pictures are decoded before. With `scaled` the last
//! line has `levels`: mean, 99th percentile and most by which levels differ from those of `exact`. So two
//! programs can take turns: `cargo xtask bench --suite preprocess`.
#![allow(clippy::print_stdout, reason = "it answers on standard output")]

use std::error::Error;
use std::io::BufRead;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use image::RgbImage;
use mmc_data::{Arm, ImageSource, Sample, decode};
use mmc_preprocess::{Pixels, Processor};
use nix::sys::resource::{UsageWho, getrusage};

/// How often each picture is prepared in a round.
const TIMES: usize = 4;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let [work, folder, size] = &arguments[..] else {
        // `cargo bench` runs every bench without arguments.
        println!(
            "give exact|scaled|resize FOLDER SIZE, or run `cargo xtask bench --suite preprocess`"
        );
        return Ok(());
    };
    let folder = Path::new(folder);
    let processor = |scaling| -> Result<Processor, Failure> {
        let processor = Processor::from_folder(&folder.join(size), Arm::Image)?;
        Ok(processor.with_cache_bytes(0).with_jpeg_scaling(scaling))
    };
    let samples = samples(&folder.join("pictures"))?;
    let decoded = samples.iter().filter_map(|sample| sample.image.as_ref()).map(decode);
    let decoded: Vec<RgbImage> = decoded.collect::<Result<_, _>>()?;
    let threads: usize = std::env::var("RAYON_NUM_THREADS")?.parse()?;
    let chosen = processor(work == "scaled")?;
    println!("{{\"ready\": true}}");
    for line in std::io::stdin().lock().lines() {
        line?;
        let (begun, before) = (Instant::now(), processor_seconds()?);
        let mean = shared(threads, samples.len() * TIMES, |at| {
            let at = at % samples.len();
            let pixels = if work == "resize" {
                chosen.pixels_of(&decoded[at])
            } else {
                chosen.prepare(&samples[at])?.image
            };
            pixels.ok_or_else(|| "the processor is shown no pictures".into())
        })?;
        let (wall, cpu) = (begun.elapsed().as_secs_f64(), processor_seconds()? - before);
        println!("{{\"wall\": {wall}, \"cpu\": {cpu}, \"loss\": {mean}}}");
    }
    let levels = match work.as_str() {
        "scaled" => differences(&processor(false)?, &chosen, &samples)?,
        _ => [0.0; 3],
    };
    println!("{{\"levels\": {levels:?}}}");
    Ok(())
}

fn samples(folder: &Path) -> Result<Vec<Sample>, Failure> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder)?.map(|file| Ok(file?.path())).collect::<std::io::Result<_>>()?;
    files.sort();
    let sample = |path: std::path::PathBuf| Sample {
        id: path.display().to_string(),
        text: String::new(),
        image: Some(ImageSource::File(path)),
        target: None,
        group: None,
    };
    Ok(files.into_iter().map(sample).collect())
}

/// Seconds of processor time of all threads so far.
fn processor_seconds() -> Result<f64, Failure> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// The mean of all values of the pictures `0..count`; a thread that is free takes the next one.
fn shared(
    threads: usize,
    count: usize,
    prepare: impl Fn(usize) -> Result<Pixels, Failure> + Sync,
) -> Result<f64, Failure> {
    let next = AtomicUsize::new(0);
    let share = || -> Result<(f64, usize), Failure> {
        let (mut sum, mut values) = (0.0, 0);
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return Ok((sum, values));
            }
            let pixels = prepare(at)?;
            (sum, values) = (sum + total(&pixels.values), values + pixels.values.len());
        }
    };
    let sums: Vec<Result<(f64, usize), Failure>> = if threads == 1 {
        vec![share()]
    } else {
        std::thread::scope(|scope| {
            let shares: Vec<_> = (0..threads).map(|_| scope.spawn(share)).collect();
            let panicked = |_| Err("a thread panicked".into());
            shares.into_iter().map(|share| share.join().unwrap_or_else(panicked)).collect()
        })
    };
    let (mut sum, mut values) = (0.0, 0);
    for part in sums {
        let (own, count) = part?;
        (sum, values) = (sum + own, values + count);
    }
    Ok(sum / values as f64)
}

/// The sum of the values, some side by side: adding them one to the other takes as long as making them.
fn total(values: &[f32]) -> f64 {
    let (chunks, rest) = values.as_chunks::<16>();
    let mut sums = [0.0_f64; 16];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(*value);
        }
    }
    sums.iter().sum::<f64>() + rest.iter().copied().map(f64::from).sum::<f64>()
}

/// Mean, 99th percentile and most by which levels of 8 bits differ.
fn differences(
    exact: &Processor,
    scaled: &Processor,
    samples: &[Sample],
) -> Result<[f64; 3], Failure> {
    // Both normalise linearly: black and white of one pixel tell how much a level is.
    let of = |level| exact.pixels_of(&RgbImage::from_pixel(1, 1, image::Rgb([level; 3])));
    let (Some(black), Some(white)) = (of(0), of(255)) else { return Ok([f64::NAN; 3]) };
    let mut all = Vec::new();
    for sample in samples {
        let (Some(a), Some(b)) = (exact.prepare(sample)?.image, scaled.prepare(sample)?.image)
        else {
            return Ok([f64::NAN; 3]);
        };
        let channel = a.values.len() / 3;
        for (at, (a, b)) in a.values.iter().zip(&b.values).enumerate() {
            let plane = at / channel * (black.values.len() / 3);
            let step = (white.values[plane] - black.values[plane]) / 255.0;
            all.push(f64::from((a - b).abs() / step));
        }
    }
    all.sort_by(f64::total_cmp);
    let mean = all.iter().sum::<f64>() / all.len() as f64;
    Ok([mean, all[all.len() * 99 / 100], all[all.len() - 1]])
}
