//! Conversion of SVG text to pictures.

use std::sync::{Arc, LazyLock};

use resvg::{tiny_skia, usvg};

/// The font of all figures. It is part of the program, so that figures look the same on every machine.
static FONTS: LazyLock<Arc<usvg::fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    Arc::new(fonts)
});

/// Renders SVG text to the bytes of a PNG file.
pub(crate) fn rasterized(svg: &str) -> Result<Vec<u8>, String> {
    let options = usvg::Options { fontdb: FONTS.clone(), ..usvg::Options::default() };
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| error.to_string())?;
    let size = tree.size().to_int_size();
    let mut picture =
        tiny_skia::Pixmap::new(size.width(), size.height()).ok_or("no room for the picture")?;
    resvg::render(&tree, tiny_skia::Transform::default(), &mut picture.as_mut());
    picture.encode_png().map_err(|error| error.to_string())
}

/// Escapes a text for use in XML elements and attributes.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}
