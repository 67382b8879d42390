//! Pillow's resampling, to the last bit.
//!
//! The published results of CLIP, FLAVA and ViLT were made with Pillow, whose 8-bit pictures are
//! resampled in two passes, the columns first, with weights of 22 fractional bits and **8-bit,
//! clamped values between the passes**. Keeping floats there instead moves single values by up to
//! 23 of 255 levels. Source of the arithmetic: Pillow 12.0, `src/libImaging/Resample.c`.

mod passes;
mod taps;

use image::RgbImage;
use mmc_data::Decoded;

use self::passes::{across_rows, down_columns};
use self::taps::Axis;
pub use self::taps::Filter;

/// A rectangle of the resized picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// Resizes a picture to `width` by `height` pixels, as Pillow's `Image.resize` does; the aspect
/// ratio is the caller's. The kernel is widened where the picture shrinks (antialias) and an axis
/// whose size stays is left alone. A size of 0 gives an empty picture.
///
/// ```
/// use image::{Rgb, RgbImage};
/// use mmc_preprocess::{Filter, resize};
///
/// let mut picture = RgbImage::new(4, 1);
/// picture.put_pixel(1, 0, Rgb([255, 0, 0]));
/// assert_eq!(resize(&picture, 2, 1, Filter::Box).get_pixel(0, 0), &Rgb([128, 0, 0]));
/// ```
#[must_use]
pub fn resize(picture: &RgbImage, width: u32, height: u32, filter: Filter) -> RgbImage {
    let window = Window { left: 0, top: 0, width: width as usize, height: height as usize };
    resize_window(&Source::from(picture), (width as usize, height as usize), window, filter)
}

/// What is resized.
pub(crate) struct Source<'a> {
    picture: &'a RgbImage,
    /// Width and height of the whole picture.
    pub(crate) full: (usize, usize),
    /// Of which the pixels are so many eighths. The last of them may lie partly beyond it.
    eighths: usize,
}

impl<'a> From<&'a RgbImage> for Source<'a> {
    fn from(picture: &'a RgbImage) -> Self {
        Self { picture, full: (picture.width() as usize, picture.height() as usize), eighths: 8 }
    }
}

impl<'a> From<&'a Decoded> for Source<'a> {
    fn from(decoded: &'a Decoded) -> Self {
        Self { picture: &decoded.picture, full: decoded.full, eighths: decoded.eighths }
    }
}

/// The part `window` of the picture resized to `size` (width, height): the same pixels as resizing
/// the whole and cutting it out, without making the rest. `window` must lie inside `size`.
pub(crate) fn resize_window(
    &Source { picture, full, eighths }: &Source<'_>,
    size: (usize, usize),
    window: Window,
    filter: Filter,
) -> RgbImage {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let output = (window.width as u32, window.height as u32);
    if window.width == 0 || window.height == 0 || width == 0 || height == 0 {
        return RgbImage::new(output.0, output.1);
    }
    let extent = |side: usize| (side * eighths) as f64 / 8.0;
    let across = Axis { pixels: width, extent: extent(full.0), output: size.0 };
    let down = Axis { pixels: height, extent: extent(full.1), output: size.1 };
    let columns = across.taps(window.left..window.left + window.width, filter);
    let rows = down.taps(window.top..window.top + window.height, filter);
    let first = rows.iter().map(|taps| taps.first).min().unwrap_or(0);
    let end = rows.iter().map(|taps| taps.first + taps.weights.len()).max().unwrap_or(0);
    let between = across_rows(picture, first..end, &columns, across.stays());
    let values = down_columns(between, first, &rows, (window.width * 3, down.stays()));
    RgbImage::from_raw(output.0, output.1, values)
        .unwrap_or_else(|| RgbImage::new(output.0, output.1))
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use proptest::prelude::*;

    use super::*;

    const FILTERS: [Filter; 5] =
        [Filter::Box, Filter::Bilinear, Filter::Hamming, Filter::Bicubic, Filter::Lanczos];

    fn noise(width: u32, height: u32) -> RgbImage {
        let mut state = 1_u32;
        RgbImage::from_fn(width, height, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Rgb([(state >> 24) as u8, (state >> 16) as u8, (state >> 8) as u8])
        })
    }

    #[test]
    fn an_unchanged_size_is_the_same_picture() {
        let picture = noise(7, 5);
        for filter in FILTERS {
            assert_eq!(resize(&picture, 7, 5, filter), picture);
        }
    }

    #[test]
    fn nothing_stays_nothing() {
        assert_eq!(resize(&noise(3, 3), 0, 2, Filter::Bicubic).dimensions(), (0, 2));
        assert_eq!(
            resize(&RgbImage::new(0, 3), 2, 2, Filter::Bicubic).get_pixel(1, 1),
            &Rgb([0, 0, 0])
        );
    }

    proptest! {
        /// Weights sum to one, so an even picture stays even, whatever the sizes.
        #[test]
        fn an_even_picture_stays_even(
            (from, to) in ((1_u32..40, 1_u32..40), (1_u32..60, 1_u32..60)),
            level: u8,
            filter in prop::sample::select(&FILTERS[..]),
        ) {
            let even = RgbImage::from_pixel(from.0, from.1, Rgb([level, 0, 255]));
            let resized = resize(&even, to.0, to.1, filter);
            prop_assert!(resized.pixels().all(|pixel| pixel.0 == [level, 0, 255]));
        }

        /// A window holds the same pixels as the same part of the whole.
        #[test]
        fn a_window_is_a_part_of_the_whole(
            (width, height) in (1_u32..30, 1_u32..30),
            (left, top, right, bottom) in (0_usize..9, 0_usize..9, 0_usize..9, 0_usize..9),
        ) {
            let picture = noise(13, 11);
            let (full_width, full_height) = (width as usize + 18, height as usize + 18);
            let window = Window {
                left,
                top,
                width: full_width - left - right,
                height: full_height - top - bottom,
            };
            let part = resize_window(&Source::from(&picture), (full_width, full_height), window, Filter::Bicubic);
            let whole = resize(&picture, width + 18, height + 18, Filter::Bicubic);
            for (x, y, pixel) in part.enumerate_pixels() {
                prop_assert_eq!(pixel, whole.get_pixel(x + left as u32, y + top as u32));
            }
        }
    }
}
