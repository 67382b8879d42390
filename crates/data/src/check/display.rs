//! Reports as text for people.

use std::fmt;

use super::{
    Between, CheckReport, ClassCount, Info, Kind, NearDuplicates, Overlap, SplitSummary,
    TextLengths,
};

/// How many findings of one kind are written out.
const SHOWN: usize = 5;
/// How many answers of a split are counted one by one.
const ANSWERS: usize = 5;
/// How many classes of a split are counted one by one.
const CLASSES: usize = 20;

impl fmt::Display for CheckReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} in {}", self.dataset, self.root.display())?;
        self.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))?;
        writeln!(out)?;
        let widest = self.splits.iter().map(|split| split.summary.name.len()).max().unwrap_or(0);
        for split in &self.splits {
            write!(out, "{:widest$}  ", split.summary.name)?;
            write_summary(out, &split.summary)?;
            let repeats = &split.repeats;
            if repeats.repeated_texts + repeats.repeated_pictures > 0 {
                write!(
                    out,
                    "; repeated: {} texts, {} pictures",
                    repeats.repeated_texts, repeats.repeated_pictures
                )?;
            }
            writeln!(out)?;
        }
        self.write_overlaps(out)?;
        self.write_near(out)?;
        self.write_lengths(out)?;
        self.write_problems(out)?;
        if !self.warnings.is_empty() {
            writeln!(out)?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(out, "warning: {warning}"))?;
        let state = match (self.problems.len(), self.warnings.len()) {
            (0, 0) => "nothing wrong".to_owned(),
            (0, warnings) => format!("usable; warnings: {warnings}"),
            (problems, warnings) => format!("not usable: problems {problems}, warnings {warnings}"),
        };
        write!(out, "\n{state}")
    }
}

