//! State dicts as `torch.save` writes them, for tests that need one of a certain habit.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use candle_core::{DType, Tensor};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// What is saved under a name.
pub(crate) struct Saved {
    pub(crate) name: String,
    pub(crate) tensor: Tensor,
    /// The first dimension's neighbours lie together, as those of a transposed tensor do.
    pub(crate) column_major: bool,
}

/// Types of numbers that cannot be read, and the bytes of one.
pub(crate) const UNREADABLE: &[(&str, usize)] =
    &[("BoolStorage", 1), ("IntStorage", 4), ("ComplexFloatStorage", 8)];

/// Writes tensors, under the key `state_dict` if `nested`, and a buffer of each type of `odd`.
pub(crate) fn save(path: &Path, tensors: &[Saved], odd: &[(&str, usize)], nested: bool) {
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut zip = ZipWriter::new(File::create(path).unwrap());
    let mut pickle = b"\x80\x02".to_vec();
    if nested {
        pickle.extend(b"}(");
        text(&mut pickle, "epoch");
        pickle.extend(b"K\x03");
        text(&mut pickle, "state_dict");
    }
    pickle.extend(b"ccollections\nOrderedDict\n)R(");
    for (key, Saved { name, tensor, column_major }) in tensors.iter().enumerate() {
        let strides = strides(tensor.dims(), *column_major);
        item(&mut pickle, name, storage_of(tensor.dtype()), key, tensor.dims(), &strides);
    }
    for (at, (kind, _)) in odd.iter().enumerate() {
        let name = format!("embeddings.{at}.position_ids");
        item(&mut pickle, &name, kind, tensors.len() + at, &[1], &[1]);
    }
    // As a state dict has it: u fills it, b gives it its `_metadata`.
    pickle.extend(b"u}b");
    pickle.extend(if nested { &b"u."[..] } else { b"." });
    zip.start_file("weights/data.pkl", stored).unwrap();
    zip.write_all(&pickle).unwrap();
    zip.start_file("weights/byteorder", stored).unwrap();
    zip.write_all(b"little").unwrap();
    for (key, Saved { tensor, column_major, .. }) in tensors.iter().enumerate() {
        zip.start_file(format!("weights/data/{key}"), stored).unwrap();
        let tensor = if *column_major { tensor.t().unwrap() } else { tensor.clone() };
        zip.write_all(&bytes(&tensor)).unwrap();
    }
    for (at, (_, size)) in odd.iter().enumerate() {
        zip.start_file(format!("weights/data/{}", tensors.len() + at), stored).unwrap();
        zip.write_all(&vec![0; *size]).unwrap();
    }
    zip.finish().unwrap();
}

fn strides(shape: &[usize], column_major: bool) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for at in (0..shape.len().saturating_sub(1)).rev() {
        strides[at] = strides[at + 1] * shape[at + 1];
    }
    if column_major {
        assert_eq!(shape.len(), 2);
        strides = vec![1, shape[0]];
    }
    strides
}

fn item(
    pickle: &mut Vec<u8>,
    name: &str,
    storage: &str,
    key: usize,
    shape: &[usize],
    strides: &[usize],
) {
    text(pickle, name);
    pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    text(pickle, "storage");
    pickle.extend(format!("ctorch\n{storage}\n").bytes());
    text(pickle, &key.to_string());
    text(pickle, "cpu");
    whole(pickle, shape.iter().product());
    pickle.extend(b"tQK\x00");
    for numbers in [shape, strides] {
        pickle.push(b'(');
        for &number in numbers {
            whole(pickle, number);
        }
        pickle.push(b't');
    }
    pickle.extend(b"\x89ccollections\nOrderedDict\n)RtR");
}

fn text(pickle: &mut Vec<u8>, word: &str) {
    pickle.push(b'X');
    pickle.extend((word.len() as u32).to_le_bytes());
    pickle.extend(word.bytes());
}

fn whole(pickle: &mut Vec<u8>, number: usize) {
    pickle.push(b'J');
    pickle.extend((number as u32).to_le_bytes());
}

fn storage_of(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "FloatStorage",
        DType::F64 => "DoubleStorage",
        DType::F16 => "HalfStorage",
        DType::BF16 => "BFloat16Storage",
        DType::I64 => "LongStorage",
        DType::U8 => "ByteStorage",
        other => panic!("{other:?}"),
    }
}

fn bytes(tensor: &Tensor) -> Vec<u8> {
    let path = tempfile::NamedTempFile::new().unwrap();
    let all = std::collections::HashMap::from([("x".to_owned(), tensor.contiguous().unwrap())]);
    candle_core::safetensors::save(&all, path.path()).unwrap();
    let file = std::fs::read(path.path()).unwrap();
    safetensors::SafeTensors::deserialize(&file).unwrap().tensor("x").unwrap().data().to_vec()
}
