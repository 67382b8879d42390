//! From the components of a JPEG file to red, green and blue.

use pulp::{Arch, NullaryFnOnce};

/// Writes a row of pixels from one component, grey, or three: Y, Cb and Cr, or else red, green and blue.
pub(super) fn colour(arch: Arch, lines: &[&[u8]], is_luminance: bool, pixels: &mut [u8]) {
    match *lines {
        [y, cb, cr] if is_luminance => arch.dispatch(Luminance { y, cb, cr, pixels }),
        [red, green, blue] => {
            for (((pixel, &red), &green), &blue) in
                pixels.chunks_exact_mut(3).zip(red).zip(green).zip(blue)
            {
                pixel.copy_from_slice(&[red, green, blue]);
            }
        }
        _ => {
            for (pixel, &grey) in pixels.chunks_exact_mut(3).zip(lines.iter().copied().flatten()) {
                pixel.fill(grey);
            }
        }
    }
}

/// The conversion of JFIF (ITU-T T.871), with 16 fractional bits.
struct Luminance<'a> {
    y: &'a [u8],
    cb: &'a [u8],
    cr: &'a [u8],
    pixels: &'a mut [u8],
}

impl NullaryFnOnce for Luminance<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { y, cb, cr, pixels } = self;
        for (((pixel, &y), &cb), &cr) in pixels.chunks_exact_mut(3).zip(y).zip(cb).zip(cr) {
            let y = (i32::from(y) << 16) + (1 << 15);
            let (cb, cr) = (i32::from(cb) - 128, i32::from(cr) - 128);
            pixel[0] = level(y + 91_881 * cr); // 1.402
            pixel[1] = level(y - 22_554 * cb - 46_802 * cr); // 0.344136, 0.714136
            pixel[2] = level(y + 116_130 * cb); // 1.772
        }
    }
}

#[inline(always)]
fn level(value: i32) -> u8 {
    (value >> 16).clamp(0, 255) as u8
}
