//! Line charts, as SVG and PNG.

use std::sync::Once;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

use crate::svg::{escaped, rasterized};
use crate::{PlotError, Result};

/// Colours that people with any kind of colour vision tell apart: those of Okabe and Ito, yellow left
/// out, which is too faint on white.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
];

const WIDTH: u32 = 1200;
const HEIGHT: u32 = 720;
pub(crate) const FONT: &str = "sans-serif";
/// Height of letters; still 11 pixels where a picture is shown at half its size.
const LETTERS: i32 = 22;
/// Width of a line's sample in the legend.
const SAMPLE: i32 = 56;
/// Half the height of a tick.
const TICK: i32 = 9;
const GREY: RGBColor = RGBColor(222, 222, 222);

/// An axis of a chart.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it shows, with the unit if there is one.
    pub label: String,
    /// Whether its scale is logarithmic.
    pub log: bool,
}

impl Axis {
    /// A linear axis.
    pub fn linear(label: &str) -> Self {
        Self { label: label.into(), log: false }
    }

    /// A logarithmic axis.
    pub fn log(label: &str) -> Self {
        Self { label: label.into(), log: true }
    }

    fn place(&self, value: f64) -> Option<f64> {
        let place = if self.log { value.log10() } else { value };
        place.is_finite().then_some(place)
    }

    /// Where ticks stand on an axis from `low` to `high` (logarithms on a logarithmic one).
    fn ticks(&self, low: f64, high: f64) -> Vec<f64> {
        if !self.log {
            return even(low, high);
        }
        let (first, last) = (low.floor() as i64, high.ceil() as i64);
        let inside = |tick: &f64| *tick >= low - 1e-9 && *tick <= high + 1e-9;
        let every = (last - first) / 8 + 1;
        let decades = (first..=last).filter(|k| k.rem_euclid(every) == 0);
        let factors: &[f64] = if high - low < 2.5 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let ticks: Vec<f64> = decades
            .flat_map(|k| factors.iter().map(move |f| k as f64 + f.log10()))
            .filter(inside)
            .collect();
        if ticks.len() > 2 {
            return ticks;
        }
        even(10f64.powf(low), 10f64.powf(high)).into_iter().map(f64::log10).collect()
    }

    /// How ticks are labelled: plainly if every one of them is a handy number.
    fn labels(&self, ticks: &[f64]) -> impl Fn(&f64) -> String + use<> {
        let log = self.log;
        let handy = |tick: &f64| (-3.01..=4.01).contains(tick);
        let plain = !log || ticks.iter().all(handy);
        let step = ticks.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
        move |tick| match (log, plain) {
            (true, true) => {
                let value = 10f64.powf(*tick);
                // One more where it is needed, 1.5 for example.
                let digits = (-tick.floor()).max(0.0) as usize;
                let rough = format!("{value:.digits$}");
                let fine = format!("{value:.*}", digits + 1);
                if fine.trim_end_matches('0').trim_end_matches('.') == rough { rough } else { fine }
            }
            (true, false) => {
                let power = tick.floor();
                let factor = 10f64.powf(tick - power).round();
                let factor = if factor == 1.0 { String::new() } else { format!("{factor}·") };
                format!("{factor}10{}", superscript(power as i64))
            }
            (false, _) => {
                let decimals = if step.is_finite() { (-step.log10()).ceil().max(0.0) } else { 1.0 };
                format!("{tick:.*}", decimals as usize)
            }
        }
    }
}

/// Round numbers at even distances from `low` to `high`.
fn even(low: f64, high: f64) -> Vec<f64> {
    let raw = (high - low) / 6.0;
    let power = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|f| f * power);
    let step = step.into_iter().find(|step| *step >= raw).unwrap_or(10.0 * power);
    let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
    (first..=last).map(|k| k as f64 * step).collect()
}

/// An axis as the drawing library sees it, with ticks of its own.
struct Scale {
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let share = (value - self.low) / (self.high - self.low);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}

fn superscript(number: i64) -> String {
    let digit = |c| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        c => char::from_u32('⁰' as u32 + (c as u32 - '0' as u32)).unwrap_or(c),
    };
    number.to_string().chars().map(digit).collect()
}

/// How a line is drawn. Lines differ in more than colour, so that every reader can tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// Without gaps.
    Solid,
    /// Long dashes.
    Dashed,
    /// Dots.
    Dotted,
    /// No line, a mark at every point.
    Marks,
    /// No line, an upright tick at every point.
    Ticks,
}

