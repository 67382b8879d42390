//! From the rows of a picture to what a model sees of it, still 8-bit.

use std::ops::Range;

use image::RgbImage;
use mmc_data::{Rows, Shape};

use crate::resize::{Filter, Resize, Window};
use crate::size::{SizeRule, centre};

/// A picture that is resized while it is decoded.
pub(crate) struct Resizing {
    size: SizeRule,
    filter: Filter,
    /// Height and width cut out of the middle.
    crop: Option<(usize, usize)>,
    /// And where in what is cut out it lies, from the left and from the top.
    begun: Option<(Resize, (usize, usize))>,
}

impl Rows for Resizing {
    fn begin(&mut self, shape: &Shape) -> Range<usize> {
        let size = self.size.of(shape.full);
        let (height, width) = self.crop.unwrap_or((size.1, size.0));
        let (left, kept_width, gap_left) = centre(size.0, width);
        let (top, kept_height, gap_top) = centre(size.1, height);
        let window = Window { left, top, width: kept_width, height: kept_height };
        let resize = Resize::new(shape, size, window, self.filter);
        let columns = resize.columns();
        self.begun = Some((resize, (gap_left, gap_top)));
        columns
    }

    fn take(&mut self, rows: &[u8]) {
        if let Some((resize, _)) = &mut self.begun {
            resize.take(rows);
        }
    }
}

impl Resizing {
    pub(crate) fn new(size: SizeRule, filter: Filter, crop: Option<(usize, usize)>) -> Self {
        Self { size, filter, crop, begun: None }
    }

    /// The picture; nothing where none came.
    pub(crate) fn finish(self) -> RgbImage {
        let Some((resize, (left, top))) = self.begun else { return RgbImage::default() };
        let middle = resize.finish();
        let Some((height, width)) = self.crop else { return middle };
        if middle.dimensions() == (width as u32, height as u32) {
            return middle;
        }
        // The picture is smaller than what is cut out: black around it, as transformers does.
        let mut canvas = RgbImage::new(width as u32, height as u32);
        image::imageops::replace(&mut canvas, &middle, left as i64, top as i64);
        canvas
    }
}
