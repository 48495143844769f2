//! The training data behind an atom or an output.

use rayon::prelude::*;

use crate::codes::{Row, SparseCodes};
use crate::identity::{Identity, rows_times};

/// Data that one task ranks.
const CHUNK: usize = 4096;

/// A training datum and its weight in an atom or output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Contribution {
    /// Number of the datum.
    pub datum: usize,
    /// Its weight, of either sign, divided by the norm of the weights of all data.
    pub weight: f64,
}

/// Training data ranked by their weights `α` or `β`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contributors {
    /// The Euclidean norm of the weights of all data, by which the weights here are divided.
    pub norm: f64,
    /// The data of the largest weights in magnitude, the largest first.
    pub most: Vec<Contribution>,
    /// The data of the smallest weights in magnitude, the smallest first.
    pub least: Vec<Contribution>,
}

/// A ranking to which data are added one by one.
#[derive(Clone, Debug)]
struct Ranking {
    squares: f64,
    most: Vec<Contribution>,
    least: Vec<Contribution>,
    count: usize,
}

impl Ranking {
    fn new(count: usize) -> Self {
        let list = || Vec::with_capacity(count + 1);
        Self { squares: 0.0, most: list(), least: list(), count }
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

/// Inserts `new` into a list that is ordered by magnitude and has at most `count` entries. Of equal magnitudes the earlier datum goes
/// first.
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

/// Ranks all data for each of `rankings` atoms or outputs; `weights` gives the weights of a datum, one for each ranking.
fn rank(
    codes: &SparseCodes,
    rankings: usize,
    count: usize,
    weights: impl Fn(Row<'_>) -> Vec<f64> + Sync,
) -> Vec<Contributors> {
    let n = codes.len();
    let chunk = CHUNK.max(n.div_ceil(64));
    let parts: Vec<Vec<Ranking>> = (0..n.div_ceil(chunk))
        .into_par_iter()
        .map(|part| {
            let mut partial = vec![Ranking::new(count); rankings];
            for k in part * chunk..((part + 1) * chunk).min(n) {
                let weights = weights(codes.row(k));
                partial.iter_mut().zip(weights).for_each(|(ranking, w)| ranking.add(k, w));
            }
            partial
        })
        .collect();
    let mut all = vec![Ranking::new(count); rankings];
    for part in &parts {
        all.iter_mut().zip(part).for_each(|(ranking, part)| ranking.merge(part));
    }
    all.into_iter().map(Ranking::finish).collect()
}

/// The `count` data that contribute most to each atom, and the `count` that contribute least. All data are ranked, none by
/// approximation.
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

/// The data of the largest shares in each atom, `α_k ⟨D z_k, D_j⟩ / ‖D_j‖²`: the weight of the datum times the part of the
/// atom that lies along the datum's output. If the identity holds, the shares of all data add up to about 1. Negative shares count
/// as 0 in the ranking. Shares are not scaled to unit norm.
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

/// Two vectors over atoms whose products with the code of a datum give its share in an output.
struct OutputWeights {
    /// `B z`: the product is `β_k`.
    beta: Vec<f64>,
    /// `DᵀD z / ‖D z‖²`: the product is the part of the output along `D z_k`.
    along: Vec<f64>,
}

/// The same for outputs, with shares `β_k ⟨D z_k, D z⟩ / ‖D z‖²`.
pub fn shares_of_outputs(
    identity: &Identity,
    codes: &SparseCodes,
    outputs: &[Row<'_>],
    count: usize,
) -> Vec<Contributors> {
    let p = identity.atoms();
    let coherence = identity.coherence();
    let each: Vec<OutputWeights> = outputs
        .iter()
        .map(|code| {
            let mut along = rows_times(&coherence, p, *code);
            let energy: f64 = code.iter().map(|(j, v)| f64::from(v) * along[j]).sum();
            along.iter_mut().for_each(|a| *a /= energy.max(f64::MIN_POSITIVE));
            OutputWeights { beta: identity.weights(*code), along }
        })
        .collect();
    let shares = rank(codes, outputs.len(), count, |code| {
        let share = |output: &OutputWeights| {
            let (mut beta, mut along) = (0.0, 0.0);
            for (atom, value) in code.iter() {
                beta += f64::from(value) * output.beta[atom];
                along += f64::from(value) * output.along[atom];
            }
            (beta * along).max(0.0)
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

/// The data that use each atom most and least, by their codes `w_j`.
pub fn by_code_of_atoms(codes: &SparseCodes, count: usize) -> Vec<Contributors> {
    rank(codes, codes.atoms(), count, |code| {
        let mut dense = vec![0.0; codes.atoms()];
        code.iter().for_each(|(atom, value)| dense[atom] = f64::from(value));
        dense
    })
}

/// The data whose codes have the largest and smallest inner products with each of these codes, `Zᵀz`.
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

/// Data ranked by `z_kᵀ q`, for each `q`.
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
