//! What the help pages end with: examples that can be typed as they are.

pub(super) const AFTER_MMC: &str = "\
Examples:
  A made-up data set, a run on it, its score:
    mmc data demo --dataset hateful_memes --truth interaction --out demo
    mmc train --model vilt-tiny --dataset hateful_memes --data-root demo --out runs/vilt
    mmc evaluate --predictions runs/vilt/predictions/test_unseen.parquet

  The whole question, with a report (from a clone of the project):
    cargo xtask experiment hateful_memes

Exit codes: 0 done, 1 the work failed, 2 it was asked for wrongly.
Logs go to stderr; RUST_LOG=debug shows more, RUST_LOG=warn less; --log-format json, with any
command, writes each line as an object.";

pub(super) const AFTER_TRAIN: &str = "\
Examples:
  A tiny BERT from scratch on your own table (train, val, test files in data/emoji):
    mmc train --model bert-tiny --dataset table --data-root data/emoji --out runs/emoji

  ViLT with pretrained weights from models/vilt, and its text arm as the control:
    mmc train --model vilt --dataset hateful_memes --out runs/vilt
    mmc train --model vilt --arm text --dataset hateful_memes --out runs/vilt-text

  Stopped by Ctrl-C or a power cut? The same command and --resume gives the same bytes:
    mmc train --model vilt --dataset hateful_memes --out runs/vilt --resume

A setting is taken from its flag, else from --config, else from the model's preset: 10 epochs of
batches of 16 at 2e-5; a tiny model 3 epochs of 32 at 2e-3 with a tenth of warm-up. RUN_DIR holds
config.toml, train.jsonl, eval.jsonl, predictions/, scores.json, cost.json and checkpoint/, and also
state/ (what --resume goes on from) and tensorboard/.";

pub(super) const AFTER_EVALUATE: &str = "\
Examples:
  mmc evaluate --checkpoint runs/vilt/checkpoint --dataset hateful_memes --split test_unseen
  mmc evaluate --predictions runs/vilt/predictions/test_unseen.parquet --json
  mmc evaluate --predictions from_sklearn.csv --positive hateful

A predictions file has the columns id, label, prediction and probability:NAME for each class
(or one column `probability` for the positive class). Intervals are at 95 %.";

pub(super) const AFTER_PREDICT: &str = "\
Examples:
  mmc predict --checkpoint runs/vilt/checkpoint --input new.jsonl --out new.predictions.jsonl
  mmc predict --checkpoint runs/vilt/checkpoint --input new.csv --image-root photos --out p.parquet

