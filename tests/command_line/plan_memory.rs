//! `mmc plan` against what was measured: planned memory within 15 % of the high-water mark.
//!
//! The steps of `docs/benchmarks`, measured by `cargo xtask bench`, are compared in each test run. Whole
//! runs of `mmc train` (16 bits, gradient checkpointing, saving) are measured on the CPU of whoever asks by
//!
//! ```text
//! cargo test --workspace --test command_line -- --ignored measured_again --nocapture
//! ```
//!
//! which trains models of published widths, all parameters 0 at the start, two steps each, on texts that
//! fill their length (minutes, 2 GB of disk).

use std::fmt::Write as _;
use std::fs;

use mmc_models::{OutlineRequest, Trained, outline, preset, save};
use serde_json::{Value, json};

use crate::place::{Place, workspace};

/// What the plan may be off by.
const MOST: f64 = 0.15;

/// A run: model, layers of each encoder, rows of a step, tokens of a text, type of products, whether
/// layers are computed again.
struct Case {
    model: &'static str,
    layers: usize,
    rows: usize,
    tokens: usize,
    precision: &'static str,
    recomputed: bool,
}

/// The models with four layers, each with its lengths; BERT also as it is published.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let sizes = [
        ("bert", 4, [32, 128]),
        ("vilt", 4, [16, 40]),
        ("clip", 4, [32, 77]),
        ("bert", 12, [128, 512]),
    ];
    for (model, layers, lengths) in sizes {
        for tokens in lengths {
            for precision in ["f32", "bf16"] {
                for recomputed in [false, true] {
                    let large = layers == 12 && (tokens > 128 || precision != "f32");
                    if !large {
                        cases.push(Case { model, layers, rows: 8, tokens, precision, recomputed });
                    }
                }
            }
        }
    }
    cases
}

impl Case {
    /// The configuration: the published sizes, but for the number of layers.
    fn config(&self) -> Value {
        let layers = json!({ "num_hidden_layers": self.layers });
        match self.model {
            "clip" => {
                json!({ "model_type": "clip", "text_config": layers, "vision_config": layers })
            }
            model => json!({ "model_type": model, "num_hidden_layers": self.layers }),
        }
    }

    fn flags(&self) -> String {
        let Self { model, rows, tokens, precision, recomputed, .. } = self;
        let recomputed = if *recomputed { "--gradient-checkpointing" } else { "" };
        format!(
            "--model {model} --batch-size {rows} --max-length {tokens} --precision {precision} \
             {recomputed}"
        )
    }

    /// What `mmc plan` says in a place that has the configuration.
    fn planned(&self, place: &Place) -> f64 {
        place.write("source/config.json", self.config().to_string());
        let words = format!("plan --json --checkpoint source {}", self.flags());
        place.mmc(&words).json()["peak_memory_bytes"].as_f64().unwrap()
    }
}

/// What a plan says of steps alone: no state is saved in a benchmark.
fn of_steps(plan: &Value) -> f64 {
    let part = |key: &str| plan["memory"][key].as_f64().unwrap();
    let parts = ["program", "weights", "gradients", "moments", "batches", "layers", "states"];
    parts.map(part).iter().sum()
}

/// The cases of training in a file of `docs/benchmarks` and the high-water marks of mmc.
fn benchmarks(file: &str) -> Vec<(String, f64)> {
    let text = fs::read_to_string(workspace().join("docs/benchmarks").join(file)).unwrap();
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let heads: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| heads.iter().position(|head| *head == name);
    let mut found = Vec::new();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let cell = |name: &str| column(name).map(|at| cells[at]);
        let trains = cell("work").is_none_or(|work| work == "train");
        if trains && cell("side") == Some("mmc") && cell("batch").is_none_or(|it| it != "mixed") {
            let peak = cell("peak_bytes").unwrap();
            found.extend(peak.parse().ok().map(|peak| (cell("case").unwrap().to_owned(), peak)));
        }
    }
    found
}

