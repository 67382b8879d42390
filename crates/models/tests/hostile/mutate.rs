//! Damage of every sort to bytes and to JSON, drawn from a generator.

use mmc_random::{ChaCha8Rng, below};
use serde_json::{Map, Value, json};

/// Damages bytes within a range, once to four times.
pub(crate) fn bytes(bytes: &mut Vec<u8>, range: std::ops::Range<usize>, random: &mut ChaCha8Rng) {
    for _ in 0..=below(4, random) {
        let end = range.end.min(bytes.len());
        let start = range.start.min(end);
        if start == end {
            return;
        }
        let at = start + below(end - start, random);
        let length = 1 + below((end - at).min(64), random);
        match below(8, random) {
            0 | 1 => bytes[at] ^= 1 << below(8, random),
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][below(5, random)],
            3 => bytes.truncate(at),
            4 => drop(bytes.drain(at..at + length)),
            5 => {
                let from = start + below(end - start, random);
                let copied: Vec<u8> = bytes[from..end.min(from + length)].to_vec();
                bytes.splice(at..at, copied);
            }
            6 => {
                let noise = (0..length).map(|_| below(256, random) as u8).collect::<Vec<_>>();
                bytes.splice(at..at + length, noise);
            }
            _ => number(bytes, at, random),
        }
    }
}

/// Puts an extreme in the place of the next whole number that is written out, or of four or eight
/// bytes.
fn number(bytes: &mut Vec<u8>, from: usize, random: &mut ChaCha8Rng) {
    let digits = bytes[from..].iter().position(u8::is_ascii_digit).map(|place| from + place);
    if let (Some(start), true) = (digits, below(2, random) == 0) {
        let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let extreme = [
            "0",
            "-1",
            "7",
            "2147483648",
            "4294967295",
            "1099511627776",
            "9223372036854775807",
            "18446744073709551615",
            "1e999",
            "00",
        ];
        let extreme = extreme[below(extreme.len(), random)];
        bytes.splice(start..start + length, extreme.bytes());
        return;
    }
    let extreme = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 1 << 40, u64::MAX, u64::MAX >> 1];
    let extreme = extreme[below(extreme.len(), random)].to_le_bytes();
    let width = [4, 8][below(2, random)];
    for (byte, new) in bytes[from..].iter_mut().zip(&extreme[..width]) {
        *byte = *new;
    }
}

/// Damages JSON: its structure mostly, its bytes at times.
pub(crate) fn json(text: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(text) else { return text.to_vec() };
    match below(8, random) {
        0 => {
            let mut damaged = text.to_vec();
            let all = 0..damaged.len();
            bytes(&mut damaged, all, random);
            damaged
        }
        1 if below(16, random) == 0 => [b"{\"a\":".repeat(50_000), b"1".to_vec()].concat(),
        _ => {
            for _ in 0..=below(3, random) {
                structure(&mut value, random);
            }
            value.to_string().into_bytes()
        }
    }
}

/// Changes one value somewhere inside.
fn structure(value: &mut Value, random: &mut ChaCha8Rng) {
    // Down with a probability that grows with what is there.
    let inner = match value {
        Value::Object(object) if !object.is_empty() => {
            let key = object.keys().nth(below(object.len(), random)).cloned().unwrap_or_default();
            if below(8, random) == 0 {
                return keys(object, &key, random);
            }
            object.get_mut(&key)
        }
        Value::Array(array) if !array.is_empty() => {
            let at = below(array.len(), random);
            if below(8, random) == 0 {
                match below(3, random) {
                    0 => drop(array.remove(at)),
                    1 => array.push(array[at].clone()),
                    _ => *array = vec![array[at].clone(); 2 + below(600, random)],
                }
                return;
            }
            array.get_mut(at)
        }
        _ => None,
    };
    match inner {
        Some(inner) if below(12, random) != 0 => structure(inner, random),
        _ => *value = extreme(value, random),
    }
}

/// Removes, renames or exchanges the value of a key.
fn keys(object: &mut Map<String, Value>, key: &str, random: &mut ChaCha8Rng) {
    let other = object.keys().nth(below(object.len(), random)).cloned().unwrap_or_default();
    let Some(value) = object.get(key).cloned() else { return };
    match below(4, random) {
        0 => drop(object.remove(key)),
        1 => drop(object.insert(format!("{key}_"), value)),
        2 => drop(object.insert(other, value)),
        _ => {
            object.remove(key);
            object.insert(other, value);
        }
    }
}

fn extreme(value: &Value, random: &mut ChaCha8Rng) -> Value {
    let nested = |depth| (0..depth).fold(json!(1), |inner, _| json!([inner]));
    match below(22, random) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(1),
        5 => json!(2 + below(100, random)),
        6 => json!(1u64 << 31),
        7 => json!(1u64 << 40),
        8 => json!(1_000_000_000),
        9 => json!(u64::MAX),
        10 => json!(1e308),
        11 => json!(-0.5),
        12 => json!(""),
        13 => json!("a\u{0}\u{1F600}é"),
        14 => json!("x".repeat(10_000)),
        15 => json!([]),
        16 => json!({}),
        17 => nested(100),
        18 => json!(vec![1; 1000]),
        19 => json!([value, value]),
        20 => json!({ "a": value }),
        _ => json!(value.to_string()),
    }
}