impl CheckReport {
    fn write_overlaps(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "\n{}", self.comparison())?;
        for overlap in self.shared() {
            let Overlap { first, second, ids, texts, pictures, inputs } = overlap;
            write!(out, "  {first}, {second}: {ids} ids, {texts} texts")?;
            if self.has_compared_pictures(overlap) {
                write!(out, ", {pictures} pictures, {inputs} texts with the same picture")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }

    fn write_near(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NearDuplicates { threshold, groups } = &self.near_duplicates;
        if groups.is_empty() {
            return Ok(());
        }
        let across = groups.iter().filter(|group| group.across_splits).count();
        writeln!(
            out,
            "\nnear duplicates (pictures whose difference hashes have at most {threshold} of 64 bits \
             that differ): {} groups, {across} of them across splits",
            groups.len()
        )?;
        for group in groups.iter().take(SHOWN) {
            let rows = group.rows.iter().take(SHOWN);
            let named: Vec<String> =
                rows.map(|row| format!("{} `{}` (line {})", row.split, row.id, row.line)).collect();
            let more = group.rows.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            writeln!(out, "  {}{more}", named.join(", "))?;
        }
        if groups.len() > SHOWN {
            writeln!(out, "  and {} more: `--json` lists all", groups.len() - SHOWN)?;
        }
        Ok(())
    }

    fn write_lengths(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let measured = self.text_lengths.iter().filter(|found| found.texts() > 0);
        let Some(widest) = measured.clone().map(|found| found.model.len()).max() else {
            return Ok(());
        };
        writeln!(out, "\ntexts with more tokens than a model is shown, over all splits")?;
        for found in measured {
            let TextLengths { model, limit, max_length, .. } = found;
            if found.counted() == 0 {
                writeln!(out, "  {model:widest$}  not known{}", found.how())?;
                continue;
            }
            let longer = |limit: usize| format!("{} over {limit}", found.longer_than(limit));
            write!(out, "  {model:widest$}  {}", longer(*limit))?;
            if let Some(usual) = max_length.filter(|usual| usual < limit) {
                write!(out, ", {} (`--max-length`, unless given)", longer(usual))?;
            }
            writeln!(out, ", the longest has {}{}", found.longest(), found.how())?;
        }
        if self.text_lengths.iter().any(|found| found.tokenizer.is_none()) {
            writeln!(
                out,
                "  bounds, for want of a tokenizer: a word or mark is one token at least, a letter (of \
                 RoBERTa and CLIP a byte) one at most; `mmc fetch MODEL` or `--checkpoint DIR` makes \
                 them counts"
            )?;
        }
        Ok(())
    }

    fn write_problems(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in [
            Kind::UnreadableSplit,
            Kind::MalformedRow,
            Kind::DuplicateId,
            Kind::WrongLabel,
            Kind::OutsidePicture,
            Kind::MissingPicture,
            Kind::UnreadablePicture,
        ] {
            let found: Vec<&str> = self
                .problems
                .iter()
                .filter(|finding| finding.kind == kind)
                .map(|finding| finding.message.as_str())
                .collect();
            if found.is_empty() {
                continue;
            }
            write!(out, "\n{}: {}", heading(kind), found.len())?;
            if kind == Kind::MissingPicture && self.missing_pictures > 0 {
                write!(out, " (pictures: {})", self.missing_pictures)?;
            }
            writeln!(out)?;
            found.iter().take(SHOWN).try_for_each(|message| writeln!(out, "  {message}"))?;
            if found.len() > SHOWN {
                writeln!(out, "  and {} more: `--json` lists all", found.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Between {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.at_least, self.at_most) {
            (0, 0) => out.pad("none"),
            (least, most) if least == most => write!(out, "{least}"),
            (0, most) => write!(out, "at most {most}"),
            (least, most) => write!(out, "at least {least} and at most {most}"),
        }
    }
}

fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::UnreadableSplit => "splits that cannot be read",
        Kind::MalformedRow => "rows that cannot be understood",
        Kind::DuplicateId => "ids used twice",
        Kind::WrongLabel => "wrong or missing labels",
        Kind::OutsidePicture => "rows whose picture is outside the data folder",
        Kind::MissingPicture => "rows whose picture is missing",
        Kind::UnreadablePicture => "pictures that cannot be decoded",
    }
}

fn write_summary(out: &mut fmt::Formatter<'_>, summary: &SplitSummary) -> fmt::Result {
    write!(out, "{} rows", summary.rows)?;
    if summary.usable_rows < summary.rows {
        let usable = summary.usable_rows;
        write!(
            out,
            ", {}",
            if usable == 0 { "none usable".to_owned() } else { format!("{usable} usable") }
        )?;
    }
    if let Some(published) = summary.published_rows
        && published != summary.rows
    {
        write!(out, " (published: {published})")?;
    }
    if summary.usable_rows == 0 {
        return Ok(());
    }
    if summary.labelled {
        let total = summary.usable_rows as f64;
        let share = |class: &ClassCount| {
            let percent = 100.0 * class.rows as f64 / total;
            format!("{} {} ({percent:.1} %)", class.name, class.rows)
        };
        let shares: Vec<String> = summary.classes.iter().take(CLASSES).map(share).collect();
        let more = summary.classes.len() - shares.len();
        let more = if more > 0 { format!(" and {more} classes more") } else { String::new() };
        // Answers to questions are no classes.
        if !shares.is_empty() {
            write!(out, ": {}{more}", shares.join(", "))?;
        } else if !summary.answer_types.is_empty() {
            let listed = |counts: &[ClassCount]| {
                counts.iter().take(ANSWERS).map(share).collect::<Vec<_>>().join(", ")
            };
            let (types, answers) = (&summary.answer_types, &summary.frequent_answers);
            write!(out, ": {}; most frequent answers: {}", listed(types), listed(answers))?;
        }
    } else {
        write!(out, ", no labels")?;
    }
    if let Some(words) = summary.words {
        write!(
            out,
            "; words: median {}, 95 % up to {}, longest {}",
            words.median, words.percentile_95, words.maximum
        )?;
    }
    if summary.empty_texts > 0 {
        write!(out, "; empty texts: {}", summary.empty_texts)?;
    }
    if summary.without_picture > 0 {
        write!(out, "; without picture: {}", summary.without_picture)?;
    }
    Ok(())
}

impl fmt::Display for Info {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}: {}", self.dataset, self.title)?;
        writeln!(out, "folder: {}", self.root.display())?;
        writeln!(out, "scored by: {}", self.primary_metric)?;
        writeln!(out, "licence: {}", self.licence)?;
        if let Some(homepage) = &self.homepage {
            writeln!(out, "described at: {homepage}")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(out, "note: {note}"))?;
        writeln!(out)?;
        let widest = self.splits.iter().map(|split| split.name.len()).max().unwrap_or(0);
        for split in &self.splits {
            write!(out, "{:widest$}  {:9}  ", split.name, split.role.unwrap_or(""))?;
            match &split.summary {
                Some(summary) => write_summary(out, summary)?,
                None if split.present => {
                    write!(out, "cannot be read: {}", split.missing.as_deref().unwrap_or(""))?;
                }
                None => write!(out, "absent")?,
            }
            if split.problems > 0 {
                write!(out, "; problems: {} (`mmc data check` names them)", split.problems)?;
            }
            writeln!(out)?;
        }
        if self.splits.iter().all(|split| split.summary.is_none()) {
            if let Some(why) = self.splits.iter().find_map(|split| split.missing.as_ref()) {
                // What is said of an absent folder ends in how to get the data.
                let why = why.strip_suffix(self.obtain.as_str()).unwrap_or(why);
                writeln!(out, "\n{}", why.trim_end_matches("; "))?;
            }
            write!(out, "\nhow to get it: {}", self.obtain)
        } else {
            Ok(())
        }
    }
}
