//! Cost against score, and the front of what nothing beats in both.

use maud::html;

use super::scale::{Scale, extent};
use super::svg::{
    Drawing, LETTER, STYLES, WIDTH, axis_below, axis_left, legend, line, marker, name_left, px,
    words,
};
use super::{Point, Scatter};

pub(super) fn draw(plot: &Scatter) -> Drawing {
    let (keys, top) = legend(&plot.legend, 12.0, false);
    let (left, right, top, bottom) = (64.0, WIDTH - 14.0, top + 6.0, top + 326.0);
    let heights = plot.points.iter().flat_map(|point| {
        let (low, high) = point.interval.unwrap_or((point.y, point.y));
        [low, point.y, high]
    });
    let y = Scale::linear(extent(heights, 0.06), (bottom, top));
    let least = plot.points.iter().map(|point| point.x).fold(f64::INFINITY, f64::min);
    let most = plot.points.iter().map(|point| point.x).fold(0.0, f64::max);
    let (least, most) = if least > most { (1.0, 10.0) } else { (least, most) };
    // Room to the right for the name of the costliest.
    let x = Scale::logarithmic((least / 1.25, most * 1.6), (left, right));
    let place = |point: &Point| (x.at(point.x), y.at(point.y));
    let mut front: Vec<&Point> = plot.points.iter().filter(|point| point.on_front).collect();
    front.sort_by(|a, b| a.x.total_cmp(&b.x));
    let steps: Vec<String> = front
        .iter()
        .zip(front.iter().skip(1).map(Some).chain([None]))
        .flat_map(|(point, next)| {
            let (at, height) = place(point);
            let end = next.map_or(right, |next| place(next).0);
            [format!("{},{}", px(at), px(height)), format!("{},{}", px(end), px(height))]
        })
        .collect();
    let marks = html! {
        (keys)
        (axis_below(&x, (top, bottom), 6))
        (axis_left(&y, (left, right), 6))
        polyline class="front" points=(steps.join(" ")) {}
        @for point in &plot.points {
            @let (at, height) = place(point);
            g {
                title { (point.label) ": " (format!("{:.3} at {}", point.y, point.x)) }
                @if let Some((low, high)) = point.interval {
                    (line(
                        &format!("interval thin stroke-{}", point.style % STYLES),
                        (at, y.at(low)),
                        (at, y.at(high)),
                    ))
                }
                (marker(point.style, (at, height), 5.0))
            }
        }
        @for (at, label) in labels(plot, &place, (left, right)) {
            (words("label start", at, label))
        }
        (words("name middle", (f64::midpoint(left, right), bottom + 36.0), &plot.x))
        (name_left(&plot.y, (16.0, f64::midpoint(top, bottom))))
    };
    Drawing { height: bottom + 44.0, marks }
}

/// Names where they cover no marker and no other name; those on the front are placed first, and one
/// for which there is no room is left to its marker's title and to the table.
fn labels<'a>(
    plot: &'a Scatter,
    place: &dyn Fn(&Point) -> (f64, f64),
    (left, right): (f64, f64),
) -> Vec<((f64, f64), &'a str)> {
    let mut taken: Vec<(f64, f64, f64, f64)> = plot
        .points
        .iter()
        .map(|point| {
            let (x, y) = place(point);
            (x - 6.0, y - 6.0, x + 6.0, y + 6.0)
        })
        .collect();
    let mut order: Vec<&Point> = plot.points.iter().collect();
    order.sort_by_key(|point| !point.on_front);
    let mut placed = Vec::new();
    for point in order {
        let ((x, y), width) = (place(point), LETTER * point.label.chars().count() as f64);
        let tries = [
            (x + 9.0, y + 4.0),
            (x - 9.0 - width, y + 4.0),
            (x + 6.0, y - 8.0),
            (x + 6.0, y + 17.0),
            (x - width / 2.0, y + 20.0),
            (x - width / 2.0, y - 12.0),
        ];
        let free = tries.into_iter().find(|&(x, y)| {
            let covers = |&(l, t, r, b): &(f64, f64, f64, f64)| {
                x < r && x + width > l && y - 10.0 < b && y + 3.0 > t
            };
            x > left && x + width < right && !taken.iter().any(covers)
        });
        if let Some((x, y)) = free {
            taken.push((x, y - 10.0, x + width, y + 3.0));
            placed.push(((x, y), point.label.as_str()));
        }
    }
    placed
}
