//! What holds from where to where.

use maud::html;

use super::Bands;
use super::scale::Scale;
use super::svg::{Drawing, LETTER, WIDTH, axis_below, fitting, line, px, words};

const ROW: f64 = 34.0;

pub(super) fn draw(plot: &Bands) -> Drawing {
    let longest = plot.rows.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let left = (longest as f64 * LETTER + 16.0).clamp(80.0, 250.0);
    let right = WIDTH - 12.0;
    let top = 26.0;
    let bottom = top + ROW * plot.rows.len() as f64;
    let bands = || plot.rows.iter().flat_map(|(_, bands)| bands);
    let farthest = bands()
        .flat_map(|band| [band.from, band.to.unwrap_or(0.0)])
        .fold(2.0 * plot.mark.at, f64::max);
    let scale = Scale::linear((0.0, farthest * 1.25), (left, right));
    let mut kinds: Vec<(usize, &str)> =
        bands().map(|band| (band.style, band.word.as_str())).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let marks = html! {
        @for (at, (label, bands)) in plot.rows.iter().enumerate() {
            @let y = top + ROW * at as f64;
            (words("label end", (left - 10.0, y + 20.0), &fitting(label, left - 10.0)))
            @for band in bands {
                @let (from, to) = (scale.at(band.from), band.to.map_or(right, |to| scale.at(to)));
                g {
                    title { (label) ": " (band.word) }
                    rect class=(format!("band band-{}", band.style)) x=(px(from)) y=(px(y + 4.0))
                        width=(px((to - from).max(0.0))) height=(px(ROW - 8.0)) {}
                    @if (band.word.chars().count() as f64) * LETTER + 8.0 < to - from {
                        (words("band-word middle", (f64::midpoint(from, to), y + 21.0), &band.word))
                    }
                }
            }
        }
        (axis_below(&scale, (bottom, bottom), 6))
        @let x = scale.at(plot.mark.at);
        (line("mark", (x, top - 4.0), (x, bottom)))
        (words("note start", (x - 4.0, top - 10.0), &plot.mark.label))
        (words("name middle", (f64::midpoint(left, right), bottom + 36.0), &plot.axis))
        @for (at, (style, word)) in kinds.iter().enumerate() {
            @let x = left + 130.0 * at as f64;
            rect class=(format!("band band-{style}")) x=(px(x)) y=(px(bottom + 50.0)) width="14"
                height="14" {}
            (words("key", (x + 20.0, bottom + 61.0), word))
        }
    };
    Drawing { height: bottom + 72.0, marks }
}
