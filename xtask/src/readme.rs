//! `cargo xtask readme`: the excerpt of a real report in README.md, copied from the report that
//! `cargo xtask experiment hateful_memes` left.

use std::fs;

use crate::failure::{Failure, workspace};

const BEGIN: &str = "<!-- report:begin -->";
const END: &str = "<!-- report:end -->";
/// The sections that are shown, beside all that stands before the first.
const SECTIONS: &[&str] = &["Scores", "Gain over text", "Cost", "Advice"];

/// Replaces what stands between the marks of README.md.
pub(crate) fn refresh() -> Result<(), Failure> {
    let root = workspace();
    let report = root.join("results/hateful_memes/report.md");
    let text = fs::read_to_string(&report).map_err(|error| {
        let path = report.display();
        Failure::work(format!("{path}: {error}; run `cargo xtask experiment hateful_memes` first"))
    })?;
    let path = root.join("README.md");
    let readme = fs::read_to_string(&path)?;
    let (before, rest) = cut(&readme, BEGIN)?;
    let (_, after) = cut(rest, END)?;
    fs::write(&path, format!("{before}{BEGIN}\n\n{}\n{END}{after}", excerpt(&text)))?;
    Ok(())
}

/// What stands before and behind a mark of a README.md.
pub(crate) fn cut<'a>(text: &'a str, mark: &str) -> Result<(&'a str, &'a str), Failure> {
    text.split_once(mark).ok_or_else(|| Failure::work(format!("README.md has no line `{mark}`")))
}

/// The chosen sections as a quotation, with headings as bold words, since README.md has its own.
fn excerpt(report: &str) -> String {
    let mut shown = true;
    let mut lines = String::new();
    for line in report.lines() {
        if let Some(section) = line.strip_prefix("## ") {
            shown = SECTIONS.contains(&section);
        }
        if shown {
            let words = line.trim_start_matches('#').trim();
            let line = if line.starts_with('#') { format!("**{words}**") } else { line.to_owned() };
            lines += format!("> {line}").trim_end();
            lines.push('\n');
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_quotes_the_opening_and_the_chosen_sections() {
        let report =
            "# Title\n\nverdict: multimodal\n\n## Data\n\nleft out\n\n## Scores\n\n| a |\n";
        let expected = "> **Title**\n>\n> verdict: multimodal\n>\n> **Scores**\n>\n> | a |\n";
        assert_eq!(excerpt(report), expected);
    }
}
