//! From the file of a picture to its pixels.

use std::fs;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};

use crate::jpeg::{self, Reduced};
use crate::{DataError, ImageSource};

/// The longest side that is accepted, in pixels.
pub(crate) const LONGEST_SIDE: u32 = 20_000;
/// The most memory a decoder may take, and the largest file that is read, in bytes.
pub(crate) const MOST_BYTES: u64 = 512 << 20;

/// Decodes a picture to 8-bit RGB, upright.
///
/// The format (PNG, JPEG, WebP) is told from the content and not from the name. The EXIF
/// orientation is applied. Alpha is dropped without compositing, palettes give their colours and
/// grey is copied to the three channels, as Pillow's `convert("RGB")` does; 16-bit channels are
/// scaled down, where Pillow clips them at 255. JPEG files of one Huffman-coded scan (not progressive ones)
/// have the levels that libjpeg-turbo, and so Pillow, makes of them.
///
/// # Errors
///
/// [`DataError::Picture`] where the file is missing, cut short, damaged, of another format, or
/// claims more than 20,000 pixels a side or 512 MiB of memory.
pub fn decode(source: &ImageSource) -> Result<RgbImage, DataError> {
    caught(source, decode_bytes)
}

/// A decoded picture, which may have fewer pixels than its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// 8-bit RGB, upright; each side is `eighths` eighths of `full`, rounded up.
    pub picture: RgbImage,
    /// Width and height of the whole picture, upright.
    pub full: (usize, usize),
    /// 8 for all of its pixels, 1 to 4 for fewer.
    pub eighths: usize,
}

impl From<RgbImage> for Decoded {
    /// The whole picture.
    fn from(picture: RgbImage) -> Self {
        let full = (picture.width() as usize, picture.height() as usize);
        Self { picture, full, eighths: 8 }
    }
}

/// [`decode`], but a JPEG file is decoded to the fewest eighths of its size, four at most, in which it
/// is as large as `least` says for the width and height of the whole: its blocks are made of their
/// lowest frequencies alone. What needs more than half of its size, progressive files and other formats
/// are decoded whole.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_at_least(
    source: &ImageSource,
    least: &dyn Fn((usize, usize)) -> (usize, usize),
) -> Result<Decoded, DataError> {
    caught(source, |place, bytes| match jpeg::decode_reduced(bytes, least) {
        Some(Reduced { picture, orientation, full: (width, height), eighths }) => {
            let is_turned = jpeg::is_turned(orientation);
            let mut picture = DynamicImage::from(picture);
            picture.apply_orientation(orientation);
            let full = if is_turned { (height, width) } else { (width, height) };
            Ok(Decoded { picture: picture.into_rgb8(), full, eighths })
        }
        None => decode_bytes(place, bytes).map(Decoded::from),
    })
}

/// What `decode` makes of a picture's file; a panic in it is an error.
fn caught<T>(
    source: &ImageSource,
    decode: impl FnOnce(&Path, &[u8]) -> Result<T, DataError>,
) -> Result<T, DataError> {
    let place = source.place();
    let bytes = bytes_of(source)?;
    // Decoders of damaged files have panicked before; one bad file must not end a long run.
    match catch_unwind(AssertUnwindSafe(|| decode(&place, &bytes))) {
        Ok(result) => result,
        Err(_) => Err(DataError::picture(&place, "the decoder gave up; save the picture anew")),
    }
}

/// The file of a picture as it is, wherever it lies.
pub(crate) fn bytes_of(source: &ImageSource) -> Result<Vec<u8>, DataError> {
    let path = match source {
        ImageSource::File(path) => path,
        ImageSource::Packed(packed) => return packed.read(),
    };
    let problem = |error: std::io::Error| {
        DataError::picture(path, format!("{error}; put the picture there or drop its row"))
    };
    let bytes = fs::metadata(path).map_err(problem)?.len();
    check_length(path, bytes)?;
    fs::read(path).map_err(problem)
}

/// How many bytes that is; `None` where the picture is not there.
pub(crate) fn length_of(source: &ImageSource) -> Option<u64> {
    match source {
        ImageSource::File(path) => Some(fs::metadata(path).ok()?.len()),
        ImageSource::Packed(packed) => packed.length(),
    }
}

