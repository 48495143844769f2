//! Several charts in one figure.

use plotters::prelude::*;

use crate::chart::{Chart, register};
use crate::svg::{escaped, rasterized};
use crate::{PlotError, Result};

const WIDTH: u32 = 1600;

/// Charts in rows, one below the other.
#[derive(Clone, Debug)]
pub struct Panels {
    /// Name of its files without their ending.
    pub name: String,
    /// What a screen reader says of the figure.
    pub title: String,
    /// The rows: their height in pixels, and charts of equal width.
    pub rows: Vec<(u32, Vec<Chart>)>,
}

impl Panels {
    /// The figure as an SVG text and as the bytes of a PNG file.
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
        let height = self.rows.iter().map(|(height, _)| height).sum::<u32>().max(1);
        let mut svg = String::new();
        {
            let mut rest = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
            rest.fill(&WHITE).map_err(|error| error.to_string())?;
            for (height, charts) in &self.rows {
                let (row, below) = rest.split_vertically(*height);
                let areas = row.split_evenly((1, charts.len().max(1)));
                for (chart, area) in charts.iter().zip(&areas) {
                    chart.draw_on(area).map_err(|error| error.to_string())?;
                }
                rest = below;
            }
            rest.present().map_err(|error| error.to_string())?;
        }
        let title = escaped(&self.title);
        Ok(svg.replacen("xmlns=", &format!("role=\"img\" aria-label=\"{title}\" xmlns="), 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Axis, Line};

    #[test]
    fn rows_lie_below_each_other() {
        let chart = |title: &str| Chart {
            name: "part".into(),
            title: title.into(),
            x: Axis::linear("x"),
            y: Axis::linear("y"),
            lines: vec![Line::new("", vec![[0.0, 1.0], [1.0, 2.0]], 0)],
        };
        let rows = vec![(300, vec![chart("left"), chart("right")]), (200, vec![chart("below")])];
        let figure = Panels { name: "test".into(), title: "a & b".into(), rows };
        let (svg, png) = figure.draw().unwrap();
        assert!(["left", "right", "below", "a &amp; b"].iter().all(|text| svg.contains(text)));
        assert_eq!(png[1..4], *b"PNG");
    }
}
