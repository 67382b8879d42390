//! One tensor of a state dict: what its pickle says of it, and its numbers.

use std::io::{Read, Seek, SeekFrom};

use candle_core::{DType, Device, Tensor};

use super::archive::Archive;
use crate::checkpoint::pickle::{Node, Pickle};

/// A tensor in a file.
pub(super) struct Stored {
    pub(super) shape: Vec<usize>,
    /// Where its numbers lie; why they cannot be read, which matters where they are wanted.
    place: Result<Place, String>,
}

/// Where the numbers of a tensor lie.
struct Place {
    dtype: DType,
    /// Steps between neighbours, in numbers, a dimension each.
    strides: Vec<usize>,
    /// The first byte, in the file.
    start: u64,
    /// Bytes from the first number's to the last one's end.
    bytes: usize,
}

impl Stored {
    /// The tensor that a node describes; `None` where it is none.
    pub(super) fn of(
        pickle: &Pickle<'_>,
        node: usize,
        archive: &mut Archive,
    ) -> Result<Option<Self>, String> {
        let Some(arguments) = rebuilt(pickle, node) else { return Ok(None) };
        let &[storage, offset, shape, strides, ..] = arguments else {
            return Err("its description is incomplete".to_owned());
        };
        let shape = whole_numbers(pickle, shape)?;
        let place = Place::of(pickle, [storage, offset, strides], &shape, archive);
        Ok(Some(Self { shape, place }))
    }

    /// The tensor itself.
    pub(super) fn read(&self, file: &mut (impl Read + Seek)) -> Result<Tensor, String> {
        let place = self.place.as_ref().map_err(Clone::clone)?;
        let mut bytes = vec![0; place.bytes];
        file.seek(SeekFrom::Start(place.start))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|error| error.to_string())?;
        let bytes = place.in_order(bytes, &self.shape);
        let tensor = Tensor::from_raw_buffer(&bytes, place.dtype, &self.shape, &Device::Cpu);
        tensor.map_err(|error| error.to_string())
    }
}

impl Place {
    /// Where the numbers of a tensor lie by the nodes of storage, offset and strides.
    fn of(
        pickle: &Pickle<'_>,
        [storage, offset, strides]: [usize; 3],
        shape: &[usize],
        archive: &mut Archive,
    ) -> Result<Self, String> {
        let strides = whole_numbers(pickle, strides)?;
        let &[offset] = numbers(pickle, &[offset])?.as_slice() else {
            return Err("it has no offset".to_owned());
        };
        let &Node::Outside(storage) = pickle.node(storage) else {
            return Err("it has no numbers".to_owned());
        };
        // ("storage", type, key, device, count)
        let &[_, kind, key, ..] = pickle.items(storage) else {
            return Err("its numbers are not described".to_owned());
        };
        let (&Node::Class(_, kind), &Node::Text(key)) = (pickle.node(kind), pickle.node(key))
        else {
            return Err("its numbers have no type or no name".to_owned());
        };
        let dtype =
            type_of(kind).ok_or_else(|| format!("numbers of type `{kind}` cannot be read"))?;
        Self::new(dtype, shape, strides, offset, &archive.storage(key)?)
    }

    /// Holds shape, strides and offset to the numbers that there are.
    fn new(
        dtype: DType,
        shape: &[usize],
        strides: Vec<usize>,
        offset: usize,
        storage: &std::ops::Range<u64>,
    ) -> Result<Self, String> {
        if shape.len() != strides.len() {
            return Err("it has another number of strides than of dimensions".to_owned());
        }
        let size = dtype.size_in_bytes();
        let there = usize::try_from(storage.end - storage.start).unwrap_or(usize::MAX) / size;
        let fits = || -> Option<usize> {
            let count = shape.iter().try_fold(1usize, |count, &side| count.checked_mul(side))?;
            let steps = shape.iter().zip(&strides).try_fold(0usize, |last, (&side, &stride)| {
                last.checked_add(side.saturating_sub(1).checked_mul(stride)?)
            })?;
            let span = if count == 0 { 0 } else { steps.checked_add(1)? };
            // A stride of 0 repeats numbers, which would make much of little.
            (count <= there && offset.checked_add(span)? <= there).then_some(span)
        };
        let span = fits().ok_or_else(|| {
            format!("it asks for more numbers than the {there} that the file has for it")
        })?;
        let start = storage.start + (offset * size) as u64;
        Ok(Self { dtype, strides, start, bytes: span * size })
    }

    /// The numbers in the order of the last dimension first, whatever their strides.
    fn in_order(&self, bytes: Vec<u8>, shape: &[usize]) -> Vec<u8> {
        if bytes.is_empty() {
            return bytes;
        }
        let mut step = 1;
        let in_order = shape.iter().zip(&self.strides).rev().all(|(&side, &stride)| {
            let fits = side <= 1 || stride == step;
            step *= side.max(1);
            fits
        });
        if in_order {
            return bytes;
        }
        let size = self.dtype.size_in_bytes();
        let count = shape.iter().product::<usize>();
        let mut ordered = Vec::with_capacity(count * size);
        let mut index = vec![0; shape.len()];
        for _ in 0..count {
            let at: usize = index.iter().zip(&self.strides).map(|(at, stride)| at * stride).sum();
            ordered.extend_from_slice(&bytes[at * size..(at + 1) * size]);
            for (at, &side) in index.iter_mut().zip(shape).rev() {
                *at += 1;
                if *at < side {
                    break;
                }
                *at = 0;
            }
        }
        ordered
    }
}

/// The arguments that a tensor is rebuilt from, parameters and subclasses unwrapped.
fn rebuilt<'p>(pickle: &'p Pickle<'_>, mut node: usize) -> Option<&'p [usize]> {
    // A parameter of a subclass at the most; a file may name itself without end.
    for _ in 0..3 {
        let &Node::Call(callable, arguments) = pickle.node(node) else { return None };
        let items = pickle.items(arguments);
        match pickle.node(callable) {
            Node::Class("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => {
                return Some(items);
            }
            Node::Class("torch._utils", "_rebuild_parameter") => node = *items.first()?,
            // (function, class, arguments, state)
            Node::Class("torch._tensor", "_rebuild_from_type_v2") => {
                return items.get(2).map(|&arguments| pickle.items(arguments));
            }
            _ => return None,
        }
    }
    None
}

/// The type of numbers behind torch's name of a storage.
fn type_of(storage: &str) -> Option<DType> {
    Some(match storage {
        "FloatStorage" => DType::F32,
        "DoubleStorage" => DType::F64,
        "HalfStorage" => DType::F16,
        "BFloat16Storage" => DType::BF16,
        "LongStorage" => DType::I64,
        "ByteStorage" => DType::U8,
        _ => return None,
    })
}

fn whole_numbers(pickle: &Pickle<'_>, sequence: usize) -> Result<Vec<usize>, String> {
    match pickle.node(sequence) {
        Node::Sequence(items) => numbers(pickle, items),
        _ => Err("its shape or its strides are no tuple".to_owned()),
    }
}

fn numbers(pickle: &Pickle<'_>, items: &[usize]) -> Result<Vec<usize>, String> {
    let number = |&item: &usize| match *pickle.node(item) {
        Node::Int(number) => usize::try_from(number).ok(),
        _ => None,
    };
    let numbers: Option<Vec<usize>> = items.iter().map(number).collect();
    numbers.ok_or_else(|| "its description holds what is no whole number of 0 or more".to_owned())
}
