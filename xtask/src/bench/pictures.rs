//! Making pixels of JPEG files, beside the image processors of transformers and Pillow.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use super::peer::{alternate, built};
use super::rows::Rows;
use super::spread::{median, ratios};
use super::{Options, Suite};
use crate::failure::{Failure, workspace};
use crate::references;

pub(super) const SUITE: Suite = Suite {
    name: "preprocess",
    cases: &["224", "384"],
    measure,
    header: "case,threads,work,pair,side,wall_seconds,cpu_seconds,mean,mean_levels,p99_levels,most_levels",
    section,
};

/// What mmc does, and beside whom.
const WORKS: [(&str, &str); 5] = [
    ("resize", "pillow"),
    ("exact", "fast"),
    ("exact", "slow"),
    ("scaled", "fast"),
    ("scaled", "slow"),
];

/// Pictures of a round.
const PICTURES: f64 = 32.0;

/// How far means of normalised values may lie apart: both sides have to make the same picture.
const SAME: f64 = 0.01;

const SCRIPT: &str = "xtask/peer/pictures.py";

/// The folder of the pictures, and of an image processor for each size, which are made.
pub(super) fn made() -> Result<PathBuf, Failure> {
    let root = workspace();
    let (script, folder) = (root.join(SCRIPT), root.join("target/bench/pictures"));
    let mut make = Command::new(references::environment(&root)?);
    make.arg(&script).arg("make").arg(&folder);
    if make.status()?.success() {
        return Ok(folder);
    }
    Err(Failure::work(format!("{}: cannot make pictures", script.display())))
}

fn measure(cases: &[&'static str], options: &Options) -> Result<Vec<String>, Failure> {
    let root = workspace();
    let python = references::environment(&root)?;
    let program = built(&root, "pictures")?;
    let script = root.join(SCRIPT);
    let folder = made()?;
    let mut rows = Vec::new();
    for case in cases {
        for threads in [1, 2] {
            for (work, peer) in WORKS {
                let (mut ours, mut theirs) = (Command::new(&program), Command::new(&python));
                ours.arg(work).arg(&folder).arg(case);
                theirs.arg(&script).arg(peer).arg(case).arg(&folder);
                let measured = alternate([ours, theirs], options.pairs, threads)?;
                for ((rounds, end), side) in measured.iter().zip(["mmc", peer]) {
                    let levels: Vec<String> = (0..3)
                        .map(|at| end.levels.get(at).map_or(String::new(), f64::to_string))
                        .collect();
                    let levels = levels.join(",");
                    for (pair, round) in rounds.iter().enumerate() {
                        let (wall, cpu, mean) = (round.wall, round.cpu, round.loss);
                        let pair = pair + 1;
                        rows.push(format!(
                            "{case},{threads},{work}:{peer},{pair},{side},{wall},{cpu},{mean},{levels}"
                        ));
                    }
                }
                say!("{case}, {threads} threads, {work} beside {peer}: {} pairs", options.pairs);
            }
        }
    }
    Ok(rows)
}

/// The medians, from the raw rows alone.
fn section(rows: &[String]) -> Result<String, Failure> {
    let rows = Rows::of("preprocess", rows, 11)?;
    let mut text = INTRODUCTION.to_owned();
    let mut levels = String::new();
    for case in SUITE.cases {
        for (work, peer) in WORKS {
            for threads in ["1", "2"] {
                let both = format!("{work}:{peer}");
                let name = [*case, threads, both.as_str()];
                let of = |side, column| rows.numbers(&name, (4, side), column);
                let (ours, theirs) = (of("mmc", 5), of(peer, 5));
                if ours.is_empty() {
                    continue;
                }
                let means = [of("mmc", 7), of(peer, 7)].map(median);
                if (means[0] - means[1]).abs() > SAME {
                    let found =
                        format!("{}: a mean of {} here, {} there", name[2], means[0], means[1]);
                    return Err(rows.fault(&found));
                }
                let milliseconds = |times: &[f64]| 1000.0 * median(times.to_vec()) / PICTURES;
                let times = median(theirs.iter().zip(&ours).map(|(a, b)| a / b).collect());
                writeln!(
                    text,
                    "| {case} | {} | {} | {threads} | {:.2} ms | {:.2} ms | {} | {} | {times:.1} |",
                    words(work),
                    words(peer),
                    milliseconds(&ours),
                    milliseconds(&theirs),
                    ratios(&ours, &theirs),
                    ratios(&of("mmc", 6), &of(peer, 6)),
                )?;
                if (work, peer, threads) == ("scaled", "fast", "1") {
                    let [mean, p99, most] = [8, 9, 10].map(|column| median(of("mmc", column)));
                    write!(levels, " To {case}: {mean:.2}, {p99:.0} and {most:.0} levels.")?;
                }
            }
        }
    }
    writeln!(
        text,
        "\nWith `--jpeg-scaling` the levels of 8 bits that the model sees differ from those of exact \
         decoding; mean, 99th percentile and most over these pictures.{levels}"
    )?;
    Ok(text)
}

fn words(work: &str) -> &'static str {
    match work {
        "resize" => "resize, crop, normalise",
        "exact" => "all, exact",
        "scaled" => "all, `--jpeg-scaling`",
        "pillow" => "Pillow and numpy",
        "fast" => "transformers, torchvision",
        _ => "transformers, Pillow",
    }
}

const INTRODUCTION: &str = "\
## Pictures

Photographs of 1024 × 768 pixels (scikit-learn's two, mirrored at their edges; JPEG of quality 85, 4:2:0, \
89 to 260 kB), to what CLIP (224) and ViLT (384) see. *All* is from the file to normalised values; \
transformers is given paths, eight at a time, and decodes by torchvision 0.26 (libjpeg-turbo) or Pillow \
12.0. *Resize* begins with decoded pictures. Each thread prepares pictures of its own. Milliseconds a \
picture by the clock.

| to | work | beside | threads | mmc | the other | ratio, wall | ratio, CPU | times faster |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_to_make_the_same_picture() {
        let rows = |mean: f64| {
            vec![
                "224,1,scaled:fast,1,mmc,0.032,0.03,0.5,1.5,9,40".to_owned(),
                format!("224,1,scaled:fast,1,fast,0.064,0.06,{mean},,,"),
            ]
        };
        let table = section(&rows(0.505)).unwrap();
        let row = "| 224 | all, `--jpeg-scaling` | transformers, torchvision | 1 | 1.00 ms | 2.00 ms | \
                   0.50 [0.50, 0.50] | 0.50 [0.50, 0.50] | 2.0 |\n";
        assert!(table.contains(row), "{table}");
        assert!(table.contains("To 224: 1.50, 9 and 40 levels."), "{table}");
        assert!(section(&rows(0.6)).is_err());
    }
}
