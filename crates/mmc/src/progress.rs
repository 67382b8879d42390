//! What is said on stderr while something runs: log lines always, bars on a terminal only.

use std::io::{self, Write};
use std::sync::LazyLock;
use std::time::Instant;

use indicatif::{BinaryBytes, DecimalBytes, MultiProgress, ProgressBar, ProgressStyle};
use mmc_models::hub;
use mmc_run::{EvalRecord, StepRecord};
use mmc_train::{Progress, peak_memory_bytes};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::cli::LogFormat;

/// All bars, so that log lines are written above them and not through them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Sends log lines to stderr: what `RUST_LOG` asks for, else what `mmc` has to say. At `debug` each
/// span that ends says how long it took.
pub(crate) fn start_logs(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env();
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new("warn,mmc=info")))
        .with_span_events(FmtSpan::CLOSE)
        .with_writer(|| AboveBars);
    match format {
        LogFormat::Text => logs
            .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
            .with_target(false)
            .without_time()
            .init(),
        LogFormat::Json => logs.json().with_current_span(false).init(),
    }
}

struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        BARS.suspend(|| io::stderr().write(line))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// A bar over `items` of something.
pub(crate) fn bar(items: u64, what: &str) -> ProgressBar {
    let bar = BARS.add(ProgressBar::new(items));
    let template = "{prefix} [{bar:30}] {pos}/{len}  {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(what.to_owned());
    bar
}

/// A bar over rows that are read once, with its pace and the time left.
pub(crate) fn rows(items: usize, what: &str) -> ProgressBar {
    let bar = bar(items as u64, what);
    let template = "{prefix} [{bar:30}] {pos}/{len}  {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// Files that are fetched, a bar each and a line when done.
#[derive(Default)]
pub(crate) struct Transfers {
    current: Option<(String, ProgressBar)>,
}

impl Transfers {
    /// Passes on how far a file is.
    pub(crate) fn tell(&mut self, at: hub::Progress<'_>) {
        if self.current.as_ref().is_some_and(|(file, _)| file != at.file) {
            self.end();
        }
        let (_, bar) = self.current.get_or_insert_with(|| {
            let bar = bar(at.size, at.file);
            let template = "{prefix} [{bar:30}] {bytes}/{total_bytes}  {bytes_per_sec}, {eta} left";
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            (at.file.to_owned(), bar)
        });
        bar.set_position(at.done);
        if at.done == at.size {
            self.end();
            tracing::info!("{}: {}", at.file, DecimalBytes(at.size));
        }
    }

    fn end(&mut self) {
        if let Some((_, bar)) = self.current.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Transfers {
    fn drop(&mut self) {
        self.end();
    }
}

/// The parts of a long computation one after the other, a bar each.
#[derive(Default)]
pub(crate) struct Parts {
    current: Option<(String, ProgressBar)>,
}

impl Parts {
    /// Passes on how far a part is.
    pub(crate) fn tell(&mut self, what: &str, done: usize, of: usize) {
        if self.current.as_ref().is_some_and(|(shown, _)| shown != what) {
            self.end();
        }
        let (_, bar) = self.current.get_or_insert_with(|| (what.to_owned(), rows(of, what)));
        bar.set_position(done as u64);
        if done >= of {
            self.end();
        }
    }

    fn end(&mut self) {
        if let Some((_, bar)) = self.current.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a training run tells, as bars and log lines.
#[derive(Default)]
pub(crate) struct Teller {
    steps: Option<ProgressBar>,
    items: Option<(String, ProgressBar)>,
    wait: Wait,
}

/// How long steps waited for their data.
#[derive(Default)]
struct Wait {
    waited: f64,
    seconds: f64,
    before: Option<Instant>,
}

impl Wait {
    /// The share of the time since the first step that this one and those before it waited.
    fn share(&mut self, record: &StepRecord) -> f64 {
        let now = Instant::now();
        let Some(before) = self.before.replace(now) else { return 0.0 };
        self.waited += record.loader_wait_seconds;
        self.seconds += (now - before).as_secs_f64();
        if self.seconds > 0.0 { (self.waited / self.seconds).min(1.0) } else { 0.0 }
    }
}

impl Teller {
    /// Passes on what happened.
    pub(crate) fn tell(&mut self, news: &Progress<'_>) {
        match news {
            Progress::Note(note) => tracing::info!("{note}"),
            Progress::Warning(warning) => tracing::warn!("{warning}"),
            Progress::Resumed { step } => tracing::info!("goes on after step {step}"),
            Progress::Step { record, steps, seconds_left } => {
                self.step(record, *steps, *seconds_left);
            }
            Progress::Predicted { split, done, items } => self.predicted(split, *done, *items),
            Progress::Evaluated { record, best } => {
                self.end_items();
                tracing::info!("{}", evaluated(record, *best));
            }
            Progress::Saved { step } => tracing::debug!("state saved after step {step}"),
            _ => {}
        }
    }

    fn step(&mut self, record: &StepRecord, steps: u64, seconds_left: f64) {
        let bar = self.steps.get_or_insert_with(|| bar(steps, "steps"));
        bar.set_position(record.step);
        let loss = record.loss.map_or_else(|| "–".to_owned(), |loss| format!("{loss:.4}"));
        bar.set_message(format!(
            "loss {loss}  {:.1} samples/s  {}  waits {:.0} %  {} left",
            record.samples_per_second,
            BinaryBytes(peak_memory_bytes()),
            100.0 * self.wait.share(record),
            time(seconds_left)
        ));
        let StepRecord { step, epoch, loss, learning_rate, grad_norm, .. } = record;
        tracing::debug!(
            step,
            epoch,
            loss,
            learning_rate,
            grad_norm,
            record.samples_per_second,
            record.loader_wait_seconds,
            record.loss_scale,
            record.skipped,
            seconds_left,
            memory_bytes = peak_memory_bytes(),
            "step {step} of {steps}"
        );
    }

    fn predicted(&mut self, split: &str, done: usize, items: usize) {
        if self.items.as_ref().is_some_and(|(shown, _)| shown != split) {
            self.end_items();
        }
        let (_, bar) = self.items.get_or_insert_with(|| (split.to_owned(), rows(items, split)));
        bar.set_position(done as u64);
        if done >= items {
            self.end_items();
        }
    }

    fn end_items(&mut self) {
        if let Some((_, bar)) = self.items.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.end_items();
        if let Some(bar) = self.steps.take() {
            bar.finish_and_clear();
        }
    }
}

/// An evaluation in a line.
fn evaluated(record: &EvalRecord, best: bool) -> String {
    let score = |name: &str| record.scores.get(name).copied().flatten();
    let scores: Vec<String> = ["accuracy", "auroc", "vqa_accuracy"]
        .into_iter()
        .filter_map(|name| Some(format!("{name} {:.4}", score(name)?)))
        .collect();
    let loss = record.loss.map(|loss| format!("loss {loss:.4}, ")).unwrap_or_default();
    format!(
        "epoch {}, step {}: {} {loss}{}{}",
        record.epoch,
        record.step,
        record.split,
        scores.join(", "),
        if best { ", the best so far" } else { "" }
    )
}

/// Seconds for people.
fn time(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match (whole / 3600, whole % 3600 / 60, whole % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_said_in_the_two_largest_units() {
        assert_eq!(time(0.4), "0 s");
        assert_eq!(time(75.2), "1 min 15 s");
        assert_eq!(time(7325.0), "2 h 2 min");
    }
}
