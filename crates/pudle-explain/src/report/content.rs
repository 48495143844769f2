//! The data of a report's page.

use std::collections::BTreeSet;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::contributors::{Contribution, Contributors};
use crate::data::DataKind;
use crate::error::Result;
use crate::explain::Explanation;
use crate::outputs::Output;
use crate::report::events::events;
use crate::report::files::data_uri;
use crate::report::page::{Content, NamedPicture, Tile};
use crate::report::summary::Summary;
use crate::subject::Subject;

/// The largest number of pixels of training data that a page contains, so that it can explain a reader's own pictures.
const MOST_PIXELS: usize = 4 << 20;
/// The largest number of the network's weights and of non-zero codes that a page contains.
const MOST_NUMBERS: usize = 1 << 20;
/// Contributors of each kind that a page shows: the largest of them if data are windows, and the smallest if they are whole.
const MOST_WINDOWS: usize = 6;
const LEAST_WHOLE: usize = 4;

/// The content of the page of an explanation.
pub(crate) fn content<'a>(
    summary: &'a Summary,
    subject: &'a dyn Subject,
    found: &'a Explanation,
) -> Result<Content<'a>> {
    Source::new(subject, found).content(summary)
}

/// What the content is taken from.
struct Source<'a> {
    subject: &'a dyn Subject,
    found: &'a Explanation,
    /// The largest and smallest contributors that are shown.
    most: usize,
    least: usize,
}

impl<'a> Source<'a> {
    fn new(subject: &'a dyn Subject, found: &'a Explanation) -> Self {
        let (most, least) = match subject.data_kind() {
            DataKind::Whole => (usize::MAX, LEAST_WHOLE),
            DataKind::Windows(_) => (MOST_WINDOWS, 0),
        };
        Self { subject, found, most, least }
    }

