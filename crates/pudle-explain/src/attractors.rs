//! Atoms as attractors of the network.

use burn::tensor::{DType, Device, Tensor, TensorData};
use pudle_core::{DenseDictionary, Dictionary, Pudle};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::identity::cosine;

/// Where iterating the network led from one start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    /// The atom that the end is nearest to, up to sign.
    pub atom: usize,
    /// The cosine with it, in magnitude.
    pub cosine: f64,
    /// Cosine of start and end.
    pub stayed: f64,
    /// By how much a step shrinks the distance to the next one: the geometric mean of `‖x_{t+1} − x_t‖ / ‖x_t − x_{t−1}‖`
    /// over the steps that still move; below 1 the iteration comes to rest.
    pub rate: f64,
    /// Whether it came to rest: the last step moved by less than a thousandth of the norm.
    pub rests: bool,
}

/// Iterates `x ← s · D z(x) / ‖D z(x)‖` from starts of norm `s`, one path for each.
///
/// Encoder and decoder together shrink whatever they are given, by what `λ` takes off every code, so that without the norm
/// restored all paths would end at zero. `starts` hold `m` values each; a start whose code is zero stays at zero and has
/// cosine 0.
pub fn iterate(
    model: &Pudle<2, DenseDictionary>,
    starts: &[f32],
    norm: f32,
    steps: usize,
    device: &Device,
) -> Vec<Path> {
    let atoms = model.dictionary().atoms();
    let [dim, _] = atoms.dims();
    let shape = [starts.len() / dim, dim];
    let scaled = |x: Tensor<2>| {
        let length = x.clone().square().sum_dim(1).sqrt();
        x * (length.clamp_min(1e-12).recip() * f64::from(norm))
    };
    let start =
        Tensor::<2>::from_data(TensorData::new(starts.to_vec(), shape), (device, DType::F32));
    let mut x = scaled(start.clone());
    // What the model takes off its data is no part of a direction.
    let offset = model.config().offset;
    let mut moves: Vec<Vec<f32>> = Vec::with_capacity(steps);
    for _ in 0..steps {
        let next = scaled(model.reconstruct(x.clone() + offset) - offset);
        let moved = (next.clone() - x).square().sum_dim(1).sqrt();
        moves.push(moved.into_data().iter::<f32>().collect());
        x = next;
    }
    let flat = |x: Tensor<2>| x.into_data().iter::<f32>().collect::<Vec<f32>>();
    let (ends, atoms) = (flat(x), flat(atoms.transpose()));
    let still = 1e-3 * norm;
    starts
        .chunks_exact(dim)
        .zip(ends.chunks_exact(dim))
        .enumerate()
        .map(|(k, (start, end))| {
            let nearest = atoms
                .chunks_exact(dim)
                .map(|atom| cosine(atom, end).abs())
                .enumerate()
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .unwrap_or((0, 0.0));
            let logs: Vec<f64> = moves
                .windows(2)
                .map(|pair| [pair[0][k], pair[1][k]])
                .take_while(|[before, after]| *before > still && *after > 0.0)
                .map(|[before, after]| f64::from(after / before).ln())
                .collect();
            let mean = logs.iter().sum::<f64>() / logs.len().max(1) as f64;
            Path {
                atom: nearest.0,
                cosine: nearest.1,
                stayed: cosine(start, end),
                rate: mean.exp(),
                rests: moves.last().is_none_or(|last| last[k] < still),
            }
        })
        .collect()
}

/// `count` starts of white noise, `dim` values each.
pub fn noise(count: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count * dim).map(|_| StandardNormal.sample(&mut rng)).collect()
}

/// Starts and ends that go together in a report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attraction {
    /// From each atom, in order.
    pub from_atoms: Vec<Path>,
    /// From white noise.
    pub from_noise: Vec<Path>,
}

/// Paths of `steps` steps from every atom and from `count` draws of noise, all of norm `norm`.
pub fn attraction(
    model: &Pudle<2, DenseDictionary>,
    count: usize,
    norm: f32,
    steps: usize,
    seed: u64,
    device: &Device,
) -> Attraction {
    let atoms = model.dictionary().atoms();
    let [dim, _] = atoms.dims();
    let atoms: Vec<f32> = atoms.transpose().into_data().iter::<f32>().collect();
    Attraction {
        from_atoms: iterate(model, &atoms, norm, steps, device),
        from_noise: iterate(model, &noise(count, dim, seed), norm, steps, device),
    }
}
