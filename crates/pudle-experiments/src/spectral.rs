//! A start for a dictionary from data alone.

use burn::tensor::{Tensor, TensorData};
use nalgebra::{DMatrix, DVector, SymmetricEigen};
use pudle_data::{Stream, step_rng};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};

use crate::problem::values;

/// How [`pairwise`] looks for atoms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pairwise {
    /// Pairs of data that are tried.
    pub pairs: usize,
    /// How many times the second eigenvalue the first must be for a pair to share one atom alone, > 1.
    pub gap: f64,
    /// From which inner product on two finds are one atom, in (0, 1).
    pub merge: f64,
}

/// What [`pairwise`] found.
#[derive(Clone, Debug)]
pub struct Found {
    /// `[m, p]`, of unit norm.
    pub atoms: Tensor<2>,
    /// Pairs that shared one atom alone.
    pub pairs: usize,
    /// Atoms that were found; the rest are random.
    pub found: usize,
}

/// Atoms that several finds agree on.
struct Cluster {
    sum: DVector<f64>,
    weight: f64,
}

impl Cluster {
    fn centre(&self) -> DVector<f64> {
        self.sum.normalize()
    }
}

/// Estimates `p` atoms from data `x`, `[n, m]`, with no knowledge of the dictionary: the pairwise spectral
/// method of Arora, Ge, Ma & Moitra (*Simple, Efficient, and Neural Algorithms for Sparse Coding*, COLT
/// 2015, algorithm 3).
///
/// Where two data `u` and `v` share one atom, the weighted second moment
/// `M = Σ_i ⟨x_i, u⟩⟨x_i, v⟩ x_i x_iᵀ / n` has that atom as its leading eigenvector, far ahead of the second;
/// where they share none or several, no eigenvalue stands out. What normal data of the same covariance `C`
/// would give, `C u vᵀ C + C v uᵀ C + (uᵀ C v) C`, is taken off `M` first: it vanishes in the paper's limit of
/// ever sparser codes, but drowns the atoms at a sparsity of one in twenty. Finds are gathered, each weighted by
/// how far it stands out, and the `p` atoms that most of them agree on are kept. The codes need mean zero, that
/// is, entries of random sign.
pub fn pairwise(x: &Tensor<2>, p: usize, settings: Pairwise, seed: u64) -> Found {
    let [n, m] = x.dims();
    let device = x.device();
    let mut rng = step_rng(seed, Stream::Init, 0);
    let mut finds: Vec<(f64, DVector<f64>)> = Vec::new();
    let covariance = x.clone().transpose().matmul(x.clone()) / n as f64;
    let covariance = DMatrix::from_row_slice(m, m, &values(covariance));
    for _ in 0..settings.pairs {
        let (u, v) = (rng.random_range(0..n), rng.random_range(0..n));
        let datum = |i: usize| x.clone().slice([i..i + 1, 0..m]).transpose();
        let weights = x.clone().matmul(datum(u)) * x.clone().matmul(datum(v));
        let vector = |i: usize| DVector::from_vec(values(datum(i)));
        let (cu, cv) = (&covariance * vector(u), &covariance * vector(v));
        let moment = (x.clone() * weights).transpose().matmul(x.clone()) / n as f64;
        let mut cumulant = DMatrix::from_row_slice(m, m, &values(moment));
        cumulant -= &cu * cv.transpose() + &cv * cu.transpose();
        cumulant -= &covariance * vector(u).dot(&cv);
        let eigen = SymmetricEigen::new((&cumulant + cumulant.transpose()) * 0.5);
        let mut order: Vec<usize> = (0..m).collect();
        let size = |k: &usize| eigen.eigenvalues[*k].abs();
        order.sort_by(|a, b| size(b).total_cmp(&size(a)));
        let second = order.get(1).map_or(0.0, size);
        let gap = size(&order[0]) / second.max(f64::MIN_POSITIVE);
        if u != v && gap >= settings.gap {
            finds.push((gap, eigen.eigenvectors.column(order[0]).into_owned()));
        }
    }
    let pairs = finds.len();
    // The clearest first, so that a cluster's centre is right from the start.
    finds.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut clusters: Vec<Cluster> = Vec::new();
    for (gap, find) in finds {
        add(&mut clusters, Cluster { sum: find, weight: 1.0 }, gap - 1.0, settings.merge);
    }
    // Centres have moved: once more, whole clusters, the heaviest first.
    clusters.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let mut merged: Vec<Cluster> = Vec::new();
    for cluster in clusters {
        add(&mut merged, cluster, 1.0, settings.merge);
    }
    merged.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let found = merged.len().min(p);
    let mut atoms: Vec<DVector<f64>> = merged.iter().take(p).map(Cluster::centre).collect();
    while atoms.len() < p {
        let atom = DVector::from_fn(m, |_, _| StandardNormal.sample(&mut rng));
        atoms.push(atom.normalize());
    }
    let entries = (0..m).flat_map(|i| atoms.iter().map(move |atom| atom[i] as f32)).collect();
    let atoms = Tensor::from_data(TensorData::new::<f32, _>(entries, [m, p]), &device);
    Found { atoms, pairs, found }
}

/// Adds finds, `weight` times, to the cluster that they agree with, or as one of their own.
fn add(clusters: &mut Vec<Cluster>, finds: Cluster, weight: f64, merge: f64) {
    let finds = Cluster { sum: finds.sum * weight, weight: finds.weight * weight };
    let direction = finds.centre();
    let nearest = clusters
        .iter_mut()
        .map(|cluster| (cluster.centre().dot(&direction), cluster))
        .max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
    match nearest {
        Some((inner, cluster)) if inner.abs() >= merge => {
            cluster.sum += finds.sum * inner.signum();
            cluster.weight += finds.weight;
        }
        _ => clusters.push(finds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::match_atoms;
    use crate::problem::{Law, Problem};
    use burn::tensor::Device;
    use pudle_data::SparseCodingConfig;

    #[test]
    fn atoms_come_from_data_alone() {
        let config = SparseCodingConfig {
            dim: 40,
            atoms: 50,
            sparsity: 2,
            count: 4000,
            batch: 1,
            amplitude: Law::uniform(1.0, 2.0).0,
            noise_sd: 0.0,
            seed: 5,
        };
        let problem = Problem::new(config, &Device::flex()).unwrap();
        let settings = Pairwise { pairs: 6000, gap: 2.0, merge: 0.7 };
        let found = pairwise(&problem.data(4000).0, 50, settings, 1);
        assert_eq!(found.found, 50);
        let matched = match_atoms(&problem.dictionary(), &found.atoms);
        // Random atoms have inner products of some 0.4 with their matches.
        let good = matched.iter().filter(|m| m.inner.abs() > 0.95).count();
        assert!(good >= 45, "{good} of 50");
    }
}
