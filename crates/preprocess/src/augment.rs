//! Random changes of pictures in training.

use image::{RgbImage, imageops};
use mmc_random::{ChaCha8Rng, Purpose, below, generator, name_index};
use rand::RngExt;

/// How far pictures are changed, at random, before a model is trained on them.
///
/// A piece is cut out of the picture before it is resized, drawn as torchvision's
/// `RandomResizedCrop` draws it (Szegedy et al., *Going deeper with convolutions*, 2015), and the
/// brightness, contrast and saturation of what the model sees are multiplied by factors around 1, in
/// this order, as torchvision's `adjust_brightness`, `adjust_contrast` and `adjust_saturation` do it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Augmentation {
    /// The least share of the picture's area that is left, in (0, 1].
    pub least_area: f64,
    /// How much longer or shorter the piece may be, against its height and the picture's own
    /// proportions: 1 keeps them, 1.1 makes it up to a tenth longer or shorter.
    pub most_stretch: f64,
    /// The factors of brightness, contrast and saturation lie in 1 ± this, in [0, 1].
    pub jitter: f64,
    /// How often left and right are exchanged, in [0, 1].
    pub flips: f64,
}

/// How often a piece that does not fit into the picture is drawn again, as in torchvision.
const ATTEMPTS: usize = 10;

impl Augmentation {
    /// At least 0.8 of the area, 1.1, 1 ± 0.2, and never a flip, since memes carry text.
    pub const LIGHT: Self = Self { least_area: 0.8, most_stretch: 1.1, jitter: 0.2, flips: 0.0 };

    /// The same, and half of the pictures mirrored: for pictures without text in them.
    pub const LIGHT_FLIP: Self = Self { flips: 0.5, ..Self::LIGHT };

    /// What is drawn for the item of this id in an epoch. Nothing else decides it, so the order of
    /// items, threads and interruptions change no picture.
    #[must_use]
    pub fn draw(self, seed: u64, epoch: u64, id: &str) -> Draw {
        let mut random = generator(seed, Purpose::Augment, epoch, name_index(id));
        let mut factor = || 1.0 + self.jitter * (2.0 * random.random::<f64>() - 1.0);
        let factors = [factor(), factor(), factor()];
        let flipped = random.random::<f64>() < self.flips;
        Draw { augmentation: self, factors, flipped, random }
    }
}

/// One item's changes in one epoch.
#[derive(Clone, Debug)]
pub struct Draw {
    augmentation: Augmentation,
    /// Of brightness, contrast, saturation.
    factors: [f64; 3],
    flipped: bool,
    /// Decides what piece is left.
    random: ChaCha8Rng,
}

/// A piece of a picture, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Draw {
    /// The least part of a side that can be left.
    pub(crate) fn least_side(&self) -> f64 {
        (self.augmentation.least_area / self.augmentation.most_stretch).sqrt()
    }

    /// The piece of a picture that is left of it, mirrored or not.
    pub(crate) fn cut(&mut self, picture: &RgbImage) -> RgbImage {
        let Piece { left, top, width, height } = self.piece(picture.dimensions());
        let piece = imageops::crop_imm(picture, left, top, width, height);
        if self.flipped { imageops::flip_horizontal(&*piece) } else { piece.to_image() }
    }

    /// A piece that fits into a picture of this width and height; the whole where none is found.
    fn piece(&mut self, (across, down): (u32, u32)) -> Piece {
        let Augmentation { least_area, most_stretch, .. } = self.augmentation;
        for _ in 0..ATTEMPTS {
            let area = least_area + (1.0 - least_area) * self.random.random::<f64>();
            let stretch = most_stretch.powf(2.0 * self.random.random::<f64>() - 1.0);
            let side = |whole: u32, share: f64| (f64::from(whole) * share).round_ties_even() as u32;
            let width = side(across, (area * stretch).sqrt());
            let height = side(down, (area / stretch).sqrt());
            if (1..=across).contains(&width) && (1..=down).contains(&height) {
                let top = below((down - height) as usize + 1, &mut self.random) as u32;
                let left = below((across - width) as usize + 1, &mut self.random) as u32;
                return Piece { left, top, width, height };
            }
        }
        Piece { left: 0, top: 0, width: across, height: down }
    }

    /// Other brightness, contrast and saturation.
    pub(crate) fn colour(&self, picture: &mut RgbImage) {
        let [brightness, contrast, saturation] = self.factors;
        for level in picture.as_flat_samples_mut().samples {
            *level = blend(*level, 0.0, brightness);
        }
        let pixels = u64::from(picture.width()) * u64::from(picture.height());
        let sum: u64 = picture.pixels().map(|pixel| u64::from(grey(pixel.0))).sum();
        let mean = (sum as f64 / pixels.max(1) as f64) as f32;
        for level in picture.as_flat_samples_mut().samples {
            *level = blend(*level, mean, contrast);
        }
        for pixel in picture.pixels_mut() {
            let grey = f32::from(grey(pixel.0));
            pixel.0 = pixel.0.map(|level| blend(level, grey, saturation));
        }
    }
}

/// `factor` parts of a level and 1 − `factor` parts of `other`, cut to what 8 bits hold.
fn blend(level: u8, other: f32, factor: f64) -> u8 {
    (factor as f32 * f32::from(level) + (1.0 - factor) as f32 * other).clamp(0.0, 255.0) as u8
}

/// Luma of ITU-R BT.601, rounded down.
fn grey([red, green, blue]: [u8; 3]) -> u8 {
    (0.2989 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue)) as u8
}

#[cfg(test)]
mod tests;
