//! What `mmc data check` found, as a page to look at.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mmc_data::check::{CheckReport, NearDuplicates, Overlap, SplitSummary, TextLengths};
use mmc_data::{ImageSource, thumbnail};

use crate::document::{Block, Card, Picture, Table, plain};
use crate::html;

/// Pixels of a side of the small pictures.
const SIDE: u32 = 160;
/// Problems and warnings, and groups of near duplicates, that are shown.
const SHOWN: usize = 100;
const GROUPS: usize = 12;
/// Pictures of a group that are shown.
const ROWS: usize = 4;
/// Letters of a text that are shown.
const LETTERS: usize = 300;
/// What stands for a count of what was not looked at, or is not there.
const UNKNOWN: &str = "–";

/// The report on a data set as one HTML page that needs nothing else, with some rows of each split and
/// small copies of their pictures.
#[must_use]
pub fn data_page(report: &CheckReport) -> String {
    let name = plain(&report.dataset);
    let mut page = vec![
        Block::Heading(1, format!("Check of {name}")),
        Block::Answer(answer(report)),
        Block::Paragraph(format!("Folder: `{}`", plain(&report.root.display().to_string()))),
    ];
    let all = |lines: &[String]| lines.iter().map(|line| plain(line)).collect::<Vec<_>>();
    page.extend((!report.notes.is_empty()).then(|| Block::List(all(&report.notes))));
    if !report.problems.is_empty() {
        let count = report.problems.len();
        page.push(Block::Heading(2, format!("Problems ({count})")));
        let shown = report.problems.iter().take(SHOWN).map(|found| plain(&found.message));
        page.push(Block::Alarms(shown.collect()));
        if count > SHOWN {
            let words = format!("And {} more: `mmc data check --json` lists all.", count - SHOWN);
            page.push(Block::Paragraph(words));
        }
    }
    if !report.warnings.is_empty() {
        page.push(Block::Heading(2, "Warnings".to_owned()));
        page.push(Block::Alarms(all(&report.warnings)));
    }
    if !report.splits.is_empty() {
        page.push(Block::Heading(2, "Splits".to_owned()));
        page.push(Block::Table(splits(report)));
    }
    // A table without rows would say that there is nothing, of what nobody looked at.
    let tables = [classes(report), overlaps(report), lengths(report)];
    page.extend(tables.into_iter().filter(|it| !it.rows.is_empty()).map(Block::Table));
    if report.overlaps.is_empty() {
        page.push(Block::Paragraph(format!(
            "Comparison of splits: {}.",
            plain(&report.comparison())
        )));
    }
    near(&report.near_duplicates, &mut page);
    if report.examples.is_empty() {
        return html::render(&page);
    }
    page.push(Block::Heading(2, "Some rows".to_owned()));
    let cards = report.examples.iter().map(|row| Card {
        title: plain(&format!("{} {}", row.split, row.id)),
        text: cut(&row.text),
        picture: row.image.as_ref().and_then(small),
        lines: vec![match &row.label {
            Some(label) => format!("label: **{}**", plain(label)),
            None => "no label".to_owned(),
        }],
    });
    page.push(Block::Gallery(cards.collect()));
    html::render(&page)
}

fn answer(report: &CheckReport) -> String {
    let (problems, warnings) = (report.problems.len(), report.warnings.len());
    match (problems, warnings) {
        (0, 0) => "Nothing wrong was found.".to_owned(),
        (0, warnings) => format!("Usable; {warnings} warnings to read first."),
        _ => format!("Not usable as it is: {problems} problems, {warnings} warnings."),
    }
}

fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn splits(report: &CheckReport) -> Table {
    let row = |split: &mmc_data::check::CheckedSplit| {
        let SplitSummary { name, rows, usable_rows, published_rows, .. } = &split.summary;
        let words = split.summary.words;
        let looked_at = |count: usize, looked_at: usize| {
            if looked_at > 0 { count.to_string() } else { UNKNOWN.to_owned() }
        };
        let (texts, pictures) = (*usable_rows, split.pictures_read);
        vec![
            plain(name),
            rows.to_string(),
            usable_rows.to_string(),
            published_rows.map_or_else(|| UNKNOWN.to_owned(), |rows| rows.to_string()),
            looked_at(split.summary.without_picture, texts),
            looked_at(split.summary.empty_texts, texts),
            words.map_or_else(String::new, |words| words.median.to_string()),
            words.map_or_else(String::new, |words| words.maximum.to_string()),
            looked_at(split.repeats.repeated_texts, texts),
            looked_at(split.repeats.repeated_pictures, pictures),
            looked_at(split.repeats.conflicts.len(), texts),
        ]
    };
    Table {
        caption: "Rows with nothing wrong are usable; words are separated by white space"
            .to_owned(),
        header: header(&[
            "split",
            "rows",
            "usable",
            "published",
            "without picture",
            "empty texts",
            "words, median",
            "words, most",
            "repeated texts",
            "repeated pictures",
            "conflicts",
        ]),
        rows: report.splits.iter().map(row).collect(),
        folded: false,
    }
}

fn classes(report: &CheckReport) -> Table {
    let mut rows = Vec::new();
    for split in &report.splits {
        let total = split.summary.usable_rows.max(1) as f64;
        let SplitSummary { classes, answer_types, frequent_answers, .. } = &split.summary;
        for class in classes.iter().chain(answer_types).chain(frequent_answers) {
            let percent = 100.0 * class.rows as f64 / total;
            let (split, name) = (plain(&split.summary.name), plain(&class.name));
            rows.push(vec![split, name, class.rows.to_string(), format!("{percent:.1} %")]);
        }
    }
    let has_answers = report.splits.iter().any(|split| !split.summary.answer_types.is_empty());
    let what = if has_answers { "kind of answer, or frequent answer" } else { "class" };
    let header = header(&["split", what, "rows", "share"]);
    Table { caption: "Balance of the classes".to_owned(), header, folded: rows.len() > 30, rows }
}

fn overlaps(report: &CheckReport) -> Table {
    let row = |overlap: &Overlap| {
        let Overlap { first, second, ids, texts, pictures, inputs } = overlap;
        let mut row = vec![format!("{}, {}", plain(first), plain(second))];
        row.extend([ids, texts].map(ToString::to_string));
        let of_pictures = [pictures, inputs].map(|count| {
            let compared = report.has_compared_pictures(overlap);
            if compared { count.to_string() } else { UNKNOWN.to_owned() }
        });
        row.extend(of_pictures);
        row
    };
    Table {
        caption: "What the usable rows of two splits have in common; pictures pixel by pixel"
            .to_owned(),
        header: header(&["splits", "ids", "texts", "pictures", "texts with the same picture"]),
        rows: report.overlaps.iter().map(row).collect(),
        folded: false,
    }
}

fn lengths(report: &CheckReport) -> Table {
    let rows = |found: &TextLengths| {
        let (model, limit) = (plain(&found.model), found.limit.to_string());
        let usual = found.max_length.map_or_else(String::new, |usual| usual.to_string());
        let counted = match &found.tokenizer {
            Some(folder) => format!("`{}`", plain(&folder.display().to_string())),
            None => "bounds".to_owned(),
        };
        let row = move |split: &mmc_data::check::SplitLengths| {
            let beyond = split.beyond_max_length;
            vec![
                model.clone(),
                plain(&split.split),
                split.texts.to_string(),
                limit.clone(),
                split.beyond_limit.to_string(),
                usual.clone(),
                beyond.map_or_else(String::new, |count| count.to_string()),
                if split.texts > split.uncounted {
                    split.longest.to_string()
                } else {
                    UNKNOWN.to_owned()
                },
                split.uncounted.to_string(),
                counted.clone(),
            ]
        };
        found.splits.iter().filter(|split| split.texts > 0).map(row).collect::<Vec<_>>()
    };
    Table {
        caption: "Texts with more tokens than a model is shown: all that it takes, and `--max-length` \
                  unless given. Bounds hold for every tokenizer of the model's kind, whose files are \
                  not in place"
            .to_owned(),
        header: header(&[
            "model",
            "split",
            "texts",
            "takes",
            "longer",
            "max-length",
            "longer than that",
            "tokens of the longest",
            "not counted",
            "tokenizer",
        ]),
        rows: report.text_lengths.iter().flat_map(rows).collect(),
        folded: false,
    }
}

