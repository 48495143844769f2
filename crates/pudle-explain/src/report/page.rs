//! The page of a report.

use minijinja::{Environment, context};
use pudle_data::Image;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{ExplainError, Result};
use crate::report::files::data_uri;
use crate::report::summary::Summary;
use crate::tiles::sprite;

/// Pictures side by side in a sprite.
const COLUMNS: usize = 64;

#[derive(Serialize)]
struct Figure {
    name: &'static str,
    value: String,
    note: &'static str,
}

/// A training datum that the page shows.
pub(crate) struct Tile {
    /// Its number.
    pub datum: usize,
    /// Its picture; all tiles have one shape.
    pub picture: Image,
    /// Two lines that say which datum it is.
    pub name: [String; 2],
}

/// A picture with its name.
pub(crate) struct NamedPicture {
    pub name: String,
    /// What it shows.
    pub caption: &'static str,
    pub picture: Image,
}

/// The content of a page.
pub(crate) struct Content<'a> {
    pub summary: &'a Summary,
    /// What a datum is called.
    pub datum: String,
    /// What the weights of contributors are.
    pub note: String,
    pub tiles: Vec<Tile>,
    /// Atoms and their estimates.
    pub learned: Vec<Image>,
    pub estimates: Vec<Image>,
    /// Their figures.
    pub atoms: Vec<Value>,
    pub outputs: Vec<Value>,
    /// Contributors of each kind.
    pub top: usize,
    /// The network for a reader's own pictures, or null.
    pub network: Value,
    /// The events of a recording, or null.
    pub events: Value,
    /// What attractors were found.
    pub attraction: Option<String>,
    /// The outputs of inputs as a whole.
    pub pictures: Vec<NamedPicture>,
}

/// Writes the page as HTML that needs no other file.
pub(crate) fn page(content: &Content<'_>) -> Result<String> {
    let summary = content.summary;
    let shape = |images: &mut dyn Iterator<Item = &Image>| {
        images.next().map_or([1, 1], |image| [image.height, image.width])
    };
    let tiles: Vec<Image> = content.tiles.iter().map(|tile| tile.picture.clone()).collect();
    let sheet = |tiles: &[Image]| data_uri(&sprite(tiles, COLUMNS));
    let sprites = context! {
        data => sheet(&tiles)?,
        atoms => sheet(&content.learned)?,
        estimates => sheet(&content.estimates)?,
    };
    let pictures = content
        .pictures
        .iter()
        .map(|NamedPicture { name, caption, picture }| {
            Ok(context! { name, caption, data => data_uri(picture)? })
        })
        .collect::<Result<Vec<_>>>()?;
    let data = json!({
        "shape": shape(&mut tiles.iter()),
        "atomShape": shape(&mut content.learned.iter()),
        "columns": COLUMNS,
        "tiles": content.tiles.iter().map(|tile| tile.datum).collect::<Vec<_>>(),
        "names": content.tiles.iter().map(|tile| &tile.name).collect::<Vec<_>>(),
        "datum": content.datum,
        "note": content.note,
        "count": summary.data,
        "top": content.top,
        "atoms": content.atoms,
        "outputs": content.outputs,
        "network": content.network,
        "events": content.events,
    });
    // No text in the data may end the element that contains it.
    let data = data.to_string().replace('<', "\\u003c");
    let (kind, word, text) = verdict(summary);
    let mut environment = Environment::new();
    environment
        .add_template("page.html", include_str!("page.html"))
        .and_then(|()| environment.get_template("page.html"))
        .and_then(|template| {
            template.render(context! {
                title => format!("{}: where its atoms come from", summary.run),
                style => include_str!("page.css"),
                network_script => include_str!("network.js"),
                script => script(),
                smooth => !content.events.is_null(),
                count => summary.data,
                network => !content.network.is_null(),
                data,
                sprites,
                pictures,
                verdict => context! { kind, word, text },
                figures => figures(summary),
                attraction => content.attraction,
                footer => format!("Pudle {}, seed {}.", summary.version, summary.seed),
            })
        })
        .map_err(|error| ExplainError::Unsuitable(format!("the page: {error}")))
}

/// The scripts of the page as one. That of events uses what that of the page begins with.
fn script() -> String {
    let (page, events) = (include_str!("page.js"), include_str!("events.js"));
    let place = page.find("// Atoms.\n").expect("the page's script has a part for atoms");
    [&page[..place], events, &page[place..]].concat()
}

fn verdict(summary: &Summary) -> (&'static str, &'static str, String) {
    let off = 100.0 * summary.residual_of_outputs;
    let off = format!(
        "Rebuilt from training data, outputs are off by {off:.1} % of their norm, and single atoms by {:.1} % \
         (each counted by its energy).",
        100.0 * summary.residual_by_energy
    );
    let (kind, word, more) = match summary.verdict() {
        "holds" if summary.residual_by_energy < 0.2 => ("good", "Yes.", ""),
        "holds" => (
            "plain",
            "For outputs.",
            " Similar atoms can replace each other, so what is said of a single atom is rough.",
        ),
        "roughly" => (
            "plain",
            "Roughly.",
            " Training is not quite at rest, or the identity does not assume this loss, these layers or this ridge.",
        ),
        _ => (
            "bad",
            "No.",
            " What follows is no explanation of this dictionary: training is far from rest, the layers do not converge, or \
             the ridge is too large.",
        ),
    };
    (kind, word, off + more)
}

fn figures(summary: &Summary) -> Vec<Figure> {
    let figure = |name, value, note| Figure { name, value, note };
    let mut figures = vec![
        figure(
            "residual of the outputs",
            format!("{:.4}", summary.residual_of_outputs),
            "‖(D − X G Zᵀ) Z‖ / ‖D Z‖",
        ),
        figure(
            "residual of the atoms",
            format!("{:.4}", summary.residual_by_energy),
            "root mean square, by their energy",
        ),
        figure(
            "over all used atoms",
            format!("{:.4}", summary.residual_of_used),
            "‖D − X G Zᵀ‖ / ‖D‖",
        ),
        figure(
            "stationarity gap",
            format!("{:.4}", summary.stationarity_gap),
            "the gradient of dec along the atoms' spheres, over ‖X Zᵀ‖: 0 at rest",
        ),
        figure(
            "smallest cosine",
            format!("{:.4}", summary.smallest_cosine),
            "atom and estimate, the hundred of the highest energy",
        ),
        figure(
            "atoms in use",
            format!("{} of {}", summary.used, summary.atoms),
            "by at least one training datum",
        ),
        figure(
            "ridge",
            summary.ridge.clone(),
            "on the diagonal of Z Zᵀ; sphere: multipliers of the unit norm",
        ),
    ];
    if let Some(agreement) = summary.agreement {
        figures.push(figure(
            "of one class",
            format!("{:.0} %", 100.0 * agreement),
            "the two largest contributors, the same atoms",
        ));
    }
    if let Some([trained, held_out]) = summary.accuracy {
        figures.push(figure(
            "linear classifier on codes",
            format!("{:.1} %", 100.0 * held_out),
            if trained > 0.999 { "held out; all right in training" } else { "right, held out" },
        ));
    }
    figures
}
