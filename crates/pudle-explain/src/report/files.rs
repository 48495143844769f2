//! The formats of a report's files.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pudle_data::Image;
use pudle_plot::{Chart, Sheet};
use serde::Serialize;

use crate::error::Result;
use crate::report::folder::Folder;

/// Writes values as JSON.
pub(crate) fn write_json(folder: &Folder, name: &str, values: &impl Serialize) -> Result<()> {
    let mut json = serde_json::to_vec_pretty(values).expect("the values are plain");
    json.push(b'\n');
    folder.write(name, &json)
}

/// Writes a sheet of pictures as SVG and PNG.
pub(crate) fn write_sheet(folder: &Folder, sheet: &Sheet) -> Result<()> {
    let (svg, png) = sheet.draw()?;
    folder.write(&format!("figures/{}.svg", sheet.name), svg.as_bytes())?;
    folder.write(&format!("figures/{}.png", sheet.name), &png)
}

/// Writes a chart as SVG and PNG.
pub(crate) fn write_chart(folder: &Folder, chart: &Chart) -> Result<()> {
    let (svg, png) = chart.draw()?;
    folder.write(&format!("figures/{}.svg", chart.name), svg.as_bytes())?;
    folder.write(&format!("figures/{}.png", chart.name), &png)
}

/// A table with its header as the first row.
pub(crate) fn csv(rows: impl IntoIterator<Item = Vec<String>>) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.into_iter().for_each(|row| writer.write_record(row).expect("memory does not fail"));
    writer.into_inner().expect("memory does not fail")
}

/// A picture as a data URI, so that a page can contain it.
pub(crate) fn data_uri(image: &Image) -> Result<String> {
    let png = image.clip().to_png()?;
    Ok(format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png)))
}
