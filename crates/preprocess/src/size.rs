//! The size of a picture after resizing, and the middle of it that is kept.

/// The sides that ViLT was trained with: at most 1333 long where 800 short.
const LONGER_TO_SHORTER: f64 = 1333.0 / 800.0;

/// How the size after resizing comes from the picture's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SizeRule {
    /// No resizing.
    Keep,
    /// This height and width, whatever the aspect ratio (FLAVA).
    Squash(usize, usize),
    /// The shorter side becomes this, the aspect ratio stays (CLIP).
    Shortest(usize),
    /// The shorter side becomes about `shorter`, the longer at most 1333/800 times that, both cut
    /// to multiples of `divisor` (ViLT).
    Multiples { shorter: usize, divisor: usize },
}

impl SizeRule {
    /// Width and height after resizing a picture of this width and height.
    pub(crate) fn of(self, (width, height): (usize, usize)) -> (usize, usize) {
        match self {
            Self::Keep => (width, height),
            Self::Squash(new_height, new_width) => (new_width, new_height),
            Self::Shortest(_) | Self::Multiples { .. } if width == 0 || height == 0 => (0, 0),
            // The longer side is cut to a whole number, not rounded.
            Self::Shortest(edge) if width <= height => (edge, edge * height / width),
            Self::Shortest(edge) => (edge * width / height, edge),
            Self::Multiples { shorter, divisor } => {
                vilt_size((width as f64, height as f64), shorter as f64, divisor)
            }
        }
    }
}

/// ViLT's sizes, in doubles and in transformers' order of operations, since doubles decide ties.
/// There a picture of more than about 20 : 1 is an error; here its short side is one patch.
fn vilt_size((width, height): (f64, f64), shorter: f64, divisor: usize) -> (usize, usize) {
    let longest = (LONGER_TO_SHORTER * shorter).floor();
    let scale = shorter / width.min(height);
    let (mut new_width, mut new_height) =
        if height < width { (scale * width, shorter) } else { (shorter, scale * height) };
    if new_width.max(new_height) > longest {
        let scale = longest / new_width.max(new_height);
        new_width *= scale;
        new_height *= scale;
    }
    let whole = |side: f64| ((side + 0.5) as usize / divisor * divisor).max(divisor);
    (whole(new_width), whole(new_height))
}

/// Where a cut of `wanted` out of the middle of `size` begins, how much of it there is, and how
/// far into the result that lies.
pub(crate) fn centre(size: usize, wanted: usize) -> (usize, usize, usize) {
    if size >= wanted {
        ((size - wanted) / 2, wanted, 0)
    } else {
        (0, size, (wanted - size).div_ceil(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes measured with transformers 5.17.0 (width, height).
    #[test]
    fn vilt_sizes_are_those_of_transformers() {
        let rule = SizeRule::Multiples { shorter: 384, divisor: 32 };
        for (input, output) in [
            ((640, 480), (512, 384)),
            ((500, 375), (512, 384)),
            ((7, 5), (512, 384)),
            ((480, 640), (384, 512)),
            ((384, 384), (384, 384)),
            ((640, 384), (608, 352)),
            ((1000, 600), (608, 352)),
            ((1280, 200), (608, 96)),
            ((180, 611), (160, 608)),
        ] {
            assert_eq!(rule.of(input), output, "{input:?}");
        }
        // An error there.
        assert_eq!(rule.of((3000, 100)), (608, 32));
    }

    #[test]
    fn clip_sizes_are_cut_not_rounded() {
        assert_eq!(SizeRule::Shortest(224).of((640, 213)), (673, 224));
        assert_eq!(SizeRule::Shortest(224).of((7, 5)), (313, 224));
        assert_eq!(SizeRule::Shortest(224).of((5, 7)), (224, 313));
    }

    #[test]
    fn the_middle_leans_to_the_upper_left() {
        assert_eq!(centre(9, 4), (2, 4, 0));
        assert_eq!(centre(4, 4), (0, 4, 0));
        // A gap of five is three before and two after, as in transformers.
        assert_eq!(centre(4, 9), (0, 4, 3));
    }
}
