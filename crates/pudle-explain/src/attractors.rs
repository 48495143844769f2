//! Atoms as attractors of the network.

use burn::tensor::{DType, Device, Tensor, TensorData};
use pudle_core::{DenseDictionary, Dictionary, Noise, Pudle};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::vectors::cosine;

/// Where iterating the network led from one start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trajectory {
    /// The atom that the end is nearest to, up to sign.
    pub atom: usize,
    /// The magnitude of the cosine between the end and this atom.
    pub cosine: f64,
    /// The cosine between start and end.
    pub stayed: f64,
    /// The factor by which the distance between steps shrinks from one step to the next: the geometric mean of `‖x_{t+1} − x_t‖ / ‖x_t − x_{t−1}‖`
    /// over the steps that still move. Below 1 the iteration comes to rest.
    pub rate: f64,
    /// Whether the iteration came to rest: the last step moved by less than a thousandth of the norm.
    pub rests: bool,
}

/// Iterates `x ← s · D z(x) / ‖D z(x)‖` from starts of norm `s` and returns a trajectory for each.
///
/// The norm is restored after each step because encoder and decoder together shrink their input: `λ` reduces every code, so
/// all trajectories would end at zero. `starts` hold `m` values each. A start whose code is zero moves to zero and has
/// cosine 0.
pub fn iterate(
    model: &Pudle<2, DenseDictionary>,
    starts: &[f32],
    norm: f32,
    steps: usize,
    device: &Device,
) -> Vec<Trajectory> {
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
    // The offset that the model subtracts from its data is not part of a direction.
    let offset = model.config().offset;
    let mut moves: Vec<Vec<f32>> = Vec::with_capacity(steps);
    for _ in 0..steps {
        let next = scaled(model.reconstruct(x.clone() + offset, &Noise::Unknown) - offset);
        let moved = (next.clone() - x).square().sum_dim(1).sqrt();
        moves.push(moved.into_data().iter::<f32>().collect());
        x = next;
    }
    let flat = |x: Tensor<2>| x.into_data().iter::<f32>().collect::<Vec<f32>>();
    let (ends, atoms) = (flat(x), flat(atoms.transpose()));
    let pairs = starts.chunks_exact(dim).zip(ends.chunks_exact(dim)).enumerate();
    let trajectory = |(k, (start, end))| {
        let moves: Vec<f32> = moves.iter().map(|step| step[k]).collect();
        Trajectory::new(start, end, &atoms, &moves, 1e-3 * norm)
    };
    pairs.map(trajectory).collect()
}

impl Trajectory {
    /// Summarises a trajectory. `moves` are the lengths of its steps; a step below `still` counts as rest.
    fn new(start: &[f32], end: &[f32], atoms: &[f32], moves: &[f32], still: f32) -> Self {
        let (atom, cosine_with_atom) = atoms
            .chunks_exact(end.len())
            .map(|atom| cosine(atom, end).abs())
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or((0, 0.0));
        let logs: Vec<f64> = moves
            .windows(2)
            .map(|pair| [pair[0], pair[1]])
            .take_while(|[before, after]| *before > still && *after > 0.0)
            .map(|[before, after]| f64::from(after / before).ln())
            .collect();
        let mean = logs.iter().sum::<f64>() / logs.len().max(1) as f64;
        Self {
            atom,
            cosine: cosine_with_atom,
            stayed: cosine(start, end),
            rate: mean.exp(),
            rests: moves.last().is_none_or(|last| *last < still),
        }
    }
}

/// `count` starts of white noise, `dim` values each, standard normal.
pub fn noise(count: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count * dim).map(|_| StandardNormal.sample(&mut rng)).collect()
}

/// Trajectories from atoms and from noise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attraction {
    /// A trajectory from each atom, in order.
    pub from_atoms: Vec<Trajectory>,
    /// Trajectories from white noise.
    pub from_noise: Vec<Trajectory>,
}

/// Where the search for attractors starts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Starts {
    /// Draws of noise, beside the atoms.
    pub draws: usize,
    /// The norm of each start and each step.
    pub norm: f32,
    /// Number of steps.
    pub steps: usize,
    /// Seed of the noise.
    pub seed: u64,
}

/// Iterates the network from every atom and from draws of noise.
pub fn attraction(
    model: &Pudle<2, DenseDictionary>,
    starts: Starts,
    device: &Device,
) -> Attraction {
    let Starts { draws, norm, steps, seed } = starts;
    let atoms = model.dictionary().atoms();
    let [dim, _] = atoms.dims();
    let atoms: Vec<f32> = atoms.transpose().into_data().iter::<f32>().collect();
    Attraction {
        from_atoms: iterate(model, &atoms, norm, steps, device),
        from_noise: iterate(model, &noise(draws, dim, seed), norm, steps, device),
    }
}
