//! Small copies of pictures, to be shown beside figures.

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};

use crate::{DataError, ImageSource, decode};

/// Good enough to see what is there, at a few kilobytes.
const QUALITY: u8 = 80;

/// A picture as a JPEG file of at most `side` pixels a side, its proportions kept. Smaller pictures
/// are not enlarged. Not for models: the resampling is not that of any checkpoint.
///
/// # Errors
///
/// As [`decode`]; [`DataError::Picture`] where it cannot be encoded.
pub fn thumbnail(source: &ImageSource, side: u32) -> Result<Vec<u8>, DataError> {
    let picture = decode(source)?;
    let (width, height) = picture.dimensions();
    let longest = width.max(height).max(1);
    let scaled = |length: u32| {
        let length = u64::from(length) * u64::from(side.min(longest)) / u64::from(longest);
        (length as u32).max(1)
    };
    let small = resize(&picture, scaled(width), scaled(height), FilterType::Triangle);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&small).map_err(|error| {
        DataError::picture(&source.place(), format!("no small copy can be made: {error}"))
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    #[test]
    fn proportions_are_kept_and_nothing_is_enlarged() {
        let place = tempfile::tempdir().unwrap();
        let made = |width, height, side| {
            let path = place.path().join("a.png");
            RgbImage::from_pixel(width, height, Rgb([200, 30, 60])).save(&path).unwrap();
            let bytes = thumbnail(&ImageSource::File(path), side).unwrap();
            image::load_from_memory(&bytes).unwrap().into_rgb8()
        };
        let small = made(300, 150, 100);
        assert_eq!(small.dimensions(), (100, 50));
        let pixel = small.get_pixel(50, 25).0;
        assert!(pixel[0].abs_diff(200) < 8 && pixel[1].abs_diff(30) < 8, "{pixel:?}");
        assert_eq!(made(60, 40, 100).dimensions(), (60, 40));
        assert_eq!(made(1000, 1, 100).dimensions(), (100, 1));
        let absent = ImageSource::File(place.path().join("absent.png"));
        assert!(thumbnail(&absent, 100).is_err());
    }
}
