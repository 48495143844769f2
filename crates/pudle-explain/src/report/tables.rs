//! The tables of a report.

use crate::contributors::{Contribution, Contributors};
use crate::data::DataKind;
use crate::explain::Explanation;
use crate::report::files::csv;
use crate::subject::Subject;

/// A column: its name, and its entry for an atom.
type Column<'a> = (&'static str, Box<dyn Fn(usize) -> String + 'a>);

/// `atoms.csv`: a row for each atom. Columns appear according to what the subject has.
pub(crate) fn atoms(found: &Explanation) -> Vec<u8> {
    let columns = atom_columns(found);
    let header = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let row = |j| columns.iter().map(|(_, entry)| entry(j)).collect();
    csv(std::iter::once(header).chain((0..found.uses.len()).map(row)))
}

fn atom_columns(found: &Explanation) -> Vec<Column<'_>> {
    let (uses, identity) = (&found.uses, &found.identity);
    let mut columns: Vec<Column<'_>> = vec![
        ("atom", Box::new(|j| j.to_string())),
        ("energy", Box::new(|j| uses[j].energy.to_string())),
        ("uses", Box::new(|j| uses[j].count.to_string())),
        ("mean", Box::new(|j| uses[j].mean.to_string())),
        ("largest", Box::new(|j| uses[j].largest.to_string())),
    ];
    if uses.iter().any(|atom| !atom.classes.is_empty()) {
        let class = |j: usize| uses[j].class();
        let text = |value: Option<String>| value.unwrap_or_default();
        columns
            .push(("class", Box::new(move |j| text(class(j).map(|(class, _)| class.to_string())))));
        columns.push((
            "class_share",
            Box::new(move |j| text(class(j).map(|(_, share)| share.to_string()))),
        ));
    }
    if let Some(last) = found.thresholds.len().checked_sub(1) {
        columns.push(("lambda", Box::new(move |j| found.thresholds[j.min(last)].to_string())));
    }
    columns.push(("cosine", Box::new(|j| identity.cosine(j).to_string())));
    columns.push(("residual", Box::new(|j| identity.residual_of(j).to_string())));
    if !found.by_code.is_empty() {
        columns.push(("alpha_norm", Box::new(|j| found.contributors[j].norm.to_string())));
    }
    if let Some(attraction) = &found.attraction {
        let from = &attraction.from_atoms;
        columns.push(("attractor", Box::new(|j| from[j].atom.to_string())));
        columns.push(("attractor_cosine", Box::new(|j| from[j].cosine.to_string())));
        columns.push(("attractor_rate", Box::new(|j| from[j].rate.to_string())));
    }
    columns
}

/// `contributions.csv`: a row for each contributor to an atom or output. The smallest contributors are listed only if data are
/// whole items.
pub(crate) fn contributions(subject: &dyn Subject, found: &Explanation) -> Vec<u8> {
    let whole = subject.data_kind() == DataKind::Whole;
    let mut table = ContributionTable { subject, found, whole, rows: Vec::new() };
    table.header();
    let [of_atoms, of_outputs] = if whole { ["alpha", "beta"] } else { ["share", "share"] };
    for (j, contributors) in found.contributors.iter().enumerate() {
        table.add("atom", &j.to_string(), of_atoms, contributors);
        if let Some(by_code) = found.by_code.get(j) {
            table.add("atom", &j.to_string(), "code", by_code);
        }
    }
    for output in &found.outputs {
        let name = match output.corner {
            Some([row, column]) => format!("{} {row},{column}", output.name),
            None => output.name.clone(),
        };
        table.add("output", &name, of_outputs, &output.contributors);
        if let Some(by_code) = &output.by_code {
            table.add("output", &name, "code", by_code);
        }
    }
    csv(table.rows)
}

struct ContributionTable<'a> {
    subject: &'a dyn Subject,
    found: &'a Explanation,
    whole: bool,
    rows: Vec<Vec<String>>,
}

impl ContributionTable<'_> {
    fn header(&mut self) {
        let mut header = vec!["of", "name", "by"];
        if self.whole {
            header.push("kind");
        }
        header.push("rank");
        header.extend(self.subject.datum_columns());
        header.push("weight");
        self.rows.push(header.into_iter().map(String::from).collect());
    }

    fn add(&mut self, of: &str, name: &str, by: &str, contributors: &Contributors) {
        self.add_list([of, name, by], "most", &contributors.most);
        if self.whole {
            self.add_list([of, name, by], "least", &contributors.least);
        }
    }

    fn add_list(&mut self, start: [&str; 3], kind: &str, list: &[Contribution]) {
        for (rank, Contribution { datum, weight }) in list.iter().enumerate() {
            let mut row: Vec<String> = start.map(String::from).to_vec();
            if self.whole {
                row.push(kind.to_owned());
            }
            row.push((rank + 1).to_string());
            row.extend(self.subject.datum_fields(self.found.encoded.sources[*datum]));
            row.push(weight.to_string());
            self.rows.push(row);
        }
    }
}
