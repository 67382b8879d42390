//! What a JPEG file says before its picture (ITU-T T.81, annex B).

use std::ops::Range;
use std::rc::Rc;

use super::coefficients::Coefficients;
use super::huffman::Differences;
use super::kept;

/// Places of coefficients in the order of the file: row × 8 + column (figure A.6).
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// A file of one interleaved scan of baseline or extended sequential Huffman-coded 8-bit data: what
/// cameras and the web write most. Others are `None`, and so is what is no JPEG.
pub(super) struct Header {
    /// Pixels.
    pub(super) width: usize,
    /// Pixels.
    pub(super) height: usize,
    /// One (grey) or three, in the order of the scan.
    pub(super) components: Vec<Component>,
    /// Whether three components are Y, Cb and Cr, not R, G and B.
    pub(super) is_luminance: bool,
    /// MCUs between two restart markers; 0: no such markers.
    pub(super) restart: usize,
    /// Where the entropy-coded data begins.
    pub(super) data: usize,
    /// Where the EXIF data lies.
    pub(super) exif: Option<Range<usize>>,
}

/// One component of the picture and its tables.
pub(super) struct Component {
    /// Blocks of an MCU from left to right: 1 or 2.
    pub(super) across: usize,
    /// And from top to bottom.
    pub(super) down: usize,
    /// What the coefficients are multiplied by, at row × 8 + column.
    pub(super) steps: [u16; 64],
    pub(super) dc: Rc<Differences>,
    pub(super) ac: Rc<Coefficients>,
}

/// Tables as they are met.
#[derive(Default)]
struct Tables {
    steps: [Option<[u16; 64]>; 4],
    dc: [Option<Rc<Differences>>; 4],
    ac: [Option<Rc<Coefficients>>; 4],
}

/// A component of the frame: its name, its blocks across and down, its steps.
type Framed = (u8, usize, usize, usize);

struct Frame {
    width: usize,
    height: usize,
    components: Vec<Framed>,
}

impl Header {
    /// Reads up to the first scan.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut at = 2;
        if bytes.get(..2)? != [0xFF, 0xD8] {
            return None;
        }
        let mut tables = Tables::default();
        let (mut frame, mut restart, mut jfif, mut adobe, mut exif) = (None, 0, false, None, None);
        loop {
            while bytes.get(at..at + 2)? == [0xFF, 0xFF] {
                at += 1; // fill bytes
            }
            let &[0xFF, marker, high, low] = bytes.get(at..at + 4)? else { return None };
            let length = usize::from(u16::from_be_bytes([high, low]));
            let segment = bytes.get(at + 4..at + 2 + length)?;
            match marker {
                0xC0 | 0xC1 => frame = Some(Frame::read(segment)?),
                0xC4 => tables.read_codes(segment)?,
                0xDA => {
                    let frame: Frame = frame?;
                    let names: Vec<u8> = frame.components.iter().map(|at| at.0).collect();
                    return Some(Self {
                        is_luminance: is_luminance(&names, jfif, adobe),
                        width: frame.width,
                        height: frame.height,
                        components: tables.components(&frame, segment)?,
                        restart,
                        data: at + 2 + length,
                        exif,
                    });
                }
                0xDB => tables.read_steps(segment)?,
                0xDD => restart = usize::from(u16::from_be_bytes(*segment.first_chunk()?)),
                0xE0 => jfif |= segment.starts_with(b"JFIF\0"),
                0xE1 if exif.is_none() && segment.starts_with(b"Exif\0\0") => {
                    exif = Some(at + 10..at + 2 + length);
                }
                0xEE if segment.starts_with(b"Adobe") => adobe = segment.get(11).copied(),
                0xE1..=0xEF | 0xFE => {}
                // Progressive, lossless, arithmetic, hierarchical; a height that comes later; rubbish.
                _ => return None,
            }
            at += 2 + length;
        }
    }

    /// Blocks of an MCU, across and down.
    pub(super) fn unit(&self) -> (usize, usize) {
        let most = |of: fn(&Component) -> usize| self.components.iter().map(of).max().unwrap_or(1);
        (most(|it| it.across), most(|it| it.down))
    }

    /// Whether it can be decoded to fewer pixels: not where a component has half the height and the whole
    /// width, which hardly a file has.
    pub(super) fn is_reducible(&self) -> bool {
        let (across, down) = self.unit();
        self.components.iter().all(|it| across * it.down >= down * it.across)
    }
}

