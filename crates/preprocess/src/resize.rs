//! Pillow's resampling, to the last bit.
//!
//! The published results of CLIP, FLAVA and ViLT were made with Pillow, whose 8-bit pictures are
//! resampled in two passes, the columns first, with weights of 22 fractional bits and **8-bit,
//! clamped values between the passes**. Keeping floats there instead moves single values by up to
//! 23 of 255 levels. Source of the arithmetic: Pillow 12.0, `src/libImaging/Resample.c`.

mod passes;
mod taps;
#[cfg(target_arch = "x86_64")]
mod vectors;

use std::ops::Range;

use image::RgbImage;
use mmc_data::{Decoded, Shape};
use pulp::Arch;

use self::passes::{Across, ROWS, down};
pub use self::taps::Filter;
use self::taps::{Axis, Taps};

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
    pub(crate) shape: Shape,
}

impl<'a> From<&'a RgbImage> for Source<'a> {
    fn from(picture: &'a RgbImage) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        Self { picture, shape: Shape { width, height, full: (width, height), eighths: 8 } }
    }
}

impl<'a> From<&'a Decoded> for Source<'a> {
    fn from(decoded: &'a Decoded) -> Self {
        let shape = Source::from(&decoded.picture).shape;
        let Decoded { picture, full, eighths } = decoded;
        Self { picture, shape: Shape { full: *full, eighths: *eighths, ..shape } }
    }
}

impl Source<'_> {
    /// All rows.
    pub(crate) fn rows(&self) -> &[u8] {
        self.picture
    }
}

/// The part `window` of the picture resized to `size` (width, height): the same pixels as resizing
/// the whole and cutting it out, without making the rest. `window` must lie inside `size`.
pub(crate) fn resize_window(
    source: &Source<'_>,
    size: (usize, usize),
    window: Window,
    filter: Filter,
) -> RgbImage {
    let mut resize = Resize::new(&source.shape, size, window, filter);
    resize.take(source.rows());
    resize.finish()
}

/// [`resize_window`] of a picture whose rows come one after the other. Of what both passes make, only
/// what the next rows need is kept.
pub(crate) struct Resize {
    arch: Arch,
    window: Window,
    /// Values of a row of the picture.
    stride: usize,
    across: Across,
    rows: Vec<Taps>,
    unchanged: bool,
    /// Rows that are looked at.
    range: Range<usize>,
    /// Rows that came, and the last of them as long as they are fewer than [`ROWS`].
    came: usize,
    waiting: Vec<u8>,
    /// Rows behind the first pass, the first of which is `first` in the picture.
    between: Vec<u8>,
    first: usize,
    /// Rows behind the second.
    output: Vec<u8>,
}

impl Resize {
    /// For a picture of this shape; the rest as [`resize_window`].
    pub(crate) fn new(shape: &Shape, size: (usize, usize), window: Window, filter: Filter) -> Self {
        let is_empty = [window.width, window.height, shape.width, shape.height].contains(&0);
        let extent = |side: usize| (side * shape.eighths) as f64 / 8.0;
        let across = Axis { pixels: shape.width, extent: extent(shape.full.0), output: size.0 };
        let vertical = Axis { pixels: shape.height, extent: extent(shape.full.1), output: size.1 };
        let (mut columns, mut rows) = (Vec::new(), Vec::new());
        if !is_empty {
            columns = across.taps(window.left..window.left + window.width, filter);
            rows = vertical.taps(window.top..window.top + window.height, filter);
        }
        let first = rows.iter().map(|taps| taps.first).min().unwrap_or(0);
        let end = rows.iter().map(|taps| taps.first + taps.weights.len()).max().unwrap_or(0);
        let arch = Arch::new();
        Self {
            arch,
            window,
            stride: shape.width * 3,
            across: Across::new(arch, columns, across.stays()),
            rows,
            unchanged: vertical.stays(),
            range: first..end,
            came: 0,
            waiting: Vec::new(),
            between: Vec::new(),
            first: first / ROWS * ROWS,
            output: Vec::with_capacity(window.width * window.height * 3),
        }
    }

    /// The columns of the picture that are looked at.
    pub(crate) fn columns(&self) -> Range<usize> {
        self.across.range.clone()
    }

    /// The next rows from the top, as many as there are.
    pub(crate) fn take(&mut self, mut rows: &[u8]) {
        let strip = ROWS * self.stride;
        if self.range.is_empty() {
            return;
        }
        if !self.waiting.is_empty() {
            let (now, later) = rows.split_at(rows.len().min(strip - self.waiting.len()));
            self.waiting.extend_from_slice(now);
            rows = later;
            if self.waiting.len() == strip {
                let waiting = std::mem::take(&mut self.waiting);
                self.pass(&waiting);
                self.waiting = waiting;
                self.waiting.clear();
            }
        }
        let (strips, rest) = rows.split_at(rows.len() / strip * strip);
        for strip in strips.chunks_exact(strip) {
            self.pass(strip);
        }
        self.waiting.extend_from_slice(rest);
    }

    /// Up to [`ROWS`] rows go through both passes, as far as they go.
    fn pass(&mut self, strip: &[u8]) {
        let begin = self.came;
        self.came += strip.len() / self.stride;
        if self.came <= self.range.start || begin >= self.range.end {
            return;
        }
        self.across.resize(strip, self.stride, &mut self.between);
        let width = self.window.width * 3;
        let mut made = self.output.len() / width;
        while let Some(taps) = self.rows.get(made)
            && taps.first + taps.weights.len() <= self.came
        {
            let input = &self.between[(taps.first - self.first) * width..];
            let start = self.output.len();
            if self.unchanged {
                self.output.extend_from_slice(&input[..width]);
            } else {
                self.output.resize(start + width, 0);
                down(self.arch, input, &taps.weights, &mut self.output[start..]);
            }
            made += 1;
        }
        let needed = self.rows.get(made).map_or(self.came, |taps| taps.first.min(self.came));
        self.between.drain(..(needed - self.first) * width);
        self.first = needed;
    }

    /// The resized picture; black where rows did not come.
    pub(crate) fn finish(mut self) -> RgbImage {
        let waiting = std::mem::take(&mut self.waiting);
        if !waiting.is_empty() {
            self.pass(&waiting);
        }
        let Window { width, height, .. } = self.window;
        self.output.resize(width * height * 3, 0);
        RgbImage::from_raw(width as u32, height as u32, self.output)
            .unwrap_or_else(|| RgbImage::new(width as u32, height as u32))
    }
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