/// A line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its name in the legend.
    pub label: String,
    /// Abscissa and value; points that the axes cannot show are left out.
    pub points: Vec<[f64; 2]>,
    /// Which of the palette's seven colours, counted round.
    pub colour: usize,
    /// How it is drawn.
    pub stroke: Stroke,
}

impl Line {
    /// A line without gaps.
    pub fn new(label: impl Into<String>, points: Vec<[f64; 2]>, colour: usize) -> Self {
        Self { label: label.into(), points, colour, stroke: Stroke::Solid }
    }

    /// Drawn in another way.
    pub fn with_stroke(mut self, stroke: Stroke) -> Self {
        self.stroke = stroke;
        self
    }
}

/// A chart of lines over two axes, its legend beside it.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Name of its files without their ending.
    pub name: String,
    /// Heading.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines.
    pub lines: Vec<Line>,
}

/// Lowest and highest of `values`, with a little room, and never the same.
fn range(values: impl Iterator<Item = f64>, room: f64) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if low > high {
        return (0.0, 1.0);
    }
    let room = if high > low { (high - low) * room } else { 0.5 };
    (low - room, high + room)
}

/// Makes the font known to the drawing library.
pub(crate) fn register() {
    static FONTS: Once = Once::new();
    FONTS.call_once(|| {
        let _ = register_font(FONT, FontStyle::Normal, dejavu::sans::regular());
    });
}

impl Chart {
    /// The chart as an SVG text and as the bytes of a PNG file.
    ///
    /// # Errors
    /// Returns an error if one of the drawing libraries does.
    pub fn draw(&self) -> Result<(String, Vec<u8>)> {
        let failed = |reason: String| PlotError { name: self.name.clone(), reason };
        let svg = self.svg().map_err(failed)?;
        let png = rasterized(&svg).map_err(failed)?;
        Ok((svg, png))
    }