impl Frame {
    fn read(segment: &[u8]) -> Option<Self> {
        let &[8, h1, h0, w1, w0, count] = segment.first_chunk::<6>()? else { return None };
        let (height, width) = (u16::from_be_bytes([h1, h0]), u16::from_be_bytes([w1, w0]));
        let listed = segment.get(6..6 + 3 * usize::from(count))?;
        let mut components = Vec::new();
        for component in listed.chunks_exact(3) {
            let (across, down) = (component[1] >> 4, component[1] & 15);
            // A grey picture's blocks are not interleaved, whatever it says of them.
            let (across, down) = if count == 1 { (1, 1) } else { (across, down) };
            if !(1..=2).contains(&across) || !(1..=2).contains(&down) || component[2] > 3 {
                return None;
            }
            let steps = usize::from(component[2]);
            components.push((component[0], usize::from(across), usize::from(down), steps));
        }
        let fits = width > 0 && height > 0 && matches!(count, 1 | 3);
        fits.then(|| Self { width: width.into(), height: height.into(), components })
    }
}

impl Tables {
    fn read_steps(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = segment.split_first() {
            let wide = head >> 4 != 0;
            let bytes = if wide { 128 } else { 64 };
            let listed = rest.get(..bytes)?;
            let mut steps = [0; 64];
            for (at, &place) in ZIGZAG.iter().enumerate() {
                steps[usize::from(place)] = if wide {
                    u16::from_be_bytes([listed[2 * at], listed[2 * at + 1]])
                } else {
                    u16::from(listed[at])
                };
            }
            *self.steps.get_mut(usize::from(head & 15))? = Some(steps);
            segment = &rest[bytes..];
        }
        Some(())
    }

    fn read_codes(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = segment.split_first() {
            let counts: &[u8; 16] = rest.first_chunk()?;
            let symbols: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let listed = rest.get(16..16 + symbols)?;
            let at = usize::from(head & 15);
            if head >> 4 == 0 {
                *self.dc.get_mut(at)? = Some(Rc::new(Differences::new(counts, listed)?));
            } else {
                *self.ac.get_mut(at)? = Some(kept::coefficients(counts, listed)?);
            }
            segment = &rest[16 + symbols..];
        }
        Some(())
    }

    /// The components of the scan, which has to have all of the frame's, whole.
    fn components(&self, frame: &Frame, scan: &[u8]) -> Option<Vec<Component>> {
        let count = frame.components.len();
        let (listed, rest) = (scan.get(1..1 + 2 * count)?, scan.get(1 + 2 * count..)?);
        if usize::from(scan[0]) != count || rest != [0, 63, 0] {
            return None;
        }
        let of = |(&(name, across, down, steps), listed): (&Framed, &[u8])| {
            Some(Component {
                across: (listed[0] == name).then_some(across)?,
                down,
                steps: self.steps[steps]?,
                dc: self.dc.get(usize::from(listed[1] >> 4))?.clone()?,
                ac: self.ac.get(usize::from(listed[1] & 15))?.clone()?,
            })
        };
        frame.components.iter().zip(listed.chunks_exact(2)).map(of).collect()
    }
}

/// What three components are, by the rules that libjpeg made: JFIF is always Y, Cb, Cr; else Adobe's
/// marker says; else their names do.
fn is_luminance(names: &[u8], jfif: bool, adobe: Option<u8>) -> bool {
    match adobe {
        _ if jfif => true,
        Some(transform) => transform != 0,
        None => names != b"RGB",
    }
}
