//! Hateful Memes (Kiela et al., 2020): one JSON object a line with `id`, `img`, `label`, `text`.

use std::path::{Path, PathBuf};

use crate::dataset::Request;
use crate::error::listed;
use crate::rows::{RawRow, read_rows};
use crate::scan::{Collector, FieldError, Fields, Labels, Scan, name_of, text_of};
use crate::{DataError, demo};

const COLUMNS: [&str; 4] = ["id", "img", "text", "label"];

/// The file of a split.
pub(crate) fn locate(root: &Path, split: &str) -> Result<PathBuf, DataError> {
    let path = root.join(format!("{split}.jsonl"));
    if path.is_file() {
        return Ok(path);
    }
    let problem = format!("the split `{split}` has no file; put it there as it was released");
    Err(DataError::file(&path, problem))
}

/// Reads one split.
pub(crate) fn scan(request: &Request<'_>) -> Result<Scan, DataError> {
    let path = locate(request.root, request.split)?;
    let classes = request.dataset.classes.unwrap_or_default();
    let labels = Labels {
        names: classes.iter().copied().map(str::to_owned).collect(),
        codes: (0..classes.len()).map(|class| class.to_string()).collect(),
        remedy: "fix the row or drop it",
    };
    let mut collector = Collector::new(request, &path, labels)?;
    collector.notes.extend(demo::note(request.root)?);
    for row in read_rows(&path, &COLUMNS)?.rows {
        collector.add(row, fields);
    }
    collector.finish()
}

fn fields(row: &RawRow) -> Result<Fields, FieldError> {
    let [id, image, text, label] = row.values.as_slice() else {
        return Err((String::new(), "the row has no columns".to_owned()));
    };
    let missing = |field: &str| {
        let others = listed(row.others.iter().map(String::as_str));
        let words = format!(
            "no `{field}`; a row has `id`, `img`, `text` and, unless the split is unlabelled, \
             `label`, and this one has also {others}; fix the row or drop it"
        );
        (field.to_owned(), words)
    };
    Ok(Fields {
        id: Some(name_of("id", id)?.ok_or_else(|| missing("id"))?),
        text: text_of("text", text)?.ok_or_else(|| missing("text"))?,
        image: Some(
            text_of("img", image)?.filter(|path| !path.is_empty()).ok_or_else(|| missing("img"))?,
        ),
        label: name_of("label", label)?,
    })
}
