//! The bytes of an entry.

use image::RgbImage;
use mmc_data::Decoded;

/// How an entry begins; another form has another number.
pub(super) const FORMAT: &[u8] = b"mmc picture 1\n";

/// Width and height of the picture and of the whole, eighths, checksum: 4 bytes each.
const NUMBERS: usize = 6;
/// The key behind the format's name.
const KEY: usize = 32;
const HEAD: usize = FORMAT.len() + KEY + 4 * NUMBERS;

/// An entry: format, key, numbers, levels. The checksum (CRC-32C) is over all but itself.
pub(super) fn write(picture: &Decoded, key: &[u8; KEY]) -> Vec<u8> {
    let levels = picture.picture.as_raw();
    let (width, height) = picture.picture.dimensions();
    let full = [picture.full.0, picture.full.1, picture.eighths].map(|number| number as u32);
    let mut bytes = Vec::with_capacity(HEAD + levels.len());
    bytes.extend_from_slice(FORMAT);
    bytes.extend_from_slice(key);
    for number in [width, height, full[0], full[1], full[2]] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes), levels);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(levels);
    bytes
}

/// The picture of an entry; `None` where it is not whole, or another's.
pub(super) fn read(mut bytes: Vec<u8>, key: &[u8; KEY]) -> Option<Decoded> {
    let (head, levels) = bytes.split_at_checked(HEAD)?;
    let rest = head.strip_prefix(FORMAT)?.strip_prefix(key)?;
    let mut numbers = [0; NUMBERS];
    for (number, bytes) in numbers.iter_mut().zip(rest.chunks_exact(4)) {
        *number = u32::from_le_bytes(*bytes.first_chunk()?);
    }
    let [width, height, full_width, full_height, eighths, checksum] = numbers;
    let is_whole = crc32c::crc32c_append(crc32c::crc32c(&head[..HEAD - 4]), levels) == checksum;
    if !is_whole || levels.len() as u64 != u64::from(width) * u64::from(height) * 3 {
        return None;
    }
    bytes.drain(..HEAD);
    Some(Decoded {
        picture: RgbImage::from_raw(width, height, bytes)?,
        full: (full_width as usize, full_height as usize),
        eighths: eighths as usize,
    })
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn every_byte_counts() {
        let picture = RgbImage::from_fn(3, 2, |x, y| Rgb([x as u8, y as u8, 200]));
        let decoded = Decoded { picture, full: (6, 4), eighths: 4 };
        let key = [7; 32];
        let bytes = write(&decoded, &key);
        assert_eq!(read(bytes.clone(), &key).unwrap(), decoded);
        assert!(read(bytes.clone(), &[8; 32]).is_none());
        for at in 0..bytes.len() {
            assert!(read(bytes[..at].to_vec(), &key).is_none(), "cut at {at}");
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(read(damaged, &key).is_none(), "{at}");
        }
        assert!(read([&bytes[..], &[0]].concat(), &key).is_none());
    }
}
