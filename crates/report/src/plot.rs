//! Figures: what is drawn, as numbers, and the drawing as SVG.
//!
//! Drawn here and not with a plotting library, since a page that is read by day and by night, on
//! paper and by a screen reader needs colours that its style sheet sets, a title on each mark and no
//! inline style; what is left of a library is the arithmetic of two axes.

mod bands;
mod forest;
mod panels;
mod scale;
mod scatter;
mod svg;

pub(crate) use svg::draw;

/// A figure with its caption and the words that stand for it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) caption: String,
    /// What it shows, for those who do not see it.
    pub(crate) description: String,
    pub(crate) plot: Plot,
}

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plot {
    Forest(Forest),
    Bands(Bands),
    Scatter(Scatter),
    Panels(Panels),
}

/// Estimates with intervals, a row each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Forest {
    pub(crate) axis: String,
    pub(crate) rows: Vec<ForestRow>,
    pub(crate) marks: Vec<Mark>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ForestRow {
    pub(crate) label: String,
    pub(crate) style: usize,
    pub(crate) estimate: Option<f64>,
    pub(crate) interval: Option<(f64, f64)>,
    /// Each seed's own value.
    pub(crate) points: Vec<f64>,
    /// The row in figures.
    pub(crate) words: String,
}

/// A value that others are seen against.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mark {
    pub(crate) at: f64,
    pub(crate) label: String,
}

/// What holds from where to where, a row each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bands {
    pub(crate) axis: String,
    pub(crate) rows: Vec<(String, Vec<Band>)>,
    pub(crate) mark: Mark,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Band {
    pub(crate) from: f64,
    /// Absent: to the end of the axis.
    pub(crate) to: Option<f64>,
    pub(crate) word: String,
    pub(crate) style: usize,
}

/// Points on two axes, the one of costs logarithmic, and the front that nothing beats.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scatter {
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) points: Vec<Point>,
    pub(crate) legend: Vec<Key>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) label: String,
    pub(crate) style: usize,
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) interval: Option<(f64, f64)>,
    pub(crate) on_front: bool,
}

/// Curves on panels of the same axes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Panels {
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) each: Vec<Panel>,
    pub(crate) legend: Vec<Key>,
    /// Both axes run from 0 to 1, and a line shows where they agree.
    pub(crate) unit_square: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) curves: Vec<Curve>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Curve {
    pub(crate) label: String,
    pub(crate) style: usize,
    pub(crate) points: Vec<(f64, f64)>,
    /// Whether its points are marked, not the line alone.
    pub(crate) marked: bool,
}

/// What a style stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) label: String,
    pub(crate) style: usize,
}