/// Refuses what is too large to be read, before it is.
pub(crate) fn check_length(place: &Path, bytes: u64) -> Result<(), DataError> {
    if bytes <= MOST_BYTES {
        return Ok(());
    }
    let problem = format!("the file has {bytes} bytes, more than {MOST_BYTES}; scale it down");
    Err(DataError::picture(place, problem))
}

fn decode_bytes(path: &Path, bytes: &[u8]) -> Result<RgbImage, DataError> {
    if let Some((picture, orientation)) = jpeg::decode_whole(bytes) {
        let mut picture = DynamicImage::from(picture);
        picture.apply_orientation(orientation);
        return Ok(picture.into_rgb8());
    }
    let described = |error: ImageError| DataError::picture(path, describe(&error));
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(DataError::io(path, "save the picture anew"))?;
    let format = reader.format();
    if format == Some(ImageFormat::WebP) && !webp_is_complete(bytes) {
        return Err(DataError::picture(path, "the WebP file is cut short; copy it again"));
    }
    reader.limits(limits());
    let mut decoder = reader.into_decoder().map_err(described)?;
    let (width, height) = decoder.dimensions();
    // Also of what is grey in the file, which becomes three times as large.
    let as_rgb = u64::from(width) * u64::from(height) * 3;
    if decoder.total_bytes().max(as_rgb) > MOST_BYTES {
        let problem = format!("{width} x {height} pixels are too many; scale the picture down");
        return Err(DataError::picture(path, problem));
    }
    if is_animated(format, bytes).map_err(described)? {
        let problem =
            "the picture is animated; save the frame that is meant as a picture of its own";
        return Err(DataError::picture(path, problem));
    }
    let orientation = decoder.orientation().map_err(described)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(described)?;
    if format == Some(ImageFormat::Jpeg) && !jpeg_is_complete(bytes) {
        return Err(DataError::picture(path, "the JPEG file is cut short; copy it again"));
    }
    picture.apply_orientation(orientation);
    Ok(picture.into_rgb8())
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_BYTES);
    limits
}

/// Whether a picture has frames: which of them a label is about, nobody knows.
fn is_animated(format: Option<ImageFormat>, bytes: &[u8]) -> Result<bool, ImageError> {
    match format {
        Some(ImageFormat::Png) => PngDecoder::with_limits(Cursor::new(bytes), limits())?.is_apng(),
        Some(ImageFormat::WebP) => Ok(WebPDecoder::new(Cursor::new(bytes))?.has_animation()),
        _ => Ok(false),
    }
}

fn describe(error: &ImageError) -> String {
    match error {
        ImageError::Limits(_) => format!(
            "the picture is too large (more than {LONGEST_SIDE} pixels a side or {} MiB); scale \
             it down",
            MOST_BYTES >> 20
        ),
        ImageError::Unsupported(_) => {
            format!("{error}; convert the picture to PNG, JPEG or WebP")
        }
        _ => format!("the picture is damaged or cut short ({error}); copy it again"),
    }
}

/// Whether a JPEG file that decodes goes on to its end marker. The decoder fills what is missing
/// with grey and says nothing (ITU T.81, annex B: markers, and `0xFF00` for a literal `0xFF`).
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    let mut at = 2; // after the start marker
    while let (Some(&first), Some(&second)) = (bytes.get(at), bytes.get(at + 1)) {
        match (first, second) {
            (0xFF, 0xD9) => return true,
            // Entropy-coded data, a literal, a restart marker, fill bytes, or a marker alone.
            (0xFF, 0x00 | 0x01 | 0xD0..=0xD8) => at += 2,
            (0xFF, 0xFF) => at += 1,
            (0xFF, _) => match bytes.get(at + 2..at + 4) {
                Some(length) => at += 2 + usize::from(u16::from_be_bytes([length[0], length[1]])),
                None => return false,
            },
            // Most bytes are data.
            _ => match memchr::memchr(0xFF, &bytes[at..]) {
                Some(distance) => at += distance,
                None => return false,
            },
        }
    }
    false
}