A row of the input: {\"id\": \"7\", \"text\": \"look how many people love you\", \"image\": \"img/7.png\"}";

pub(super) const AFTER_EMBED: &str = "\
Example:
  mmc embed --checkpoint runs/vilt/checkpoint --input new.jsonl --out new.safetensors

Read it in Python:
  safetensors.numpy.load_file(\"new.safetensors\")[\"embeddings\"]   # [rows, width]";

pub(super) const AFTER_COMPARE: &str = "\
Examples:
  Five seeds a side; the picture must be worth two points to matter:
    mmc compare --baseline runs/bert-*/predictions/test_unseen.parquet \\
                --candidate runs/vilt-*/predictions/test_unseen.parquet --margin 0.02

  Two files of any framework, items tied together by author:
    mmc compare --baseline sklearn.csv --candidate mine.csv --metric accuracy --cluster author

The decision: `candidate` if the difference is significant and at least the margin, `baseline` if
it is shown to lie below the margin, else `undecided`.";

pub(super) const AFTER_POWER: &str = "\
Examples:
  Can 1,000 test items and 3 seeds tell whether pictures are worth two points of accuracy?
    mmc power --items 1000 --seeds 3 --margin 0.02 --accuracy 0.7

  The same from runs that are there, in AUC-ROC:
    mmc power --items 2000 --seeds 5 --margin 0.02 \\
              --pilot runs/bert-*/predictions/dev_unseen.parquet \\
              --pilot-candidate runs/vilt-*/predictions/dev_unseen.parquet

A verdict is `multimodal` if the gain is significant and its estimate at least the margin, `text
suffices` if it is shown to lie below the margin, else `undecided`. Items and seeds limit it each by
itself: where the items alone blur the gain, no number of seeds will do, and the other way round.
Plan for a gain that would matter, never for one that was observed: that answers nothing.";

pub(super) const AFTER_DIAGNOSE: &str = "\
Examples:
  What one checkpoint uses, and what it gains from text and picture only together:
    mmc diagnose --checkpoint runs/vilt/checkpoint --dataset hateful_memes --split test_unseen

  The whole ledger over seeds: backbone + picture by itself + interaction = gain over BERT:
    mmc diagnose --checkpoint runs/vilt-*/checkpoint --text-arm runs/vilt_text-*/checkpoint \\
                 --text-model runs/bert-*/checkpoint --dataset hateful_memes --split test_unseen

  A finished run; its diagnosis.json is what `mmc report` reads:
    mmc diagnose --run results/hateful_memes/runs/vilt-both-0

A model that reads the text alone cannot be diagnosed: train one with --arm both.";

pub(super) const AFTER_REPORT: &str = "\
Example:
  mmc report results/hateful_memes
  mmc report results/hateful_memes --price-per-hour 1.2 --watts 300 --value-per-correct 0.05

Writes report.html, report.md, runs.csv, runs.parquet, analysis.ipynb and verdict.json into the
folder and prints the verdict.";

pub(super) const AFTER_FETCH: &str = "\
Examples:
  mmc fetch vilt
  mmc fetch google-bert/bert-large-uncased
  mmc fetch dccuchile/bert-base-spanish-wwm-cased@main

The files go into the cache that Python's libraries use, where mmc train finds them. Stopped? The
same command goes on. HF_HOME or HF_HUB_CACHE moves the cache, HF_TOKEN opens gated repositories,
HF_ENDPOINT names a mirror, HF_HUB_OFFLINE=1 forbids the network.";

pub(super) const AFTER_DATA: &str = "\
Examples:
  mmc data info
  mmc data info --dataset hateful_memes
  mmc data check --dataset table --data-root data/emoji
  mmc data demo --dataset hateful_memes --truth interaction --out demo";

pub(super) const AFTER_DATA_CHECK: &str = "\
Examples:
  mmc data check --dataset hateful_memes
  mmc data check --dataset table --data-root data/emoji
  mmc data check --dataset table --data-root mine --text-column caption --json
  mmc data check --dataset table --data-root mine --checkpoint runs/text/checkpoint

Exit code 1 where the set cannot be used as it is.";

pub(super) const AFTER_DATA_INFO: &str = "\
Examples:
  mmc data info
  mmc data info --dataset hateful_memes
  mmc data info --dataset table --data-root data/emoji --json";

pub(super) const AFTER_DATA_SPLIT: &str = "\
Examples:
  mmc data split --input all.csv --out mine
  mmc data split --input all.parquet --out mine --fractions .7,.1,.2 --group author --seed 1

Rows with the same picture stay together, by content where it can be read beside the table, else by
path; so do rows with the same value of --group. Each class of --stratify has its share in each split.
Rows are copied as they are, in their order; no file is overwritten.";

pub(super) const AFTER_PLAN: &str = "\
Examples:
  Parameters, operations and peak memory of a run; no weights are needed:
    mmc plan --model vilt --batch-size 16 --max-length 40

  The same, and the hours, from the rows of a data set and a few steps timed on this machine:
    mmc plan --model bert --dataset hateful_memes --measure

  A machine with less memory: a batch that fits, accumulated to the same step:
    mmc plan --model clip-l14 --batch-size 32 --memory 8GiB

  A whole experiment: what is in place, and the hours at the speed of your machine:
    mmc plan --grid configs/hateful_memes.toml --flops-per-second 2e11

Memory and time are those of the CPU, and the most that there may be: every text has --max-length
tokens. The memory of a step is that of one shard (--shard-rows), not of a batch, so smaller
batches matter below 8 rows only. --flops-per-second is that of training: --measure prints it, and
so a figure from one model serves for the next.";

pub(super) const AFTER_DATA_DEMO: &str = "\
Truths:
  interaction  the label follows from picture and text together; each alone is at chance
  redundant    the picture repeats what the text says
  image        the picture alone decides
  text         the text alone decides, pictures are decoration
  none         nothing decides: the labels are coins

Examples:
  mmc data demo --dataset hateful_memes --truth interaction --out demo
  mmc data demo --dataset snli_ve --truth text --out entailment
  mmc data demo --dataset vqa_v2 --truth interaction --out questions";
