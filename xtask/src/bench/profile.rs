//! Where the processor time of a training step goes, by `perf`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::steps::Programs;
use super::{Options, Suite};
use crate::failure::{Failure, workspace};

pub(super) const SUITE: Suite = Suite {
    name: "profile",
    cases: &["bert-16x128", "bert-16x32", "vilt-4x40"],
    measure,
    header: "case,percent,symbol",
    section,
};

/// What the time goes into, by what the names of functions contain; the first that fits counts.
const PARTS: &[(&str, &[&str])] = &[
    ("matrix products", &["gemm_f32::microkernel"]),
    ("laying matrices out for them", &["gemm_common", "gemm_f32"]),
    ("norms, activations, softmax, dropout", &["pulp::", "mmc_ops", "chacha"]),
    ("candle's own operations, waiting for each other", &["candle_core", "std::sys::backtrace"]),
    ("the system: pages, threads", &["[k]"]),
    ("optimizer, sums of gradients", &["mmc_train", "call_mut", "bridge_producer_consumer"]),
];

fn measure(cases: &[&'static str], _options: &Options) -> Result<Vec<String>, Failure> {
    let programs = Programs::new()?;
    let record = workspace().join("target/bench/perf.data");
    let mut rows = Vec::new();
    for case in cases {
        programs.make(case)?;
        let work = programs.ours(case, "train", &["equal".to_owned()]);
        let mut perf = Command::new("perf");
        perf.args(["record", "-F", "499", "-o"]).arg(&record).arg("--");
        perf.arg(work.get_program()).args(work.get_args()).env("RAYON_NUM_THREADS", "2");
        let perf = perf.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = perf.spawn().map_err(|error| {
            Failure::work(format!("perf: {error}; the suite `profile` needs Linux's `perf`"))
        })?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(b"\n\n\n\n\n\n")?;
        }
        if !child.wait()?.success() {
            return Err(Failure::work(format!("perf could not record `{case}`")));
        }
        let mut report = Command::new("perf");
        report.args(["report", "--no-children", "--stdio", "-F", "overhead,sym", "-t", ";", "-i"]);
        let report = report.arg(&record).stderr(Stdio::null()).output()?;
        let report = String::from_utf8_lossy(&report.stdout);
        rows.extend(report.lines().filter_map(|line| {
            let (percent, symbol) = line.split_once('%')?;
            let percent: f64 = percent.trim().parse().ok()?;
            let symbol = symbol.trim_start_matches([' ', ';']).replace(',', " ");
            (percent >= 0.05).then(|| format!("{case},{percent},{symbol}"))
        }));
        say!("profile, {case}");
    }
    Ok(rows)
}

/// The shares of the parts, from the raw rows alone.
fn section(rows: &[String]) -> Result<String, Failure> {
    let mut text = INTRODUCTION.to_owned();
    let mut header = String::from("| case |");
    for (part, _) in PARTS {
        write!(header, " {part} |")?;
    }
    writeln!(text, "{header} the rest |")?;
    writeln!(text, "| --- |{}", " ---: |".repeat(PARTS.len() + 1))?;
    for case in SUITE.cases {
        let mut shares = vec![0.0; PARTS.len()];
        for row in rows {
            let mut cells = row.splitn(3, ',');
            let (Some(of), Some(percent), Some(symbol)) =
                (cells.next(), cells.next(), cells.next())
            else {
                return Err(Failure::work(format!("docs/benchmarks/profile.csv: `{row}`")));
            };
            let fits =
                |(_, names): &(&str, &[&str])| names.iter().any(|name| symbol.contains(name));
            if let Some(part) = PARTS.iter().position(fits).filter(|_| of == *case) {
                shares[part] += percent.parse::<f64>()?;
            }
        }
        let rest = 100.0 - shares.iter().sum::<f64>();
        write!(text, "| {case} |")?;
        for share in shares.iter().chain([&rest]) {
            write!(text, " {share:.1} % |")?;
        }
        writeln!(text)?;
    }
    Ok(text)
}

const INTRODUCTION: &str = "\
## Profile

Of six training steps with the loading of the model, processor time of both threads, sampled by `perf`. What \
functions of the same name do cannot be told apart, so a part may hold a little of another's.

";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_summed_by_part() {
        let rows =
            ["vilt-4x40,70.5,[.] gemm_f32::microkernel::fma::f32::x2x6", "vilt-4x40,9,[k] fault"];
        let table = section(&rows.map(str::to_owned)).unwrap();
        let expected = "| vilt-4x40 | 70.5 % | 0.0 % | 0.0 % | 0.0 % | 9.0 % | 0.0 % | 20.5 % |\n";
        assert!(table.ends_with(expected), "{table}");
        assert!(section(&["a".to_owned()]).is_err());
    }
}
