//! The page.

use minijinja::{Environment, context};
use pudle_data::Image;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Summary, uri};
use crate::error::{ExplainError, Result};
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
pub(super) struct Shown {
    /// Its number.
    pub datum: usize,
    /// Its picture; all have one shape.
    pub picture: Image,
    /// Two lines that tell which one it is.
    pub name: [String; 2],
}

/// What a page says.
pub(super) struct Content<'a> {
    pub summary: &'a Summary,
    /// What a datum is called, and what the weights are.
    pub datum: &'a str,
    pub note: &'a str,
    pub tiles: Vec<Shown>,
    /// Atoms and their estimates.
    pub learned: Vec<Image>,
    pub estimates: Vec<Image>,
    /// Their figures.
    pub atoms: Vec<Value>,
    pub outputs: Vec<Value>,
    /// Number of the first training datum, and contributors of each kind.
    pub first: usize,
    pub top: usize,
    /// The network for pictures of a reader's own, or null.
    pub live: Value,
    /// On attractors.
    pub attraction: Option<String>,
    /// A picture of the outputs as a whole, and what it shows.
    pub pictures: Vec<(String, Image)>,
}

pub(super) fn page(content: &Content<'_>) -> Result<String> {
    let summary = content.summary;
    let shape = |images: &mut dyn Iterator<Item = &Image>| {
        images.next().map_or([1, 1], |image| [image.height, image.width])
    };
    let tiles: Vec<Image> = content.tiles.iter().map(|tile| tile.picture.clone()).collect();
    let sheet = |tiles: &[Image]| uri(&sprite(tiles, COLUMNS));
    let sprites = context! {
        data => sheet(&tiles)?,
        atoms => sheet(&content.learned)?,
        estimates => sheet(&content.estimates)?,
    };
    let pictures = content
        .pictures
        .iter()
        .map(|(name, image)| Ok(context! { name, data => uri(image)? }))
        .collect::<Result<Vec<_>>>()?;
    let data = json!({
        "shape": shape(&mut tiles.iter()),
        "atomShape": shape(&mut content.learned.iter()),
        "columns": COLUMNS,
        "tiles": content.tiles.iter().map(|tile| tile.datum).collect::<Vec<_>>(),
        "names": content.tiles.iter().map(|tile| &tile.name).collect::<Vec<_>>(),
        "datum": content.datum,
        "note": content.note,
        "first": content.first,
        "count": summary.data,
        "top": content.top,
        "atoms": content.atoms,
        "outputs": content.outputs,
        "live": content.live,
    });
    // Nothing in it may end the element that it stands in.
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
                script => include_str!("page.js"),
                count => summary.data,
                live => !content.live.is_null(),
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
            " Atoms that are alike stand in for each other: what is said of a single one is rough.",
        ),
        "roughly" => (
            "plain",
            "Roughly.",
            " Training is not quite at rest, or the loss, the layers or the ridge are not those that the identity assumes.",
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
