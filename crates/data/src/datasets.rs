//! The table of data sets: one row holds all that is known of each.

use crate::dataset::{Dataset, SplitInfo, Task};
use crate::{hateful_memes, snli_ve, table, vqa_v2};

const fn split(name: &'static str, rows: usize) -> SplitInfo {
    SplitInfo { name, rows: Some(rows), part_of: None }
}

/// A split without a published file of its own.
const fn unpublished(name: &'static str) -> SplitInfo {
    SplitInfo { name, rows: None, part_of: None }
}

/// A split whose rows are in `part_of` too.
const fn part(name: &'static str, rows: usize, part_of: &'static str) -> SplitInfo {
    SplitInfo { name, rows: Some(rows), part_of: Some(part_of) }
}

/// Rows of one's own, in a table for each split.
const TABLE: Dataset = Dataset {
    name: "table",
    title: "your own table",
    splits: &[unpublished("train"), unpublished("val"), unpublished("test")],
    train: "train",
    selection: "val",
    test: "test",
    task: Task::Classes,
    primary_metric: "accuracy",
    classes: None,
    licence: "your own",
    obtain: "write `train.csv`, `val.csv` and `test.csv` (or `.jsonl`, `.parquet`) with the \
             columns `id`, `text`, `image`, `label` into one folder and name it with \
             `--data-root`; `image` is a path relative to that folder, also into an archive \
             (`pictures.zip/a.jpg`), or in Parquet the picture's bytes, and may be left out of every row; `mmc \
             data split` makes the three files of one",
    homepage: None,
    locate: table::locate,
    scan: table::scan,
};

/// Every data set that can be read, in the order in which they are listed to users.
pub const DATASETS: &[Dataset] = &[
    Dataset {
        name: "hateful_memes",
        title: "Hateful Memes",
        splits: &[
            split("train", 8500),
            split("dev_seen", 500),
            split("dev_unseen", 540),
            split("test_seen", 1000),
            split("test_unseen", 2000),
            // Of the first release, by other names.
            part("dev", 500, "dev_seen"),
            part("test", 1000, "test_seen"),
        ],
        train: "train",
        selection: "dev_unseen",
        test: "test_unseen",
        task: Task::Classes,
        primary_metric: "auroc",
        classes: Some(&["not_hateful", "hateful"]),
        licence: "Hateful Memes Challenge dataset licence: research only, no redistribution",
        obtain: "the challenge's download page is closed and its licence forbids copies, so ask \
                 its authors or use the copy you hold; unpack it so that `data/hateful_memes/` \
                 holds `img/`, `train.jsonl`, `dev_unseen.jsonl` and `test_unseen.jsonl` (or set \
                 `--data-root`); to try things out without it, `mmc data demo --dataset \
                 hateful_memes --truth interaction --out DIR` writes a made-up set in its format, \
                 which no study is made on",
        homepage: Some("https://ai.meta.com/tools/hatefulmemes/"),
        locate: hateful_memes::locate,
        scan: hateful_memes::scan,
    },
    Dataset {
        name: "snli_ve",
        title: "SNLI-VE (visual entailment)",
        splits: &[split("train", 529_527), split("dev", 17_858), split("test", 17_901)],
        train: "train",
        selection: "dev",
        test: "test",
        task: Task::Classes,
        primary_metric: "accuracy",
        classes: Some(&["entailment", "neutral", "contradiction"]),
        licence: "texts: SNLI, CC BY-SA 4.0; pictures: Flickr30k, research only, no redistribution",
        obtain: "make `snli_ve_train.jsonl`, `snli_ve_dev.jsonl` and `snli_ve_test.jsonl` with its \
                 authors' generator from SNLI 1.0, ask for the Flickr30k pictures, and put the \
                 three files and the folder `flickr30k_images/` into `data/snli_ve/` (or set \
                 `--data-root`); to try things out without it, `mmc data demo --dataset snli_ve \
                 --truth interaction --out DIR` writes a made-up set in its format, which no study \
                 is made on",
        homepage: Some("https://github.com/necla-ml/SNLI-VE"),
        locate: snli_ve::locate,
        scan: snli_ve::scan,
    },
    Dataset {
        name: "vqa_v2",
        title: "VQA v2 (questions about pictures)",
        splits: &[
            // The published training file, cut by pictures.
            unpublished("train"),
            unpublished("held_out"),
            split("val", 214_354),
            split("test", 447_793),
            part("test-dev", 107_394, "test"),
        ],
        train: "train",
        selection: "held_out",
        test: "val",
        task: Task::Answers,
        primary_metric: "vqa_accuracy",
        classes: None,
        licence: "questions and answers: CC BY 4.0; pictures: COCO, terms of use of Flickr",
        obtain: "download questions, annotations and the COCO pictures of 2014 (and, to predict \
                 `test`, of 2015) from its homepage and put all of it into `data/vqa_v2/` (or \
                 set `--data-root`), as the archives that it is or unpacked, so that it holds `v2_OpenEnded_mscoco_train2014_questions.json`, \
                 `v2_mscoco_train2014_annotations.json`, the same of `val2014`, and the folders \
                 `train2014/` and `val2014/`; to try things out without it, `mmc data demo --dataset \
                 vqa_v2 --truth interaction --out DIR` writes a made-up set in its format, which no \
                 study is made on",
        homepage: Some("https://visualqa.org/download.html"),
        locate: vqa_v2::locate,
        scan: vqa_v2::scan,
    },
    TABLE,
    Dataset {
        name: "news",
        title: "news (Spanish, as a table)",
        obtain: "write `train.csv`, `val.csv` and `test.csv` (or `.jsonl`, `.parquet`) with the \
                 columns `id`, `text`, `image`, `label` into `data/news/` or name their folder with \
                 `--data-root`; `image` is a path relative to that folder, also into an archive, and \
                 may be left out of every row",
        ..TABLE
    },
];
