//! From the file of a picture to its pixels.

use std::fs;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};

use crate::{DataError, ImageSource};

/// The longest side that is accepted, in pixels.
const LONGEST_SIDE: u32 = 20_000;
/// The most memory a decoder may take, and the largest file that is read, in bytes.
const MOST_BYTES: u64 = 512 << 20;

/// Decodes a picture to 8-bit RGB, upright.
///
/// The format (PNG, JPEG, WebP) is told from the content and not from the name. The EXIF
/// orientation is applied. Alpha is dropped without compositing, palettes give their colours and
/// grey is copied to the three channels, as Pillow's `convert("RGB")` does; 16-bit channels are
/// scaled down, where Pillow clips them at 255.
///
/// # Errors
///
/// [`DataError::Picture`] where the file is missing, cut short, damaged, of another format, or
/// claims more than 20,000 pixels a side or 512 MiB of memory.
pub fn decode(source: &ImageSource) -> Result<RgbImage, DataError> {
    let ImageSource::File(path) = source;
    let bytes = read(path)?;
    // Decoders of damaged files have panicked before; one bad file must not end a long run.
    match catch_unwind(AssertUnwindSafe(|| decode_bytes(path, &bytes))) {
        Ok(result) => result,
        Err(_) => Err(DataError::picture(path, "the decoder gave up; save the picture anew")),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let problem = |error: std::io::Error| {
        DataError::picture(path, format!("{error}; put the picture there or drop its row"))
    };
    let bytes = fs::metadata(path).map_err(problem)?.len();
    if bytes > MOST_BYTES {
        let problem = format!("the file has {bytes} bytes, more than {MOST_BYTES}; scale it down");
        return Err(DataError::picture(path, problem));
    }
    fs::read(path).map_err(problem)
}

fn decode_bytes(path: &Path, bytes: &[u8]) -> Result<RgbImage, DataError> {
    let described = |error: ImageError| DataError::picture(path, describe(&error));
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(DataError::io(path, "save the picture anew"))?;
    let format = reader.format();
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(described)?;
    if decoder.total_bytes() > MOST_BYTES {
        let (width, height) = decoder.dimensions();
        let problem = format!("{width} x {height} pixels are too many; scale the picture down");
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
            _ => at += 1,
        }
    }
    false
}
