//! Making tokens of texts, beside the same tokenizers library behind Python.

use std::fmt::Write as _;
use std::process::Command;

use super::peer::{alternate, built};
use super::rows::Rows;
use super::spread::{median, ratios};
use super::{Options, Suite};
use crate::failure::{Failure, workspace};
use crate::references;

pub(super) const SUITE: Suite = Suite {
    name: "tokenizer",
    cases: &["1 thread", "2 threads"],
    measure,
    header: "case,pair,side,wall_seconds,tokens",
    section,
};

const SIDES: [&str; 2] = ["mmc", "transformers"];

fn measure(cases: &[&'static str], options: &Options) -> Result<Vec<String>, Failure> {
    let root = workspace();
    let python = references::environment(&root)?;
    let program = built(&root, "tokens")?;
    let script = root.join("xtask/peer/tokens.py");
    let texts = root.join("target/bench/texts.txt");
    std::fs::create_dir_all(root.join("target/bench"))?;
    let mut make = Command::new(&python);
    make.arg(&script).arg("make").arg(root.join("data/emoji/train.csv")).arg(&texts);
    if !make.status()?.success() {
        return Err(Failure::work(format!("{}: cannot make texts", script.display())));
    }
    let mut rows = Vec::new();
    for case in cases {
        let threads = if *case == "1 thread" { 1 } else { 2 };
        let checkpoint = root.join("data/checkpoints/bert-tiny-emoji");
        let mut sides = [Command::new(&program), Command::new(&python)];
        sides[1].arg(&script);
        for side in &mut sides {
            side.arg(&checkpoint).arg(&texts);
        }
        for ((rounds, _), side) in alternate(sides, options.pairs, threads)?.iter().zip(SIDES) {
            for (pair, round) in rounds.iter().enumerate() {
                rows.push(format!("{case},{},{side},{},{}", pair + 1, round.wall, round.loss));
            }
        }
        say!("tokenizer, {case}: {} pairs", options.pairs);
    }
    Ok(rows)
}

/// The medians, from the raw rows alone.
fn section(rows: &[String]) -> Result<String, Failure> {
    let rows = Rows::of("tokenizer", rows, 5)?;
    let mut text = INTRODUCTION.to_owned();
    for case in SUITE.cases {
        let of = |side, column| rows.numbers(&[case], (2, side), column);
        let (ours, theirs) = (of("mmc", 3), of("transformers", 3));
        let [tokens, their_tokens] = SIDES.map(|side| median(of(side, 4)));
        if ours.is_empty() {
            continue;
        }
        if (tokens - their_tokens).abs() > 0.5 {
            let found = format!("{tokens} tokens here, {their_tokens} there");
            return Err(rows.fault(&found));
        }
        writeln!(
            text,
            "| {case} | {tokens} | {:.0} | {:.0} | {} |",
            20.0 / median(ours.clone()),
            20.0 / median(theirs.clone()),
            ratios(&ours, &theirs),
        )?;
    }
    Ok(text)
}

const INTRODUCTION: &str = "\
## Tokenizer

20,000 texts as long as those of memes, a WordPiece vocabulary, special tokens and truncation; mmc one text at \
a time, as it trains, transformers all texts in one call. Both stand on the same library.

| threads | tokens | mmc, thousand texts a second | transformers, thousand texts a second | ratio of times |
| --- | ---: | ---: | ---: | ---: |
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_to_find_the_same_tokens() {
        let rows = |tokens: u32| {
            vec!["1 thread,1,mmc,2,500".to_owned(), format!("1 thread,1,transformers,4,{tokens}")]
        };
        let table = section(&rows(500)).unwrap();
        assert!(table.ends_with("| 1 thread | 500 | 10 | 5 | 0.50 [0.50, 0.50] |\n"), "{table}");
        assert!(section(&rows(501)).is_err());
    }
}
