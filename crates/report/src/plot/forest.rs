//! Estimates with their intervals, a row each.

use maud::html;

use super::scale::{Scale, extent};
use super::svg::{Drawing, LETTER, STYLES, WIDTH, axis_below, fitting, line, marker, px, words};
use super::{Forest, ForestRow};

const ROW: f64 = 24.0;

pub(super) fn draw(plot: &Forest) -> Drawing {
    let longest = |of: fn(&ForestRow) -> &str| {
        plot.rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0) as f64 * LETTER
    };
    let left = (longest(|row| &row.label) + 16.0).clamp(80.0, 250.0);
    let right = WIDTH - (longest(|row| &row.words) + 12.0).clamp(40.0, 210.0);
    let top = if plot.marks.is_empty() { 8.0 } else { 26.0 };
    let bottom = top + ROW * plot.rows.len() as f64;
    let values = plot.rows.iter().flat_map(|row| {
        let ends = row.interval.into_iter().flat_map(|(low, high)| [low, high]);
        ends.chain(row.estimate).chain(row.points.iter().copied())
    });
    let marks = plot.marks.iter().map(|mark| mark.at);
    let scale = Scale::linear(extent(values.chain(marks), 0.05), (left, right));
    let marks = html! {
        (axis_below(&scale, (top, bottom), 6))
        @for (at, mark) in plot.marks.iter().enumerate() {
            @let x = scale.at(mark.at);
            (line("mark", (x, top - 4.0), (x, bottom)))
            // Two marks that lie close together have their words on either side.
            @let side = if at == 0 && plot.marks.len() > 1 { "end" } else { "start" };
            @let step = if side == "end" { 4.0 } else { -4.0 };
            (words(&format!("note {side}"), (x + step, top - 10.0), &mark.label))
        }
        @for (at, row) in plot.rows.iter().enumerate() {
            @let y = top + ROW * (at as f64 + 0.5);
            g {
                title { (row.label) ": " (row.words) }
                (words("label end", (left - 10.0, y + 4.0), &fitting(&row.label, left - 10.0)))
                @for point in &row.points {
                    circle class="seed" cx=(px(scale.at(*point))) cy=(px(y)) r="2.5" {}
                }
                @if let Some((low, high)) = row.interval {
                    @let class = format!("interval stroke-{}", row.style % STYLES);
                    @let (low, high) = (scale.at(low), scale.at(high));
                    (line(&class, (low, y), (high, y)))
                    (line(&class, (low, y - 4.0), (low, y + 4.0)))
                    (line(&class, (high, y - 4.0), (high, y + 4.0)))
                }
                @if let Some(estimate) = row.estimate {
                    (marker(row.style, (scale.at(estimate), y), 5.0))
                }
                (words("figure", (right + 10.0, y + 4.0), &row.words))
            }
        }
        (words("name middle", (f64::midpoint(left, right), bottom + 36.0), &plot.axis))
    };
    Drawing { height: bottom + 44.0, marks }
}
