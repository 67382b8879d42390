//! The parts that all drawings share: the frame with its words, axes, markers, legends.

use maud::{Markup, html};

use super::scale::Scale;
use super::{Figure, Key, Plot, bands, forest, panels, scatter};

/// Width of every drawing, in its own units; the page scales it.
pub(super) const WIDTH: f64 = 720.0;
/// Width of a letter of the size that drawings use, at the most.
pub(super) const LETTER: f64 = 6.6;
/// Styles that differ in colour, dash and marker.
pub(super) const STYLES: usize = 6;

/// What a drawing came to.
pub(super) struct Drawing {
    pub(super) height: f64,
    pub(super) marks: Markup,
}

/// The figure as SVG. `number` tells it from others on the page.
pub(crate) fn draw(figure: &Figure, number: usize) -> Markup {
    let drawing = match &figure.plot {
        Plot::Forest(plot) => forest::draw(plot),
        Plot::Bands(plot) => bands::draw(plot),
        Plot::Scatter(plot) => scatter::draw(plot),
        Plot::Panels(plot) => panels::draw(plot),
    };
    let view = format!("0 0 {WIDTH:.0} {:.0}", drawing.height);
    let (title, words) = (format!("figure-{number}-title"), format!("figure-{number}-words"));
    html! {
        svg viewBox=(view) width=(px(WIDTH))
            height=(px(drawing.height)) role="img" aria-labelledby={ (title) " " (words) } {
            title id=(title) { (figure.caption.replace(['`', '*'], "")) }
            desc id=(words) { (figure.description.replace(['`', '*'], "")) }
            (drawing.marks)
        }
    }
}

/// A coordinate.
pub(super) fn px(value: f64) -> String {
    format!("{value:.1}")
}

pub(super) fn line(class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> Markup {
    html! { line class=(class) x1=(px(x1)) y1=(px(y1)) x2=(px(x2)) y2=(px(y2)) {} }
}

/// Words at a place; `class` says to which side they run.
pub(super) fn words(class: &str, (x, y): (f64, f64), words: &str) -> Markup {
    html! { text class=(class) x=(px(x)) y=(px(y)) { (words) } }
}

/// A marker whose shape, not its colour alone, tells the style.
pub(super) fn marker(style: usize, (x, y): (f64, f64), size: f64) -> Markup {
    let style = style % STYLES;
    let class = format!("fill-{style}");
    let polygon = |points: &[(f64, f64)]| {
        let points: Vec<String> = points
            .iter()
            .map(|(dx, dy)| format!("{},{}", px(x + size * dx), px(y + size * dy)))
            .collect();
        html! { polygon class=(class) points=(points.join(" ")) {} }
    };
    match style {
        0 => html! { circle class=(class) cx=(px(x)) cy=(px(y)) r=(px(size)) {} },
        1 => polygon(&[(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)]),
        2 => polygon(&[(0.0, -1.15), (1.1, 0.85), (-1.1, 0.85)]),
        3 => polygon(&[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)]),
        4 => polygon(&[(0.0, 1.15), (1.1, -0.85), (-1.1, -0.85)]),
        _ => polygon(&[
            (-0.4, -1.1),
            (0.4, -1.1),
            (0.4, -0.4),
            (1.1, -0.4),
            (1.1, 0.4),
            (0.4, 0.4),
            (0.4, 1.1),
            (-0.4, 1.1),
            (-0.4, 0.4),
            (-1.1, 0.4),
            (-1.1, -0.4),
            (-0.4, -0.4),
        ]),
    }
}

/// The axis below a drawing, with lines up to `top`.
pub(super) fn axis_below(scale: &Scale, (top, bottom): (f64, f64), ticks: usize) -> Markup {
    let (from, to) = scale.ends();
    html! {
        @for (value, label) in scale.ticks(ticks) {
            @let x = scale.at(value);
            (line("grid", (x, top), (x, bottom)))
            (words("tick middle", (x, bottom + 16.0), &label))
        }
        (line("axis", (from, bottom), (to, bottom)))
    }
}

/// The axis at the left of a drawing, with lines to `right`.
pub(super) fn axis_left(scale: &Scale, (left, right): (f64, f64), ticks: usize) -> Markup {
    let (from, to) = scale.ends();
    html! {
        @for (value, label) in scale.ticks(ticks) {
            @let y = scale.at(value);
            (line("grid", (left, y), (right, y)))
            (words("tick end", (left - 6.0, y + 4.0), &label))
        }
        (line("axis", (left, from), (left, to)))
    }
}

/// What the name of an axis at the left is turned by.
pub(super) fn name_left(name: &str, (x, y): (f64, f64)) -> Markup {
    let turned = format!("rotate(-90 {} {})", px(x), px(y));
    html! { text class="name middle" x=(px(x)) y=(px(y)) transform=(turned) { (name) } }
}

/// Keys in rows from `top` down; where the last row ends comes with them.
pub(super) fn legend(keys: &[Key], top: f64, lines: bool) -> (Markup, f64) {
    let (mut x, mut y) = (8.0, top);
    let mut placed = Vec::new();
    for key in keys {
        let width = 44.0 + LETTER * key.label.chars().count() as f64;
        if x + width > WIDTH && x > 8.0 {
            (x, y) = (8.0, y + 20.0);
        }
        placed.push((key, x, y));
        x += width;
    }
    let marks = html! {
        @for (key, x, y) in placed {
            @if lines {
                (line(&format!("curve stroke-{}", key.style % STYLES), (x, y), (x + 24.0, y)))
            }
            (marker(key.style, (x + 12.0, y), 4.0))
            (words("key", (x + 30.0, y + 4.0), &key.label))
        }
    };
    (marks, if keys.is_empty() { top } else { y + 16.0 })
}

/// Words cut to what a place has room for.
pub(super) fn fitting(words: &str, room: f64) -> String {
    let most = (room / LETTER).max(2.0) as usize;
    if words.chars().count() <= most {
        return words.to_owned();
    }
    words.chars().take(most - 1).chain(['…']).collect()
}
