//! Crafted files, one for each fault that was found: each by itself, with the words of its error.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use candle_core::{DType, Device, Tensor};
use mmc_data::Arm;
use mmc_models::{FreshHead, LoadRequest, load};
use mmc_preprocess::Processor;
use serde_json::{Value, json};

use super::crafted::{aliases, archive, archive_of, tensor};
use super::folder::limit;
use super::kinds::fixtures;
use super::memory::measured;

/// What another test takes meanwhile would be counted too.
fn alone() -> MutexGuard<'static, ()> {
    crate::ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A fixture with some of its files exchanged.
fn folder(base: &str, files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixtures().join(base)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// The same with keys of a JSON file exchanged.
fn configured(base: &str, file: &str, change: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let bytes = fs::read(fixtures().join(base).join(file)).unwrap();
    let mut value = serde_json::from_slice(&bytes).unwrap();
    change(&mut value);
    folder(base, &[(file, value.to_string().as_bytes())])
}

/// Why a folder does not load, within the memory that is allowed.
fn refused(folder: &Path) -> String {
    let (labels, fresh_head) = (&[][..], FreshHead::Allowed { seed: 0 });
    let device = &Device::Cpu;
    let request =
        LoadRequest { folder, labels, arm: None, head: None, fresh_head, dropout: None, device };
    let (problem, bytes) = measured(|| load(&request).err().expect("it must not load").to_string());
    assert!(bytes <= limit(folder), "{bytes} bytes for: {problem}");
    problem
}

fn refused_processor(folder: &Path, arm: Arm) -> String {
    let work = || Processor::from_folder(folder, arm).expect_err("it must not load").to_string();
    let (problem, bytes) = measured(work);
    assert!(bytes <= limit(folder), "{bytes} bytes for: {problem}");
    problem
}

fn refused_pickle(pickle: &[u8]) -> String {
    let whole = archive(pickle);
    refused(folder("bert-old", &[("pytorch_model.bin", &whole)]).path())
}

/// The bias of BERT's pooler as a pickle describes it; the rest is missing.
fn refused_tensor(shape: &[i64], strides: &[i64], offset: i64) -> String {
    refused_pickle(&tensor("bert.embeddings.word_embeddings.weight", shape, strides, offset))
}

#[test]
fn a_pickle_that_claims_a_terabyte() {
    let _alone = alone();
    let problem = refused_tensor(&[71, 32], &[32, 1], 0);
    assert!(problem.contains("asks for more numbers than the 64 "), "{problem}");
    refused_tensor(&[1 << 40], &[1], 0);
    refused_tensor(&[1 << 40, 1 << 40], &[1 << 40, 1], 0);
}

#[test]
fn strides_of_zero_make_no_terabyte() {
    let _alone = alone();
    let problem = refused_tensor(&[71, 32], &[0, 0], 0);
    assert!(problem.contains("asks for more numbers"), "{problem}");
}

#[test]
fn an_offset_beyond_the_numbers() {
    let _alone = alone();
    refused_tensor(&[71, 32], &[32, 1], i64::MAX);
    refused_tensor(&[71, 32], &[32, 1], -1);
    refused_tensor(&[71, 32], &[i64::MAX, i64::MAX], 1);
}

/// candle takes items out of tuples without asking whether they are there.
#[test]
fn descriptions_that_are_too_short() {
    let _alone = alone();
    for arguments in [&b"("[..], b"(N", b"(NK\x00", b"(NK\x00)", b"(NK\x00))", b"()QK\x00))"] {
        let start = b"}X\x01\x00\x00\x00actorch._utils\n_rebuild_tensor_v2\n";
        refused_pickle(&[&start[..], arguments, b"tRs."].concat());
    }
    let parameter = b"}X\x01\x00\x00\x00actorch._utils\n_rebuild_parameter\n)Rs.";
    refused_pickle(parameter);
    let of_type = b"}X\x01\x00\x00\x00actorch._tensor\n_rebuild_from_type_v2\n)Rs.";
    refused_pickle(of_type);
}

/// A text that claims four gigabytes in a pickle of ten bytes.
#[test]
fn a_text_longer_than_its_pickle() {
    let _alone = alone();
    assert!(refused_pickle(b"X\xff\xff\xff\xff....").contains("the end is missing"));
}

/// Each tuple holds the one before it twice, by reference: copies would be 2^40.
#[test]
fn tuples_of_tuples_are_not_copied() {
    let _alone = alone();
    let mut pickle = b"N".to_vec();
    for _ in 0..40 {
        pickle.extend(b"q\x00h\x00\x86");
    }
    pickle.push(b'.');
    assert!(refused_pickle(&pickle).contains("holds no dict of tensors"));
}

#[test]
fn a_million_tuples_deep() {
    let _alone = alone();
    let pickle = [b"N".to_vec(), [0x85].repeat(1_000_000), b".".to_vec()].concat();
    refused_pickle(&pickle);
}

/// All the names of a BERT of 100 layers, each for the same 262,144 numbers: 300 MiB of one.
#[test]
fn many_names_for_the_same_numbers() {
    let _alone = alone();
    let hidden = 256;
    let folder = configured("bert-old", "config.json", |config| {
        for (key, value) in [
            ("hidden_size", hidden),
            ("intermediate_size", 4 * hidden),
            ("vocab_size", 9),
            ("max_position_embeddings", 9),
            ("type_vocab_size", 2),
            ("num_hidden_layers", 100),
        ] {
            config[key] = json!(value);
        }
    });
    let mut names = Vec::new();
    let mut add = |name: String, shape: &[i64]| names.push((name, shape.to_vec()));
    for (table, rows) in [("word", 9), ("position", 9), ("token_type", 2)] {
        add(format!("bert.embeddings.{table}_embeddings.weight"), &[rows, hidden]);
    }
    let norm = |prefix: String, add: &mut dyn FnMut(String, &[i64])| {
        for kind in ["weight", "bias"] {
            add(format!("{prefix}.{kind}"), &[hidden]);
        }
    };
    norm("bert.embeddings.LayerNorm".to_owned(), &mut add);
    for layer in 0..100 {
        let prefix = format!("bert.encoder.layer.{layer}");
        for (part, rows, columns) in [
            ("attention.self.query", hidden, hidden),
            ("attention.self.key", hidden, hidden),
            ("attention.self.value", hidden, hidden),
            ("attention.output.dense", hidden, hidden),
            ("intermediate.dense", 4 * hidden, hidden),
            ("output.dense", hidden, 4 * hidden),
        ] {
            add(format!("{prefix}.{part}.weight"), &[rows, columns]);
            add(format!("{prefix}.{part}.bias"), &[rows]);
        }
        norm(format!("{prefix}.attention.output.LayerNorm"), &mut add);
        norm(format!("{prefix}.output.LayerNorm"), &mut add);
    }
    let numbers = vec![0; 4 * 4 * (hidden * hidden) as usize];
    let whole = archive_of(&aliases(&names), &numbers);
    fs::write(folder.path().join("pytorch_model.bin"), whole).unwrap();
    let problem = refused(folder.path());
    assert!(problem.contains("far more than the files hold"), "{problem}");
}

#[test]
fn a_pickle_from_before_pytorch_1_6() {
    let _alone = alone();
    let old = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    let folder = folder("bert-old", &[("pytorch_model.bin", old)]);
    let problem = refused(folder.path());
    assert!(problem.contains("from before PyTorch 1.6"), "{problem}");
}

/// A directory that names more files than an archive of weights has.
#[test]
fn an_archive_of_a_hundred_thousand_files() {
    let _alone = alone();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for file in 0..60_000 {
        zip.start_file(format!("archive/data/{file:0>40}"), stored).unwrap();
    }
    zip.write_all(b"x").unwrap();
    let whole = zip.finish().unwrap().into_inner();
    let problem = refused(folder("bert-old", &[("pytorch_model.bin", &whole)]).path());
    assert!(problem.contains("bytes of directory"), "{problem}");
}

#[test]
fn a_header_longer_than_its_file() {
    let _alone = alone();
    for length in [7, 8, 1 << 20, 1 << 40, u64::MAX] {
        let bytes = [&u64::to_le_bytes(length)[..], b"{}"].concat();
        refused(folder("bert", &[("model.safetensors", &bytes)]).path());
    }
}

#[test]
fn a_tensor_in_two_files() {
    let _alone = alone();
    let mut bytes = Vec::new();
    let whole =
        candle_core::safetensors::load(fixtures().join("clip/mmc_head.safetensors"), &Device::Cpu);
    let mut tensors = whole.unwrap();
    let scale = Tensor::zeros((), DType::F32, &Device::Cpu).unwrap();
    tensors.insert("logit_scale".to_owned(), scale);
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("head");
    candle_core::safetensors::save(&tensors, &path).unwrap();
    bytes.extend(fs::read(path).unwrap());
    let problem = refused(folder("clip", &[("mmc_head.safetensors", &bytes)]).path());
    assert!(problem.contains("`logit_scale` is in two of its files"), "{problem}");
}

/// A head of no columns may have any number of rows, of which each would get a name.
#[test]
fn a_head_of_a_trillion_rows_and_no_columns() {
    let _alone = alone();
    let header = r#"{"classifier.weight":{"dtype":"F32","shape":[1099511627776,0],"data_offsets":[0,0]},
        "bert.embeddings.word_embeddings.weight":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#;
    let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    let folder = configured("bert", "config.json", |config| {
        config.as_object_mut().unwrap().remove("id2label");
    });
    fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    refused(folder.path());
}

/// The square of the grid was more than a number holds.
#[test]
fn a_picture_of_a_trillion_patches() {
    let _alone = alone();
    let folder = configured("clip", "config.json", |config| {
        config["vision_config"]["image_size"] = json!(1u64 << 40);
        config["vision_config"]["patch_size"] = json!(1);
    });
    let problem = refused(folder.path());
    assert!(problem.contains("`vision_config.image_size` is `1099511627776`"), "{problem}");
}

#[test]
fn a_billion_layers_and_a_trillion_channels() {
    let _alone = alone();
    for (key, number) in [("num_hidden_layers", 1_000_000_000u64), ("hidden_size", 1 << 40)] {
        for base in ["bert", "roberta", "vilt"] {
            refused(configured(base, "config.json", |config| config[key] = json!(number)).path());
        }
    }
}

/// The fused head would have three times the square of a width that one row of the file has.
#[test]
fn a_fresh_head_wider_than_its_files_account_for() {
    let _alone = alone();
    let width = 100_000usize;
    let folder = configured("clip", "config.json", |config| {
        config["projection_dim"] = json!(width);
    });
    fs::remove_file(folder.path().join("mmc_head.safetensors")).unwrap();
    let path = folder.path().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    for name in ["text_projection.weight", "visual_projection.weight"] {
        let hidden = tensors[name].dim(1).unwrap();
        let wide = Tensor::zeros((width, hidden), DType::F16, &Device::Cpu).unwrap();
        tensors.insert(name.to_owned(), wide);
    }
    candle_core::safetensors::save(&tensors, &path).unwrap();
    let problem = refused(folder.path());
    assert!(problem.contains("far more than the files hold"), "{problem}");
}

/// The whole value stood in the error.
#[test]
fn an_error_does_not_repeat_a_megabyte() {
    let _alone = alone();
    let long = "x".repeat(1 << 20);
    let folder = configured("bert", "config.json", |config| config["model_type"] = json!(long));
    assert!(refused(folder.path()).len() < 1000);
    assert!(refused_processor(folder.path(), Arm::Text).len() < 1000);
}

#[test]
fn a_configuration_of_many_megabytes() {
    let _alone = alone();
    let folder = configured("bert", "config.json", |config| {
        config["x"] = json!(vec![0; 3 << 20]);
    });
    assert!(refused(folder.path()).contains("more than 4194304 bytes"));
    assert!(refused_processor(folder.path(), Arm::Text).contains("more than 4194304 bytes"));
}

/// One more than the largest number is none.
#[test]
fn a_pad_id_that_is_the_largest_number() {
    let _alone = alone();
    let folder = configured("roberta", "config.json", |config| {
        config["pad_token_id"] = json!(u64::MAX);
    });
    let problem = refused_processor(folder.path(), Arm::Text);
    assert!(problem.contains("`max_position_embeddings`"), "{problem}");
}

#[test]
fn pictures_of_gigabytes() {
    let _alone = alone();
    for (key, value) in [
        ("size", json!({"height": 65_535, "width": 65_535})),
        ("crop_size", json!(65_535)),
        ("image_mean", json!([1e308, 0, 0])),
    ] {
        let change = |config: &mut Value| config[key] = value;
        let folder = configured("clip", "preprocessor_config.json", change);
        let problem = refused_processor(folder.path(), Arm::Image);
        assert!(problem.contains(&format!("`{key}`")), "{problem}");
    }
    let folder = configured("vilt", "preprocessor_config.json", |config| {
        config["size_divisor"] = json!(1_000_000_000);
    });
    assert!(refused_processor(folder.path(), Arm::Image).contains("`size_divisor`"));
}

/// The library indexes a table with the name and panics.
#[test]
fn a_template_that_names_a_token_it_lacks() {
    let _alone = alone();
    let folder = configured("bert", "tokenizer.json", |tokenizer| {
        tokenizer["post_processor"]["special_tokens"].as_object_mut().unwrap().remove("[SEP]");
    });
    assert!(refused_processor(folder.path(), Arm::Text).contains("which it does not describe"));
}

/// Thirty doublings of a letter are a gigabyte.
#[test]
fn replacements_that_double_a_text() {
    let _alone = alone();
    let step = json!({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"});
    let folder = configured("bert", "tokenizer.json", |tokenizer| {
        tokenizer["normalizer"] = json!({"type": "Sequence", "normalizers": vec![step; 30]});
    });
    assert!(refused_processor(folder.path(), Arm::Text).contains("times as long"));
}

/// The library cuts the second part of a merge at the prefix's length.
#[test]
fn a_prefix_longer_than_the_pieces() {
    let _alone = alone();
    let folder = configured("roberta", "tokenizer.json", |tokenizer| {
        tokenizer["model"]["continuing_subword_prefix"] = json!("a long prefix");
    });
    assert!(refused_processor(folder.path(), Arm::Text).contains("continuing_subword_prefix"));
}

/// A random choice among merges would give a text other tokens each time.
#[test]
fn a_tokenizer_with_dropout() {
    let _alone = alone();
    let folder = configured("roberta", "tokenizer.json", |tokenizer| {
        tokenizer["model"]["dropout"] = json!(0.1);
    });
    assert!(refused_processor(folder.path(), Arm::Text).contains("`dropout`"));
}
