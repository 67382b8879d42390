//! Curves on one or more panels of the same axes.

use maud::{Markup, html};

use super::scale::{Scale, extent};
use super::svg::{
    Drawing, STYLES, WIDTH, axis_below, axis_left, fitting, legend, line, marker, name_left, px,
    words,
};
use super::{Curve, Panel, Panels};

pub(super) fn draw(plot: &Panels) -> Drawing {
    let (keys, top) = legend(&plot.legend, 12.0, true);
    let columns = plot.each.len().clamp(1, 3);
    let room = (WIDTH - 24.0) / columns as f64;
    let height = if plot.unit_square { (room - 60.0).min(340.0) } else { 170.0 };
    let width = if plot.unit_square { height } else { room - 60.0 };
    let row = height + 58.0;
    // One square stands in the middle.
    let first = if plot.unit_square && plot.each.len() == 1 { (WIDTH - width) / 2.0 } else { 66.0 };
    let curves = || plot.each.iter().flat_map(|panel| &panel.curves);
    let range = |of: fn(&(f64, f64)) -> f64, widen: f64| {
        if plot.unit_square {
            (0.0, 1.0)
        } else {
            extent(curves().flat_map(|curve| curve.points.iter().map(of)), widen)
        }
    };
    let (across, up) = (range(|point| point.0, 0.0), range(|point| point.1, 0.05));
    let mut bottom = top;
    let marks = html! {
        (keys)
        @for (at, panel) in plot.each.iter().enumerate() {
            @let left = first + room * (at % columns) as f64;
            @let upper = top + 22.0 + row * (at / columns) as f64;
            @let x = Scale::linear(across, (left, left + width));
            @let y = Scale::linear(up, (upper + height, upper));
            (words("title start", (left, upper - 8.0), &fitting(&panel.title, width)))
            (frame(panel, (&x, &y), plot.unit_square))
            (words("name middle", (left + width / 2.0, upper + height + 33.0), &plot.x))
        }
        (name_left(&plot.y, (first - 52.0, top + 22.0 + height / 2.0)))
    };
    let rows = plot.each.len().div_ceil(columns);
    bottom += row * rows as f64 + 6.0;
    Drawing { height: bottom, marks }
}

fn frame(panel: &Panel, (x, y): (&Scale, &Scale), with_diagonal: bool) -> Markup {
    let ((left, right), (bottom, top)) = (x.ends(), y.ends());
    html! {
        (axis_below(x, (top, bottom), 4))
        (axis_left(y, (left, right), 4))
        @if with_diagonal { (line("mark", (left, bottom), (right, top))) }
        @for curve in &panel.curves { (drawn(curve, (x, y))) }
    }
}

fn drawn(curve: &Curve, (x, y): (&Scale, &Scale)) -> Markup {
    let places: Vec<(f64, f64)> = curve.points.iter().map(|at| (x.at(at.0), y.at(at.1))).collect();
    let points: Vec<String> =
        places.iter().map(|(x, y)| format!("{},{}", px(*x), px(*y))).collect();
    html! {
        g {
            title { (curve.label) }
            polyline class=(format!("curve stroke-{}", curve.style % STYLES))
                points=(points.join(" ")) {}
            @if curve.marked {
                @for place in places { (marker(curve.style, place, 3.0)) }
            }
        }
    }
}
