//! Pickles that nobody's `torch.save` wrote: any opcodes in any order, and tensors that ask for
//! more than there is.

use std::io::{Cursor, Write};

use mmc_random::{ChaCha8Rng, below};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// An archive around a pickle, with 64 numbers as storage `0`.
pub(crate) fn archive(pickle: &[u8]) -> Vec<u8> {
    archive_of(pickle, &[0; 256])
}

/// An archive around a pickle and the numbers of storage `0`.
pub(crate) fn archive_of(pickle: &[u8], numbers: &[u8]) -> Vec<u8> {
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("archive/data.pkl", pickle), ("archive/data/0", numbers)] {
        zip.start_file(name, stored).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A dict of one tensor of f32, its shape, strides and offset as given.
pub(crate) fn tensor(name: &str, shape: &[i64], strides: &[i64], offset: i64) -> Vec<u8> {
    let mut pickle = b"\x80\x02}(".to_vec();
    item(&mut pickle, name, shape, strides, offset);
    pickle.extend(b"u.");
    pickle
}

/// A dict of tensors whose numbers all begin with the first.
pub(crate) fn aliases(tensors: &[(String, Vec<i64>)]) -> Vec<u8> {
    let mut pickle = b"\x80\x02}(".to_vec();
    for (name, shape) in tensors {
        let strides = if let &[_, width] = &shape[..] { vec![width, 1] } else { vec![1] };
        item(&mut pickle, name, shape, &strides, 0);
    }
    pickle.extend(b"u.");
    pickle
}

fn item(pickle: &mut Vec<u8>, name: &str, shape: &[i64], strides: &[i64], offset: i64) {
    text(pickle, name);
    pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
    text(pickle, "storage");
    pickle.extend(b"ctorch\nFloatStorage\n");
    for word in ["0", "cpu"] {
        text(pickle, word);
    }
    pickle.extend(b"K\x40tQ");
    whole(pickle, offset);
    for numbers in [shape, strides] {
        pickle.push(b'(');
        for &number in numbers {
            whole(pickle, number);
        }
        pickle.push(b't');
    }
    pickle.extend(b"\x89}tR");
}

fn text(pickle: &mut Vec<u8>, word: &str) {
    pickle.push(b'X');
    pickle.extend((word.len() as u32).to_le_bytes());
    pickle.extend(word.bytes());
}

fn whole(pickle: &mut Vec<u8>, number: i64) {
    pickle.extend([0x8a, 8]);
    pickle.extend(number.to_le_bytes());
}

/// A pickle of one of the two sorts, in its archive.
pub(crate) fn any(random: &mut ChaCha8Rng) -> Vec<u8> {
    if below(2, random) == 0 {
        let numbers = [0, 1, 2, 32, 64, 65, -1, 1 << 31, 1 << 40, 1 << 62, i64::MAX, i64::MIN];
        let mut some = |most| -> Vec<i64> {
            (0..below(most, random)).map(|_| numbers[below(numbers.len(), random)]).collect()
        };
        let (shape, strides, offset) = (some(5), some(5), some(2).first().copied().unwrap_or(0));
        let name = ["classifier.bias", "bert.pooler.dense.bias"][below(2, random)];
        return archive(&tensor(name, &shape, &strides, offset));
    }
    let opcodes =
        b"\x80\x95(.0NGKMJ\x8aXUTCB\x8c\x8dcRQ\x81\x93)]}tld\x85\x86\x87aesub\x94qrhj\x88\x89";
    let mut pickle = b"\x80\x02}q\x00(".to_vec();
    for _ in 0..below(200, random) {
        match below(6, random) {
            0 => text(&mut pickle, ["state_dict", "0", "storage", ""][below(4, random)]),
            1 => whole(&mut pickle, 1 << below(63, random)),
            2 => pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n"),
            3 => pickle.extend([b"h\x00", b"q\x00", b"K\x01", b"K\x02"][below(4, random)]),
            _ => pickle.push(opcodes[below(opcodes.len(), random)]),
        }
    }
    pickle.extend(b"u.");
    archive(&pickle)
}
