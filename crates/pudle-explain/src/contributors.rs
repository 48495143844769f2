//! The training data behind an atom or an output.

use rayon::prelude::*;

use crate::codes::{Row, SparseCodes};
use crate::identity::{Identity, rows_times};

/// Data that are gone through at once.
const CHUNK: usize = 4096;

/// A training datum and its part in something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contribution {
    /// Number of the datum.
    pub datum: usize,
    /// Its weight, of all data's weights scaled to unit norm; of either sign.
    pub weight: f64,
}

/// Training data by their weights `α` (or `β`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contributors {
    /// The Euclidean norm of the weights of all data, which those here are divided by.
    pub norm: f64,
    /// Those of the largest weight in magnitude, that one first.
    pub most: Vec<Contribution>,
    /// Those of the smallest, that one first.
    pub least: Vec<Contribution>,
}

/// Contributors under way.
#[derive(Clone, Debug)]
struct Ranking {
    squares: f64,
    most: Vec<Contribution>,
    least: Vec<Contribution>,
    count: usize,
}

impl Ranking {
    fn new(count: usize) -> Self {
        let room = || Vec::with_capacity(count + 1);
        Self { squares: 0.0, most: room(), least: room(), count }
    }

    fn add(&mut self, datum: usize, weight: f64) {
        self.squares += weight * weight;
        let new = Contribution { datum, weight };
        insert(&mut self.most, new, self.count, |old, new| old >= new);
        insert(&mut self.least, new, self.count, |old, new| old <= new);
    }

    fn merge(&mut self, other: &Ranking) {
        self.squares += other.squares;
        for new in &other.most {
            insert(&mut self.most, *new, self.count, |old, new| old >= new);
        }
        for new in &other.least {
            insert(&mut self.least, *new, self.count, |old, new| old <= new);
        }
    }

    fn finish(self) -> Contributors {
        let norm = self.squares.sqrt();
        let scaled = |list: Vec<Contribution>| {
            let scale = |c: Contribution| Contribution {
                weight: if norm > 0.0 { c.weight / norm } else { 0.0 },
                ..c
            };
            list.into_iter().map(scale).collect()
        };
        Contributors { norm, most: scaled(self.most), least: scaled(self.least) }
    }
}

/// Keeps `list` the `count` first in an order of magnitudes; of equal ones the earlier datum goes first.
fn insert(
    list: &mut Vec<Contribution>,
    new: Contribution,
    count: usize,
    before: impl Fn(f64, f64) -> bool,
) {
    let size = new.weight.abs();
    if list.len() == count && list.last().is_none_or(|last| before(last.weight.abs(), size)) {
        return;
    }
    let place = list.partition_point(|old| before(old.weight.abs(), size));
    list.insert(place, new);
    list.truncate(count);
}

