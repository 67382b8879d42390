//! One safetensors file, read tensor by tensor: nothing of it stays in memory but what is asked for.
//!
//! Reads and no memory map: the numbers go straight to where they will be used, so a checkpoint is
//! never resident twice, and a file that another process cuts short is an error. One that another
//! process replaces meanwhile is read to its end as it was.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use candle_core::safetensors::Load as _;
use candle_core::{Device, Tensor};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo, TensorView};

use crate::ModelError;

/// The longest header that is read; BERT's has 22 KiB.
const MOST_HEADER_BYTES: u64 = 8 << 20;

/// The bytes that hold the header's length.
const LENGTH_BYTES: u64 = 8;

/// A file and where its tensors lie.
pub(super) struct TensorFile {
    path: PathBuf,
    /// The very file that the header is of.
    file: Mutex<File>,
    metadata: Metadata,
    /// Where the first tensor begins.
    start: u64,
    bytes: u64,
}

impl TensorFile {
    /// Reads the header and holds it to the length of the file.
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let unreadable = |source| ModelError::Read { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        if bytes < LENGTH_BYTES {
            return Err(damaged(path, &format!("it has {bytes} bytes, too few for a header")));
        }
        let mut length = [0; LENGTH_BYTES as usize];
        file.read_exact(&mut length).map_err(unreadable)?;
        let length = u64::from_le_bytes(length);
        if length > bytes - LENGTH_BYTES {
            let problem = format!("its header would have {length} of its {bytes} bytes");
            return Err(damaged(path, &problem));
        }
        if length > MOST_HEADER_BYTES {
            let most = MOST_HEADER_BYTES;
            let problem = format!("its header has {length} bytes, at most {most} are read");
            return Err(damaged(path, &problem));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(unreadable)?;
        let metadata: Metadata = serde_json::from_slice(&header)
            .map_err(|error| damaged(path, &format!("its header cannot be read: {error}")))?;
        let start = LENGTH_BYTES + length;
        let expected = start.saturating_add(metadata.data_len() as u64);
        if expected != bytes {
            let problem = format!("its header describes {expected} bytes, but it has {bytes}");
            return Err(damaged(path, &problem));
        }
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), metadata, start, bytes })
    }

    /// The bytes of the file.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Names and shapes, in the order of the file.
    pub(super) fn shapes(&self) -> impl Iterator<Item = (String, Vec<usize>)> {
        let shape = |name: &String| self.metadata.info(name).map(|info| info.shape.clone());
        let names = self.metadata.offset_keys().into_iter();
        names.filter_map(move |name| Some((shape(&name)?, name)).map(|(shape, name)| (name, shape)))
    }

    /// The tensor of this name, in the file's type; `None` where there is none.
    pub(super) fn read(&self, name: &str) -> Result<Option<Tensor>, ModelError> {
        let Some(info) = self.metadata.info(name) else { return Ok(None) };
        let (first, end) = info.data_offsets;
        let tensor = if info.dtype == Dtype::F32 {
            let mut values = vec![0_f32; (end - first) / size_of::<f32>()];
            self.fill(first, bytemuck::cast_slice_mut(&mut values))?;
            Tensor::from_vec(values, info.shape.as_slice(), &Device::Cpu)
        } else {
            let mut values = vec![0; end - first];
            self.fill(first, &mut values)?;
            converted(info, &values)
        };
        let tensor = tensor.map_err(|error| {
            damaged(&self.path, &format!("tensor `{name}` cannot be read ({})", first_line(&error)))
        })?;
        Ok(Some(tensor))
    }
}

impl TensorFile {
    /// Reads what lies behind the header from `first` on.
    fn fill(&self, first: usize, bytes: &mut [u8]) -> Result<(), ModelError> {
        // Whoever panicked left a place in the file at most, which is set here.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let place = SeekFrom::Start(self.start + first as u64);
        let read = file.seek(place).and_then(|_| file.read_exact(bytes));
        read.map_err(|source| ModelError::Read { path: self.path.clone(), source })
    }
}

/// A tensor of a type that is not the models' own.
fn converted(info: &TensorInfo, bytes: &[u8]) -> candle_core::Result<Tensor> {
    TensorView::new(info.dtype, info.shape.clone(), bytes)?.load(&Device::Cpu)
}

fn damaged(path: &Path, problem: &str) -> ModelError {
    let problem = format!("{problem}; take a new copy");
    ModelError::Weights { path: path.to_owned(), problem }
}

/// An error without the stack trace that candle may put behind it.
fn first_line(error: &candle_core::Error) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