/// Whether every chunk of a WebP file lies within it (RFC 9649, section 2.3). The decoder takes the
/// memory that a chunk claims before it reads it.
fn webp_is_complete(bytes: &[u8]) -> bool {
    let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    // What stands behind the file's own length is no part of it.
    let Some(end) = word(4).map(|length| (length as usize + 8).min(bytes.len())) else {
        return false;
    };
    let mut at = 12;
    while at < end {
        let Some(length) = word(at + 4) else { return true };
        let stop = at + 8 + length as usize;
        if stop > bytes.len() {
            return false;
        }
        at = stop + length as usize % 2;
    }
    true
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use image::{ExtendedColorType, ImageEncoder};
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::Folder;

    fn decoded(bytes: &[u8]) -> Result<RgbImage, String> {
        // A name that lies: the content decides.
        let folder = Folder::with(&[]);
        let path = folder.file("picture.txt", bytes);
        decode(&ImageSource::File(path)).map_err(|error| {
            error.to_string().replace(&format!("{}/", folder.path().display()), "")
        })
    }

    fn png(pixels: &[u8], width: u32, height: u32, colour: ExtendedColorType) -> Vec<u8> {
        let mut bytes = Vec::new();
        image::codecs::png::PngEncoder::new(&mut bytes)
            .write_image(pixels, width, height, colour)
            .unwrap();
        bytes
    }

    /// A JPEG of 16 x 8 pixels: left half dark, right half bright.
    fn jpeg() -> Vec<u8> {
        let picture =
            image::GrayImage::from_fn(16, 8, |x, _| image::Luma([if x < 8 { 20 } else { 230 }]));
        let mut bytes = Vec::new();
        image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 95)
            .encode_image(&picture)
            .unwrap();
        bytes
    }

    /// The same with an EXIF orientation (EXIF 2.3, tag 0x0112).
    fn rotated_jpeg(orientation: u8) -> Vec<u8> {
        let mut exif =
            b"\xFF\xE1\0\x22Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
        let plain = jpeg();
        [&plain[..2], &exif, &plain[2..]].concat()
    }

    /// A PNG chunk with its checksum (RFC 2083, section 3 and appendix).
    fn chunk(kind: &[u8], body: &[u8]) -> Vec<u8> {
        let covered = [kind, body].concat();
        let sum = !covered.iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
                (sum >> 1) ^ if sum & 1 == 1 { 0xEDB8_8320 } else { 0 }
            })
        });
        let length = (body.len() as u32).to_be_bytes();
        [&length[..], &covered, &sum.to_be_bytes()].concat()
    }

    /// The start of a PNG: bit depth 8 and this colour type.
    fn png_header(width: u32, height: u32, colour_type: u8) -> Vec<u8> {
        let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
        let header = [&size[..], &[8, colour_type, 0, 0, 0]].concat();
        [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &header)].concat()
    }

    #[test]
    fn alpha_is_dropped_and_hidden_colours_appear() {
        let rgba = png(&[200, 100, 50, 0, 1, 2, 3, 255], 2, 1, ExtendedColorType::Rgba8);
        assert_eq!(decoded(&rgba).unwrap().into_raw(), [200, 100, 50, 1, 2, 3]);
        let grey_alpha = png(&[77, 0], 1, 1, ExtendedColorType::La8);
        assert_eq!(decoded(&grey_alpha).unwrap().into_raw(), [77, 77, 77]);
    }

    #[test]
    fn grey_is_copied_and_sixteen_bits_are_scaled() {
        let grey = png(&[9, 200], 2, 1, ExtendedColorType::L8);
        assert_eq!(decoded(&grey).unwrap().into_raw(), [9, 9, 9, 200, 200, 200]);
        // 0x8080 of 0xFFFF is 128 of 255; Pillow would clip it to 255.
        let deep = png(&0x8080_u16.to_ne_bytes(), 1, 1, ExtendedColorType::L16);
        assert_eq!(decoded(&deep).unwrap().into_raw(), [128, 128, 128]);
    }

    #[test]
    fn a_palette_gives_its_colours_even_where_transparent() {
        // Two pixels, entries 1 and 0, in an uncompressed zlib block (RFC 1950, RFC 1951).
        let zlib = [0x78, 1, 1, 3, 0, 0xFC, 0xFF, 0, 1, 0, 0, 6, 0, 2];
        let bytes = [
            png_header(2, 1, 3),
            chunk(b"PLTE", &[10, 20, 30, 40, 50, 60]),
            chunk(b"tRNS", &[0]),
            chunk(b"IDAT", &zlib),
            chunk(b"IEND", &[]),
        ]
        .concat();
        assert_eq!(decoded(&bytes).unwrap().into_raw(), [40, 50, 60, 10, 20, 30]);
    }

    #[test]
    fn the_orientation_is_applied() {
        let upright = decoded(&jpeg()).unwrap();
        assert_eq!(upright.dimensions(), (16, 8));
        assert!(upright.get_pixel(0, 0).0[0] < 60);
        // 6: to be turned clockwise, so what was left is on top.
        let turned = decoded(&rotated_jpeg(6)).unwrap();
        assert_eq!(turned.dimensions(), (8, 16));
        assert!(turned.get_pixel(4, 0).0[0] < 60 && turned.get_pixel(4, 15).0[0] > 190);
        // 3: upside down, so what was left is right.
        let turned = decoded(&rotated_jpeg(3)).unwrap();
        assert!(turned.get_pixel(0, 0).0[0] > 190 && turned.get_pixel(15, 0).0[0] < 60);
    }

    #[test]
    fn a_huge_claim_is_refused_at_once() {
        let start = Instant::now();
        for (width, height) in [(60_000, 60_000), (20_001, 1), (1, u32::MAX >> 1), (19_999, 19_999)]
        {
            let idat = chunk(b"IDAT", &[0x78, 1, 1, 0, 0, 0xFF, 0xFF, 0, 0, 0, 1]);
            let bytes = [png_header(width, height, 6), idat, chunk(b"IEND", &[])].concat();
            let message = decoded(&bytes).unwrap_err();
            assert!(message.starts_with("picture.txt: "), "{message}");
            assert!(message.contains("too large") || message.contains("too many"), "{message}");
        }
        assert!(start.elapsed().as_secs() < 5);
    }

    #[test]
    fn a_file_that_is_cut_short_is_an_error() {
        let pixels: Vec<u8> = (0..=255).collect();
        let png = png(&pixels, 16, 16, ExtendedColorType::L8);
        assert!(decoded(&png).is_ok());
        // Without its last chunk (12 bytes) and one more.
        for length in 0..png.len() - 13 {
            assert!(decoded(&png[..length]).is_err(), "PNG of {length} bytes");
        }
        for jpeg in [jpeg(), rotated_jpeg(6)] {
            for length in 0..jpeg.len() {
                assert!(decoded(&jpeg[..length]).is_err(), "JPEG of {length} bytes");
            }
            assert!(decoded(&[&jpeg[..], b"what a camera adds"].concat()).is_ok());
        }
    }

    #[test]
    fn what_is_no_picture_is_named() {
        for (bytes, expected) in [
            (&b""[..], "convert the picture to PNG, JPEG or WebP"),
            (b"GIF89a\x01\0\x01\0", "convert the picture to PNG, JPEG or WebP"),
            (b"<html>not found</html>", "convert the picture to PNG, JPEG or WebP"),
            (b"\x89PNG\r\n\x1a\nrubbish", "damaged or cut short"),
        ] {
            let message = decoded(bytes).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
        let error = decode(&ImageSource::File("nowhere/x.png".into())).unwrap_err().to_string();
        assert!(error.starts_with("nowhere/x.png: ") && error.ends_with("drop its row"), "{error}");
    }

    proptest! {
        /// A damaged file is a picture or an error, and never a panic.
        #[test]
        fn damage_is_survived(at in 0.0..1.0, value: u8, first in 0_usize..2) {
            let pixels: Vec<u8> = (0..=255).collect();
            let mut bytes = [jpeg(), png(&pixels, 16, 16, ExtendedColorType::L8)][first].clone();
            let index = (at * bytes.len() as f64) as usize;
            bytes[index] = value;
            drop(decoded(&bytes));
        }
    }
}