#[test]
fn planned_memory_of_steps_is_that_of_the_benchmarks() {
    let place = Place::new();
    let cases = [benchmarks("steps.csv"), benchmarks("growth.csv")].concat();
    assert!(cases.len() > 12, "{cases:?}");
    for (case, peak) in cases {
        let (model, size) = case.split_once('-').unwrap();
        let size: Vec<usize> = size.split('x').map(|part| part.parse().unwrap()).collect();
        let mut config = json!({ "model_type": model });
        if let Some(&layers) = size.get(2) {
            config["num_hidden_layers"] = json!(layers);
        }
        place.write("source/config.json", config.to_string());
        let (rows, tokens) = (size[0], size[1]);
        let words = format!(
            "plan --json --checkpoint source --model {model} --batch-size {rows} --max-length {tokens} \
             --aspect 1"
        );
        let planned = of_steps(&place.mmc(&words).json());
        let off = planned / peak - 1.0;
        eprintln!("{case}: planned {planned:.3e}, measured {peak:.3e}, {:+.1} %", 100.0 * off);
        assert!(off.abs() <= MOST, "{case}: the plan is off by {:.1} %", 100.0 * off);
    }
}

#[test]
#[ignore = "trains models of published widths: minutes, 2 GB of disk"]
fn planned_memory_is_measured_again() {
    let mut worst = 0.0_f64;
    for case in cases() {
        let place = Place::new();
        let peak = measured(&place, &case);
        let planned = case.planned(&place);
        let off = planned / peak - 1.0;
        worst = worst.max(off.abs());
        eprintln!(
            "| {} | {} | {} | {} | {} | {:.2} | {:.2} | {:+.1} % |",
            case.model,
            case.layers,
            case.tokens,
            case.precision,
            if case.recomputed { "yes" } else { "no" },
            planned / 1_073_741_824.0,
            peak / 1_073_741_824.0,
            100.0 * off,
        );
    }
    assert!(worst <= MOST, "the plan is off by {:.1} %", 100.0 * worst);
}

/// The high-water mark of a run of `mmc train`.
fn measured(place: &Place, case: &Case) -> f64 {
    checkpoint(place, case);
    data(place);
    let train = format!(
        "train --dataset table --data-root data --checkpoint made --out run --max-steps 2 \
         --keep-states 1 {}",
        case.flags()
    );
    place.mmc(&train).done();
    let cost: Value = serde_json::from_str(&place.read("run/cost.json")).unwrap();
    cost["peak_memory_bytes"].as_f64().unwrap()
}

/// `made`: a checkpoint of these sizes, with the tokenizer of a small one.
fn checkpoint(place: &Place, case: &Case) {
    place.write("source/config.json", case.config().to_string());
    let small = workspace().join("tests/fixtures/models").join(case.model);
    fs::copy(small.join("tokenizer.json"), place.path("source/tokenizer.json")).unwrap();
    let mut tokenizer = object(&small.join("tokenizer_config.json"));
    tokenizer["model_max_length"] = json!(512);
    place.write("source/tokenizer_config.json", tokenizer.to_string());
    let picture = small.join("preprocessor_config.json");
    if picture.is_file() {
        let mut steps = object(&picture);
        let side = if case.model == "vilt" { 384 } else { 224 };
        steps["size"] = json!({ "shortest_edge": side });
        if case.model == "vilt" {
            steps["size_divisor"] = json!(32);
        } else {
            steps["crop_size"] = json!({ "height": side, "width": side });
        }
        place.write("source/preprocessor_config.json", steps.to_string());
    }
    let (source, preset) = (place.path("source"), preset(case.model).unwrap());
    let model = outline(&OutlineRequest {
        preset,
        folder: Some(&source),
        arm: None,
        head: None,
        classes: 2,
        trained: Trained::Everything,
    })
    .unwrap();
    let labels = ["down".to_owned(), "up".to_owned()];
    save(model.as_ref(), &source, &labels, case.model, &place.path("made")).unwrap();
}

/// `data`: texts of more words than any length, pictures of 4:3.
fn data(place: &Place) {
    let words = "good ".repeat(600);
    fs::create_dir(place.path("data")).unwrap();
    image::RgbImage::from_pixel(80, 60, image::Rgb([90, 200, 30]))
        .save(place.path("data/made.png"))
        .unwrap();
    for split in ["train", "val", "test"] {
        let mut table = String::from("id,text,image,label\n");
        for row in 0..16 {
            let label = if row % 2 == 0 { "up" } else { "down" };
            writeln!(table, "{split}-{row},{words},made.png,{label}").unwrap();
        }
        place.write(&format!("data/{split}.csv"), table);
    }
}

fn object(path: &std::path::Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}
