//! From the file of a picture to its pixels.

use std::fs::{self, File};
use std::io::{Cursor, Read as _};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::error::{ImageFormatHint, UnsupportedErrorKind};
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};

use crate::jpeg;
use crate::scratch::Scratch;
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

/// What width and height a picture has to have at least, by those of the whole.
pub type Least<'a> = &'a dyn Fn((usize, usize)) -> (usize, usize);

/// [`decode`], but a JPEG file is decoded to the fewest eighths of its size, four at most, in which it
/// is as large as `least` says for the width and height of the whole: its blocks are made of their
/// lowest frequencies alone. What needs more than half of its size, progressive files and other formats
/// are decoded whole.
///
/// # Errors
///
/// As [`decode`].
pub fn decode_at_least(source: &ImageSource, least: Least<'_>) -> Result<Decoded, DataError> {
    caught(source, |place, bytes| decode_at_least_bytes(place, bytes, least))
}

fn decode_at_least_bytes(
    place: &Path,
    bytes: &[u8],
    least: Least<'_>,
) -> Result<Decoded, DataError> {
    let Some((Decoded { picture, full: (width, height), eighths }, orientation)) =
        jpeg::decode_reduced(bytes, least)
    else {
        return decode_bytes(place, bytes).map(Decoded::from);
    };
    let mut picture = DynamicImage::from(picture);
    picture.apply_orientation(orientation);
    let full = if jpeg::is_turned(orientation) { (height, width) } else { (width, height) };
    Ok(Decoded { picture: picture.into_rgb8(), full, eighths })
}

/// The size of a picture whose rows come, and that of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Pixels of a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Width and height of the whole picture.
    pub full: (usize, usize),
    /// The rows have so many eighths of them; see [`Decoded`].
    pub eighths: usize,
}

/// What takes the rows of a picture while it is decoded: so nobody has to keep all of them.
pub trait Rows {
    /// A picture begins. Again, if the first reader gave up: what came before is to be forgotten.
    ///
    /// Says which columns of its rows will be looked at, at most all of `0..shape.width`. The others cost
    /// less, and may be anything.
    fn begin(&mut self, shape: &Shape) -> Range<usize>;

    /// The next rows from the top, as many as there are: 8-bit RGB.
    fn take(&mut self, rows: &[u8]);
}

impl dyn Rows + '_ {
    /// [`Rows::begin`]; no other columns than there are.
    pub(crate) fn begun(&mut self, shape: &Shape) -> Range<usize> {
        let Range { start, end } = self.begin(shape);
        let end = end.min(shape.width);
        start.min(end)..end
    }
}

/// [`decode_at_least`], or [`decode`] without `least`, handing on rows as they are made.
///
/// # Errors
///
/// As [`decode`], possibly after some rows.
pub fn decode_rows(
    source: &ImageSource,
    least: Option<Least<'_>>,
    rows: &mut dyn Rows,
) -> Result<(), DataError> {
    caught(source, |place, bytes| {
        if jpeg::decode_rows(bytes, least, rows).is_some() {
            return Ok(());
        }
        let Decoded { picture, full, eighths } = match least {
            Some(least) => decode_at_least_bytes(place, bytes, least)?,
            None => Decoded::from(decode_bytes(place, bytes)?),
        };
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        rows.begun(&Shape { width, height, full, eighths });
        rows.take(&picture);
        Ok(())
    })
}

/// All rows of a picture.
#[derive(Default)]
pub(crate) struct Collected {
    shape: Option<Shape>,
    values: Vec<u8>,
}

impl Rows for Collected {
    fn begin(&mut self, shape: &Shape) -> Range<usize> {
        self.values = Vec::with_capacity(shape.width * shape.height * 3);
        self.shape = Some(*shape);
        0..shape.width
    }

    fn take(&mut self, rows: &[u8]) {
        self.values.extend_from_slice(rows);
    }
}

impl Collected {
    /// `None` where rows are missing.
    pub(crate) fn finish(self) -> Option<Decoded> {
        let Shape { width, height, full, eighths } = self.shape?;
        let picture = RgbImage::from_raw(width as u32, height as u32, self.values)?;
        Some(Decoded { picture, full, eighths })
    }
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
pub(crate) fn bytes_of(source: &ImageSource) -> Result<Scratch, DataError> {
    let path = match source {
        ImageSource::File(path) => path,
        ImageSource::Packed(packed) => return packed.read().map(Scratch::from),
    };
    let problem = |error: std::io::Error| {
        DataError::picture(path, format!("{error}; put the picture there or drop its row"))
    };
    let metadata = fs::metadata(path).map_err(problem)?;
    if !metadata.is_file() {
        // What is no file may have no end, or wait for one that writes to it.
        return Err(DataError::picture(
            path,
            "this is not a file; put the picture there or drop its row",
        ));
    }
    let length = metadata.len();
    check_length(path, length)?;
    let mut file = File::open(path).map_err(problem)?;
    let mut bytes = Scratch::new();
    // And a byte that shows where the file ends.
    bytes.reserve(length as usize + 1);
    file.read_to_end(&mut bytes).map_err(problem)?;
    Ok(bytes)
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
    if bytes.is_empty() {
        return Err(DataError::picture(path, "the file is empty; copy the picture again"));
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
        ImageError::Unsupported(unsupported) => match unsupported.kind() {
            UnsupportedErrorKind::Format(ImageFormatHint::Exact(format)) => {
                format!("{format:?} files are not read; convert the picture to PNG, JPEG or WebP")
            }
            UnsupportedErrorKind::Format(_) => {
                "the file holds neither PNG, JPEG nor WebP; convert the picture to one of them, or copy \
                 it again if it should be one"
                    .to_owned()
            }
            _ => format!("{error}; convert the picture to PNG, JPEG or WebP"),
        },
        _ => {
            // Some decoders end their words with a new line.
            let words = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            format!("the picture is damaged or cut short ({words}); copy it again")
        }
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

/// Chunks of a WebP file that its decoder reads.
const WEBP_CHUNKS: [&[u8; 4]; 8] =
    [b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"ICCP", b"VP8 ", b"VP8L", b"XMP "];

/// Whether every chunk of a WebP file lies within it (RFC 9649, section 2.3). The decoder takes the
/// memory that a chunk claims before it reads it.
fn webp_is_complete(bytes: &[u8]) -> bool {
    let word = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    // What stands behind the file's own length is no part of it, but the decoder looks for chunks in ten
    // bytes of that too.
    let Some(end) = word(4).map(|length| length as usize + 8) else { return false };
    let mut at = 12;
    while at < (end + 10).min(bytes.len()) {
        let Some(length) = word(at + 4) else { return true };
        let stop = at + 8 + length as usize;
        if stop > bytes.len() {
            return at >= end && !WEBP_CHUNKS.iter().any(|name| bytes[at..].starts_with(*name));
        }
        at = stop + length as usize % 2;
    }
    true
}

#[cfg(test)]
mod tests;