/// Goes through all data, with what is ranked (one weight for each of `things`) given by `weights`.
fn rank(
    codes: &SparseCodes,
    things: usize,
    count: usize,
    weights: impl Fn(Row<'_>) -> Vec<f64> + Sync,
) -> Vec<Contributors> {
    let n = codes.len();
    let chunk = CHUNK.max(n.div_ceil(64));
    let parts: Vec<Vec<Ranking>> = (0..n.div_ceil(chunk))
        .into_par_iter()
        .map(|part| {
            let mut rankings = vec![Ranking::new(count); things];
            for k in part * chunk..((part + 1) * chunk).min(n) {
                let weights = weights(codes.row(k));
                rankings.iter_mut().zip(weights).for_each(|(ranking, w)| ranking.add(k, w));
            }
            rankings
        })
        .collect();
    let mut all = vec![Ranking::new(count); things];
    for part in &parts {
        all.iter_mut().zip(part).for_each(|(ranking, part)| ranking.merge(part));
    }
    all.into_iter().map(Ranking::finish).collect()
}

/// The `count` data that contribute most to each atom, and the `count` that contribute least: exactly, over all data.
pub fn of_atoms(identity: &Identity, codes: &SparseCodes, count: usize) -> Vec<Contributors> {
    rank(codes, identity.atoms(), count, |code| identity.shares(code))
}

/// The same for the outputs of these codes.
pub fn of_outputs(
    identity: &Identity,
    codes: &SparseCodes,
    outputs: &[Row<'_>],
    count: usize,
) -> Vec<Contributors> {
    let weights: Vec<Vec<f64>> = outputs.iter().map(|code| identity.weights(*code)).collect();
    along(codes, &weights, count)
}

/// The data of the largest parts in each atom, by share: `α_k ⟨D z_k, D_j⟩ / ‖D_j‖²`, how much of the atom lies along what
/// the code of the datum says of it, times its weight. Where the identity holds the shares of all data add up to about 1, those below zero
/// included, which count as 0 here; they are not scaled to unit norm.
pub fn shares_of_atoms(
    identity: &Identity,
    codes: &SparseCodes,
    count: usize,
) -> Vec<Contributors> {
    let p = identity.atoms();
    let coherence = identity.coherence();
    let shares = rank(codes, p, count, |code| {
        let along = rows_times(&coherence, p, code);
        let weights = identity.shares(code).into_iter().zip(along).enumerate();
        weights.map(|(j, (alpha, along))| (alpha * along / coherence[j * p + j]).max(0.0)).collect()
    });
    shares.into_iter().map(unscaled).collect()
}

/// The same of outputs, `β_k ⟨D z_k, D z⟩ / ‖D z‖²`.
pub fn shares_of_outputs(
    identity: &Identity,
    codes: &SparseCodes,
    outputs: &[Row<'_>],
    count: usize,
) -> Vec<Contributors> {
    let p = identity.atoms();
    let coherence = identity.coherence();
    let each: Vec<(Vec<f64>, Vec<f64>)> = outputs
        .iter()
        .map(|code| {
            let mut along = rows_times(&coherence, p, *code);
            let energy: f64 = code.iter().map(|(j, v)| f64::from(v) * along[j]).sum();
            along.iter_mut().for_each(|a| *a /= energy.max(f64::MIN_POSITIVE));
            (identity.weights(*code), along)
        })
        .collect();
    let shares = rank(codes, outputs.len(), count, |code| {
        let share = |(weights, along): &(Vec<f64>, Vec<f64>)| {
            let (mut beta, mut alike) = (0.0, 0.0);
            for (atom, value) in code.iter() {
                beta += f64::from(value) * weights[atom];
                alike += f64::from(value) * along[atom];
            }
            (beta * alike).max(0.0)
        };
        each.iter().map(share).collect()
    });
    shares.into_iter().map(unscaled).collect()
}

fn unscaled(mut contributors: Contributors) -> Contributors {
    let norm = contributors.norm;
    let lists = contributors.most.iter_mut().chain(&mut contributors.least);
    lists.for_each(|c| c.weight *= norm);
    contributors.norm = 1.0;
    contributors
}

/// The data that use each atom most and least, by their codes `w_j` alone: what training weighs each datum with.
pub fn by_code_of_atoms(codes: &SparseCodes, count: usize) -> Vec<Contributors> {
    rank(codes, codes.atoms(), count, |code| {
        let mut dense = vec![0.0; codes.atoms()];
        code.iter().for_each(|(atom, value)| dense[atom] = f64::from(value));
        dense
    })
}

/// The data whose codes have most and least in common with each of these, `Zᵀz`.
pub fn by_code_of_outputs(
    codes: &SparseCodes,
    outputs: &[Row<'_>],
    count: usize,
) -> Vec<Contributors> {
    let dense = |code: &Row<'_>| {
        let mut dense = vec![0.0; codes.atoms()];
        code.iter().for_each(|(atom, value)| dense[atom] = f64::from(value));
        dense
    };
    along(codes, &outputs.iter().map(dense).collect::<Vec<_>>(), count)
}

/// Data by `z_kᵀ q`, for each `q`.
fn along(codes: &SparseCodes, weights: &[Vec<f64>], count: usize) -> Vec<Contributors> {
    rank(codes, weights.len(), count, |code| {
        let share = |weights: &Vec<f64>| {
            code.iter().map(|(atom, value)| f64::from(value) * weights[atom]).sum()
        };
        weights.iter().map(share).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ranking_is_that_of_sorting() {
        let weights = [0.5, -2.0, 0.0, 2.0, -0.25, 1.0, 0.25];
        let (mut whole, mut parts) = (Ranking::new(3), [Ranking::new(3), Ranking::new(3)]);
        for (k, weight) in weights.into_iter().enumerate() {
            whole.add(k, weight);
            parts[k / 4].add(k, weight);
        }
        let mut merged = Ranking::new(3);
        parts.iter().for_each(|part| merged.merge(part));
        for ranking in [whole, merged] {
            let found = ranking.finish();
            let data = |list: &[Contribution]| list.iter().map(|c| c.datum).collect::<Vec<_>>();
            assert_eq!(data(&found.most), [1, 3, 5]);
            assert_eq!(data(&found.least), [2, 4, 6]);
            let norm = weights.iter().map(|w| w * w).sum::<f64>().sqrt();
            assert!((found.norm - norm).abs() < 1e-12);
            assert!((found.most[0].weight + 2.0 / norm).abs() < 1e-12);
        }
    }
}