    fn svg(&self) -> Result<String, String> {
        register();
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
            self.draw_on(&root).map_err(|error| error.to_string())?;
            root.present().map_err(|error| error.to_string())?;
        }
        // Titles are what a screen reader says of a picture.
        let title = escaped(&self.title);
        Ok(svg.replacen("xmlns=", &format!("role=\"img\" aria-label=\"{title}\" xmlns="), 1))
    }

    /// Draws the chart on an area of any size. Without labels of lines, there is no legend.
    pub(crate) fn draw_on<B: DrawingBackend>(
        &self,
        root: &DrawingArea<B, plotters::coord::Shift>,
    ) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
        root.fill(&WHITE)?;
        let font = |size: i32| (FONT, size).into_font();
        let width = |text: &str| {
            font(LETTERS).box_size(text).map_or(12 * text.len() as u32, |(width, _)| width) as i32
        };
        let named = self.lines.iter().filter(|line| !line.label.is_empty());
        let legend = named.map(|line| width(&line.label)).max().unwrap_or(0);
        let legend = if legend > 0 { legend + SAMPLE + 40 } else { 0 };
        root.draw(&Text::new(self.title.clone(), (24, 18), font(LETTERS + 4)))?;
        let (_, body) = root.split_vertically(60);
        let (plot, legend) = body.split_horizontally(root.dim_in_pixel().0 as i32 - legend);

        let places: Vec<Vec<(f64, f64)>> = self
            .lines
            .iter()
            .map(|line| {
                let shown = |p: &[f64; 2]| Some((self.x.place(p[0])?, self.y.place(p[1])?));
                line.points.iter().filter_map(shown).collect()
            })
            .collect();
        let (x_low, x_high) = range(places.iter().flatten().map(|p| p.0), 0.02);
        let (y_low, y_high) = range(places.iter().flatten().map(|p| p.1), 0.06);
        let (x_ticks, y_ticks) = (self.x.ticks(x_low, x_high), self.y.ticks(y_low, y_high));
        let (x_label, y_label) = (self.x.labels(&x_ticks), self.y.labels(&y_ticks));
        let y_room = y_ticks.iter().map(|tick| width(&y_label(tick))).max().unwrap_or(0) + 50;
        let mut chart = ChartBuilder::on(&plot)
            .margin_right(24)
            .margin_left(16)
            .margin_bottom(12)
            .x_label_area_size(76)
            .y_label_area_size(y_room)
            .build_cartesian_2d(
                Scale { low: x_low, high: x_high, ticks: x_ticks },
                Scale { low: y_low, high: y_high, ticks: y_ticks },
            )?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GREY)
            .x_desc(&self.x.label)
            .y_desc(&self.y.label)
            .axis_desc_style(font(LETTERS))
            .label_style(font(LETTERS - 2))
            .x_label_formatter(&x_label)
            .y_label_formatter(&y_label)
            .draw()?;
        for (line, points) in self.lines.iter().zip(places) {
            let colour = COLOURS[line.colour % COLOURS.len()];
            let style = colour.stroke_width(3);
            match line.stroke {
                Stroke::Solid => chart.draw_series(LineSeries::new(points, style)).map(drop)?,
                Stroke::Dashed => {
                    chart.draw_series(DashedLineSeries::new(points, 14, 8, style)).map(drop)?
                }
                Stroke::Dotted => {
                    let dot = move |place| Circle::new(place, 3, colour.filled());
                    chart.draw_series(DottedLineSeries::new(points, 0, 9, dot)).map(drop)?
                }
                Stroke::Marks => {
                    let mark = move |place| Circle::new(place, 4, colour.filled());
                    chart.draw_series(points.into_iter().map(mark)).map(drop)?
                }
                Stroke::Ticks => {
                    let tick = move |place| {
                        let line = vec![(0, -TICK), (0, TICK)];
                        EmptyElement::at(place) + PathElement::new(line, colour.stroke_width(1))
                    };
                    chart.draw_series(points.into_iter().map(tick)).map(drop)?
                }
            }
        }

        let text = font(LETTERS).into_text_style(&legend).pos(Pos::new(HPos::Left, VPos::Center));
        for (i, line) in self.lines.iter().filter(|line| !line.label.is_empty()).enumerate() {
            let y = 20 + i as i32 * (LETTERS + 14);
            let colour = COLOURS[line.colour % COLOURS.len()];
            let (from, to) = (4, SAMPLE - 8);
            let pieces: Vec<(i32, i32)> = match line.stroke {
                Stroke::Solid => vec![(from, to)],
                Stroke::Dashed => vec![(from, from + 14), (from + 22, from + 36)],
                Stroke::Dotted | Stroke::Marks | Stroke::Ticks => vec![],
            };
            for (from, to) in pieces {
                let style = colour.stroke_width(3);
                legend.draw(&PathElement::new(vec![(from, y), (to, y)], style))?;
            }
            let dots: Vec<i32> = match line.stroke {
                Stroke::Dotted => (from + 4..to).step_by(9).collect(),
                Stroke::Marks | Stroke::Ticks => vec![(from + to) / 2],
                _ => vec![],
            };
            let size = if line.stroke == Stroke::Marks { 4 } else { 3 };
            for x in dots {
                legend.draw(&Circle::new((x, y), size, colour.filled()))?;
            }
            legend.draw(&Text::new(line.label.clone(), (SAMPLE, y), text.clone()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(Axis::linear("").ticks(-0.4, 9.7), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(Axis::log("").ticks(-4.2, -0.9), [-4.0, -3.0, -2.0, -1.0]);
        let axis = Axis::log("");
        let ticks = axis.ticks(-0.1, 1.1);
        let labels: Vec<String> = ticks.iter().map(axis.labels(&ticks)).collect();
        assert_eq!(labels, ["1", "2", "5", "10"]);
        let labels: Vec<String> = [-5.0, -3.0].iter().map(axis.labels(&[-5.0, -3.0])).collect();
        assert_eq!(labels, ["10⁻⁵", "10⁻³"]);
        let ticks = axis.ticks(0.02, 0.3);
        let labels: Vec<String> = ticks.iter().map(axis.labels(&ticks)).collect();
        assert_eq!(labels, ["1.2", "1.4", "1.6", "1.8"]);
    }

    #[test]
    fn what_no_axis_shows_is_left_out() {
        let points = vec![[1.0, 1.0], [2.0, 0.0], [3.0, f64::NAN], [4.0, 0.01]];
        let chart = Chart {
            name: "test".into(),
            title: "a < b & c".into(),
            x: Axis::linear("x"),
            y: Axis::log("y"),
            lines: vec![
                Line::new("one", points, 0),
                Line::new("none", vec![], 1).with_stroke(Stroke::Dashed),
            ],
        };
        let (svg, png) = chart.draw().unwrap();
        assert!(svg.contains("a &lt; b &amp; c") && svg.contains("none"));
        assert_eq!(png[1..4], *b"PNG");
    }
}