fn near(near: &NearDuplicates, page: &mut Vec<Block>) {
    if near.groups.is_empty() {
        return;
    }
    let (count, threshold) = (near.groups.len(), near.threshold);
    page.push(Block::Heading(2, "Near duplicates".to_owned()));
    page.push(Block::Paragraph(format!(
        "{count} groups of pictures look alike without being the same: their difference hashes differ in \
         at most {threshold} of 64 bits. Those of several splits come first; the first {GROUPS} are shown."
    )));
    let mut cards = Vec::new();
    for (number, group) in near.groups.iter().take(GROUPS).enumerate() {
        for row in group.rows.iter().take(ROWS) {
            cards.push(Card {
                title: plain(&format!("{} {}", row.split, row.id)),
                text: String::new(),
                picture: row.image.as_ref().and_then(small),
                lines: vec![format!("group {}, line {}", number + 1, row.line)],
            });
        }
    }
    page.push(Block::Gallery(cards));
}

/// A small copy; one that cannot be made is among the problems already.
fn small(image: &ImageSource) -> Option<Picture> {
    let bytes = thumbnail(image, SIDE).ok()?;
    Picture::of(&format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes)))
}

fn cut(text: &str) -> String {
    let text = plain(text);
    match text.char_indices().nth(LETTERS) {
        Some((at, _)) => format!("{} …", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use mmc_data::{ReadOptions, check, dataset};

    use super::*;

    #[test]
    fn the_page_shows_rows_and_escapes_them() {
        let place = tempfile::tempdir().unwrap();
        let picture =
            image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8 * 6, y as u8, 9]));
        picture.save(place.path().join("a.png")).unwrap();
        let rows =
            "id,text,image,label\n<b>1</b>,<script>alert(1)</script>,a.png,x\n2,b,gone.png,y\n";
        std::fs::write(place.path().join("train.csv"), rows).unwrap();
        let table = dataset("table").unwrap();
        let report = check::check(table, place.path(), &ReadOptions::default()).unwrap();
        let page = data_page(&report);
        assert!(!page.contains("<script>") && !page.contains("<b>1"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
        assert!(page.contains("src=\"data:image/jpeg;base64,"), "{page}");
        assert!(page.contains("Not usable as it is: 3 problems"), "{page}");
        assert!(page.contains("gone.png") && page.contains("name=\"color-scheme\""), "{page}");
        assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
    }

    #[test]
    fn nothing_is_shown_of_what_was_not_read() {
        let place = tempfile::tempdir().unwrap();
        let table = dataset("table").unwrap();
        let page =
            || data_page(&check::check(table, place.path(), &ReadOptions::default()).unwrap());
        let none = page();
        assert!(none.contains("no split has a usable row, so none were compared"), "{none}");
        for claim in ["Some rows", "Balance of the classes", "in common", "Splits"] {
            assert!(!none.contains(claim), "{claim}: {none}");
        }
        // Rows without a picture that could be read: texts were compared, pictures were not.
        for split in ["train", "val", "test"] {
            let rows = format!("id,text,label\n{split}1,{split} a,x\n{split}2,{split} b,y\n");
            std::fs::write(place.path().join(format!("{split}.csv")), rows).unwrap();
        }
        let plain = page();
        assert!(
            plain.contains("Nothing wrong was found") && plain.contains("in common"),
            "{plain}"
        );
        let row = plain.split("train, val").nth(1).unwrap().split("</tr>").next().unwrap();
        let cells: Vec<&str> = row
            .split("<td")
            .skip(1)
            .map(|cell| cell.split('>').nth(1).unwrap().split('<').next().unwrap())
            .collect();
        assert_eq!(cells, ["0", "0", "–", "–"], "{row}");
    }
}