    fn content(&self, summary: &'a Summary) -> Result<Content<'a>> {
        let (subject, found) = (self.subject, self.found);
        let words = subject.words();
        let network = self.network();
        let data: Vec<usize> = if network.is_null() {
            self.named().into_iter().collect()
        } else {
            (0..found.encoded.codes.len()).collect()
        };
        let atoms = 0..found.identity.atoms();
        let identity = &found.identity;
        let picture = |values: &[f32]| subject.signed_picture(values);
        Ok(Content {
            summary,
            datum: format!("training {}", words.datum),
            note: self.note(),
            tiles: data.into_iter().map(|datum| self.tile(datum)).collect::<Result<_>>()?,
            learned: atoms.clone().map(|j| picture(identity.atom(j))).collect(),
            estimates: atoms.clone().map(|j| picture(identity.estimate(j))).collect(),
            atoms: atoms.map(|j| self.atom(j)).collect(),
            outputs: found
                .outputs
                .iter()
                .map(|output| self.output(output))
                .collect::<Result<_>>()?,
            top: found.contributors.first().map_or(0, |c| c.most.len().min(self.most)),
            network,
            events: found.events.as_ref().map_or(Ok(Value::Null), events)?,
            attraction: self.attraction(),
            pictures: found
                .inputs
                .iter()
                .map(|input| NamedPicture {
                    name: input.name.clone(),
                    caption: subject.marked_caption(),
                    picture: input.marked.clone(),
                })
                .collect(),
        })
    }

    fn note(&self) -> String {
        match self.subject.data_kind() {
            DataKind::Whole => "Learned: by the code of the datum for this atom. Estimate: by α. Weights are of unit norm over all \
                 training data; ▲ the largest, ▽ the smallest in magnitude."
                .into(),
            DataKind::Windows(_) => format!(
                "Shares of the atom: α of a {} times the part of the atom that lies along the output of its code. Over all \
                 {} they add up to about 1 if the identity holds.",
                self.subject.words().datum,
                self.subject.words().data
            ),
        }
    }

    fn tile(&self, datum: usize) -> Result<Tile> {
        let source = self.found.encoded.sources[datum];
        let picture = self.subject.datum_picture(source)?;
        Ok(Tile { datum, picture, name: self.subject.datum_name(source) })
    }

    fn atom(&self, j: usize) -> Value {
        let (found, atom) = (self.found, &self.found.uses[j]);
        let mut values = json!({
            "number": j,
            "energy": atom.energy,
            "count": atom.count,
            "mean": atom.mean,
            "largest": atom.largest,
            "histogram": atom.histogram,
            "cosine": found.identity.cosine(j),
            "residual": found.identity.residual_of(j),
            "contributors": self.weights(&found.contributors[j]),
        });
        if let Some((class, share)) = atom.class() {
            values["class"] = json!(class);
            values["share"] = json!(share);
        }
        if !atom.classes.is_empty() {
            values["classes"] = json!(atom.classes);
        }
        if let Some(last) = found.thresholds.len().checked_sub(1) {
            values["lambda"] = json!(found.thresholds[j.min(last)]);
        }
        if let Some(attraction) = &found.attraction {
            let from = &attraction.from_atoms[j];
            values["path"] =
                json!({ "atom": from.atom, "cosine": from.cosine, "stayed": from.stayed });
        }
        if let Some(by_code) = found.by_code.get(j) {
            values["by_code"] = self.weights(by_code);
        }
        values
    }

    fn output(&self, output: &Output) -> Result<Value> {
        let saliency = output.saliency.iter();
        let saliency = saliency.map(|values| data_uri(&self.subject.signed_picture(values)));
        let name = match output.corner {
            Some(corner) => self.subject.window_name(&output.name, corner),
            None => output.name.clone(),
        };
        let mut values = json!({
            "name": name,
            "label": output.label,
            "input": data_uri(&output.views.seen)?,
            "reconstruction": data_uri(&output.views.output)?,
            "estimate": data_uri(&output.estimate)?,
            "residual": output.residual,
            "contributors": self.weights(&output.contributors),
            "code": output.code,
            "saliency": saliency.collect::<Result<Vec<_>>>()?,
        });
        if let Some(own) = &output.views.own {
            values["own"] = json!(data_uri(own)?);
        }
        if let Some(by_code) = &output.by_code {
            values["by_code"] = self.weights(by_code);
            values["nearest"] = json!(output.nearest);
        }
        Ok(values)
    }

    /// The contributors that the page shows.
    fn weights(&self, contributors: &Contributors) -> Value {
        let list = |list: &[Contribution], count: usize| -> Vec<Value> {
            let rounded = |weight: f64| (weight * 1e6).round() / 1e6 + 0.0;
            list.iter().take(count).map(|c| json!([c.datum, rounded(c.weight)])).collect()
        };
        json!({
            "norm": contributors.norm,
            "most": list(&contributors.most, self.most),
            "least": list(&contributors.least, self.least),
        })
    }

    /// The training data that the page names.
    fn named(&self) -> BTreeSet<usize> {
        let found = self.found;
        let shown = |contributors: &Contributors| -> Vec<usize> {
            let most = contributors.most.iter().take(self.most);
            most.chain(contributors.least.iter().take(self.least)).map(|c| c.datum).collect()
        };
        let atoms = found.contributors.iter().chain(&found.by_code);
        let outputs = found.outputs.iter();
        let outputs = outputs.flat_map(|o| std::iter::once(&o.contributors).chain(&o.by_code));
        let nearest = found.outputs.iter().flat_map(|output| &output.nearest);
        atoms.chain(outputs).flat_map(shown).chain(nearest.map(|(datum, _)| *datum)).collect()
    }

    /// What attractors were found, in a sentence or two.
    fn attraction(&self) -> Option<String> {
        let attraction = self.found.attraction.as_ref()?;
        let trajectories = attraction.from_atoms.iter().zip(&self.found.uses);
        let atoms: Vec<_> = trajectories.filter(|(_, atom)| atom.count > 0).collect();
        let stay = atoms.iter().filter(|(trajectory, _)| trajectory.stayed > 0.99).count();
        let noise = &attraction.from_noise;
        let reach = noise.iter().filter(|trajectory| trajectory.cosine > 0.99).count();
        let rate = crate::statistics::median(noise.iter().map(|t| t.rate).collect());
        Some(format!(
            "Encoder and decoder, applied again and again with the norm restored after each step: {stay} of {} used atoms stay \
             where they are (cosine above 0.99). From {} draws of white noise {reach} end at an atom; the distance between two steps \
             shrinks by a factor of {rate:.2} a step in the median.",
            atoms.len(),
            noise.len()
        ))
    }

    /// The network, its weights and the codes, for a reader's own pictures; null if the subject has no network for a page, or
    /// if it is too large for one.
    fn network(&self) -> Value {
        let (identity, codes) = (&self.found.identity, &self.found.encoded.codes);
        let (p, m) = (identity.atoms(), self.subject.dim());
        let numbers = p * (p + m) + codes.non_zeros();
        let fits = codes.len() * m <= MOST_PIXELS && numbers <= MOST_NUMBERS;
        let Some(network) = self.subject.network().filter(|_| fits) else { return Value::Null };
        let mut values = serde_json::to_value(network).expect("settings are plain");
        let mut starts = vec![0u32];
        codes
            .rows()
            .for_each(|row| starts.push(starts[starts.len() - 1] + row.values.len() as u32));
        let support = codes.rows().flat_map(|row| row.support);
        let encoded = |bytes: Vec<u8>| json!(BASE64_STANDARD.encode(bytes));
        let floats = |values: &mut dyn Iterator<Item = f32>| {
            encoded(values.flat_map(f32::to_le_bytes).collect())
        };
        values["dictionary"] = floats(&mut (0..p).flat_map(|j| identity.atom(j)).copied());
        values["inverse"] = floats(&mut identity.inverse().iter().map(|b| *b as f32));
        values["starts"] = encoded(starts.into_iter().flat_map(u32::to_le_bytes).collect());
        values["support"] = encoded(support.flat_map(|j| j.to_le_bytes()).collect());
        values["values"] = floats(&mut codes.rows().flat_map(|row| row.values).copied());
        values
    }
}
