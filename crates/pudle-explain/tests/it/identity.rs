//! The identity, held to its n×n form, to a dictionary at rest, and to removing data; saliency, held to differences.

use burn::tensor::{DType, Device, Tensor, TensorData};
use nalgebra::DMatrix;
use pudle_core::{
    Algorithm, ConvConfig, ConvDictionary2d, DenseConfig, DenseDictionary, Noise, Proximal, Pudle,
    PudleConfig,
};
use pudle_data::stroke_digits;
use pudle_explain::{
    Identity, Moments, Ridge, SparseCodes, cosine, of_atoms, of_outputs, saliency,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn normal(count: usize, seed: u64) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| StandardNormal.sample(&mut rng)).collect()
}

/// Drawn digits and their codes under random atoms, `n` of them.
fn strokes(n: usize, atoms: usize) -> (Vec<f32>, SparseCodes, Vec<f32>) {
    let digits = stroke_digits(n, &[0, 1, 2, 3, 4], 3);
    let data: Vec<f32> = (0..n).flat_map(|k| digits.pixels(k).unwrap()).collect();
    let config = PudleConfig::dense(DenseConfig { dim: 784, atoms })
        .with_layers(10)
        .with_step(0.1)
        .with_lambda(0.5)
        .with_prox(Proximal::Relu);
    let device = Device::flex();
    let model = Pudle::<2, DenseDictionary>::new(&config, 1, &device).unwrap();
    let x = Tensor::<2>::from_data(TensorData::new(data.clone(), [n, 784]), &device);
    let values: Vec<f32> = model.encode(x, &Noise::Unknown).into_data().iter::<f32>().collect();
    let mut codes = SparseCodes::new(atoms).unwrap();
    values.chunks_exact(atoms).for_each(|code| codes.push(code.iter().copied()));
    let atoms = pudle_core::Dictionary::atoms(model.dictionary()).transpose();
    (data, codes, atoms.into_data().iter::<f32>().collect())
}

#[test]
fn small_and_large_form_agree() {
    let (n, p) = (1000, 60);
    let (data, codes, dictionary) = strokes(n, p);
    assert!(codes.non_zeros() > 3 * n, "{} non-zeros", codes.non_zeros());
    let mut moments = Moments::new(p, 784);
    // In parts, as a pass over the data comes.
    for start in (0..n).step_by(300) {
        let end = (start + 300).min(n);
        moments.add(&codes, start..end, &data[start * 784..end * 784]);
    }
    let ridge = 0.7;
    let identity = Identity::new(&moments, dictionary.clone(), Ridge::Decay(ridge)).unwrap();

    // G = (ZᵀZ + ρI)⁻¹, n×n.
    let z = DMatrix::from_fn(p, n, |j, k| f64::from(codes.row(k).value(j)));
    let mut system = z.transpose() * &z;
    (0..n).for_each(|k| system[(k, k)] += ridge);
    let g = system.cholesky().unwrap().inverse();
    let alpha = &g * z.transpose();
    let largest = alpha.amax();
    for k in 0..n {
        let shares = identity.shares(codes.row(k));
        for (j, share) in shares.iter().enumerate() {
            assert!((share - alpha[(k, j)]).abs() < 1e-6 * largest, "α of {k} for {j}");
        }
    }
    let x = DMatrix::from_fn(784, n, |i, k| f64::from(data[k * 784 + i]));
    let estimate = &x * &alpha;
    let d = DMatrix::from_fn(784, p, |i, j| f64::from(dictionary[j * 784 + i]));
    let residual = (&d - &estimate).norm() / d.norm();
    assert!((identity.residual() - residual).abs() < 1e-6 * residual);
    for j in 0..p {
        for (found, expected) in identity.estimate(j).iter().zip(estimate.column(j).iter()) {
            assert!((f64::from(*found) - expected).abs() < 1e-6 * estimate.amax(), "atom {j}");
        }
    }

    // Contributors are those of sorting all weights.
    let found = of_atoms(&identity, &codes, 5);
    for j in [0, 17, 59] {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| alpha[(*b, j)].abs().total_cmp(&alpha[(*a, j)].abs()));
        let norm = alpha.column(j).norm();
        assert!((found[j].norm - norm).abs() < 1e-6 * norm);
        for (contribution, k) in found[j].most.iter().zip(&order) {
            assert!((contribution.weight * norm - alpha[(*k, j)]).abs() < 1e-6 * largest);
        }
    }
    // And so are those of an output.
    let code = codes.row(12);
    let zk = DMatrix::from_fn(p, 1, |j, _| f64::from(code.value(j)));
    let beta = &g * z.transpose() * zk;
    let found = &of_outputs(&identity, &codes, &[code], 3)[0];
    assert!((found.norm - beta.norm()).abs() < 1e-6 * beta.norm());
    let first = found.most[0];
    assert!((first.weight * found.norm - beta[first.datum]).abs() < 1e-6 * beta.amax());
    let output = &x * &beta;
    let output: Vec<f32> = output.iter().map(|v| *v as f32).collect();
    assert!(cosine(&identity.output(code), &output) > 1.0 - 1e-6);
}

/// For the least-squares dictionary of given codes the identity is exact, and away from it the residual says so.
#[test]
fn the_residual_tells_rest_from_unrest() {
    let (n, p, m) = (400, 12, 784);
    let (data, codes, random) = strokes(n, p);
    let mut moments = Moments::new(p, m);
    moments.add(&codes, 0..n, &data);
    let unrest = Identity::new(&moments, random.clone(), Ridge::Decay(1e-9)).unwrap();
    let solution: Vec<f32> = (0..p).flat_map(|j| unrest.estimate(j).to_vec()).collect();
    let rest = Identity::new(&moments, solution.clone(), Ridge::Decay(1e-9)).unwrap();
    assert!(rest.residual() < 1e-5 && rest.stationarity_gap() < 1e-5, "{}", rest.residual());
    assert!(unrest.residual() > 0.3 && unrest.stationarity_gap() > 0.1, "{}", unrest.residual());
    // A ridge that is too large shows, too.
    let ridge = 100.0 * moments.energies().iter().sum::<f64>();
    assert!(Identity::new(&moments, solution, Ridge::Decay(ridge)).unwrap().residual() > 0.9);

    for ridge in [-1.0, f64::NAN] {
        assert!(Identity::new(&moments, random.clone(), Ridge::Decay(ridge)).is_err());
    }
    // An atom that nothing uses.
    let mut none = Moments::new(2, m);
    let mut codes = SparseCodes::new(2).unwrap();
    codes.push([1.0, 0.0].into_iter());
    none.add(&codes, 0..1, &data[..m]);
    let error = Identity::new(&none, vec![0.0; 2 * m], Ridge::Decay(0.0)).unwrap_err().to_string();
    assert!(error.contains("1 of 2 atoms are never used"), "{error}");
}

/// Least squares over atoms on the unit sphere, by projected gradient steps: at rest the multipliers make the identity exact,
/// where any one number leaves something out.
#[test]
fn multipliers_make_the_identity_exact_on_the_sphere() {
    let (n, p, m) = (300, 8, 784);
    let (data, codes, random) = strokes(n, p);
    let mut moments = Moments::new(p, m);
    moments.add(&codes, 0..n, &data);
    let z = DMatrix::from_fn(p, n, |j, k| f64::from(codes.row(k).value(j)));
    let x = DMatrix::from_fn(m, n, |i, k| f64::from(data[k * m + i]));
    let mut d = DMatrix::from_fn(m, p, |i, j| f64::from(random[j * m + i]));
    let (gram, cross) = (&z * z.transpose(), &x * z.transpose());
    let rate = 1.0 / gram.clone().symmetric_eigenvalues().max();
    for _ in 0..20_000 {
        d -= (&d * &gram - &cross) * rate;
        d.column_iter_mut().for_each(|mut atom| atom /= atom.norm().max(1e-12));
    }
    let rest: Vec<f32> = d.as_slice().iter().map(|v| *v as f32).collect();
    let sphere = Identity::new(&moments, rest.clone(), Ridge::Sphere).unwrap();
    assert!(sphere.stationarity_gap() < 1e-5, "gap {}", sphere.stationarity_gap());
    assert!(sphere.residual_of_used() < 1e-3, "residual {}", sphere.residual_of_used());
    for rho in [0.1, 1.0, 10.0, 100.0] {
        let decay = Identity::new(&moments, rest.clone(), Ridge::Decay(rho)).unwrap();
        assert!(decay.residual_of_used() > 10.0 * sphere.residual_of_used(), "{rho}");
    }
}

/// Codes held fixed, what the identity says of removing a datum is what solving without it gives.
#[test]
fn removing_a_datum_changes_atoms_as_its_share_says() {
    let (n, p, m) = (500, 10, 784);
    let (data, codes, dictionary) = strokes(n, p);
    let solve = |without: Option<usize>| {
        let mut left = SparseCodes::new(p).unwrap();
        let mut targets = Vec::new();
        for k in (0..n).filter(|k| Some(*k) != without) {
            left.push((0..p).map(|j| codes.row(k).value(j)));
            targets.extend_from_slice(&data[k * m..(k + 1) * m]);
        }
        let mut moments = Moments::new(p, m);
        moments.add(&left, 0..left.len(), &targets);
        Identity::new(&moments, dictionary.clone(), Ridge::Decay(0.3)).unwrap()
    };
    let whole = solve(None);
    for k in [3, 77, 400] {
        let less = solve(Some(k));
        let (code, shares) = (codes.row(k), whole.shares(codes.row(k)));
        // h = z_kᵀ B z_k, by which a datum pulls its own fit.
        let h: f64 = code.iter().map(|(j, v)| f64::from(v) * shares[j]).sum();
        let fit = whole.output(code);
        for (j, share) in shares.iter().enumerate() {
            let scale = (share / (1.0 - h)) as f32;
            let x = &data[k * m..(k + 1) * m];
            let predicted = x.iter().zip(&fit).map(|(x, fit)| -scale * (x - fit));
            let actual = less.estimate(j).iter().zip(whole.estimate(j)).map(|(a, b)| a - b);
            let (off, size) = predicted.zip(actual).fold((0f64, 0f64), |(off, size), (p, a)| {
                (off + f64::from(p - a).powi(2), size + f64::from(a).powi(2))
            });
            assert!(off <= 1e-6 * size + 1e-12, "datum {k}, atom {j}: {off} of {size}");
        }
    }
}

fn check_saliency<const D: usize, A: pudle_core::Configured<D>>(
    config: &PudleConfig,
    shape: [usize; D],
    seed: u64,
) {
    let device = Device::flex();
    let atoms = TensorData::new(
        normal(config.dictionary.shape().iter().product(), seed),
        config.dictionary.shape(),
    );
    let model = Pudle::<D, A>::from_data(config, atoms, &device).unwrap().project();
    let values = normal(shape.iter().product(), seed + 1);
    let encode = |values: &[f64]| -> Vec<f64> {
        let data = TensorData::new(values.to_vec(), shape);
        let x = Tensor::<D>::from_data(data, (&device, DType::F64));
        model.encode(x, &Noise::Unknown).into_data().iter::<f64>().collect()
    };
    let code = encode(&values);
    // An entry well inside its support, and one that is off it.
    let on = (0..code.len()).max_by(|a, b| code[*a].abs().total_cmp(&code[*b].abs())).unwrap();
    let off = (0..code.len()).find(|j| code[*j] == 0.0).unwrap();
    let found = saliency(&model, TensorData::new(values.clone(), shape), &[on, off]).unwrap();
    let h = 1e-6;
    for (entry, gradient) in [on, off].into_iter().zip(&found) {
        assert_eq!(gradient.len(), values.len());
        for i in 0..values.len() {
            let moved = |by: f64| {
                let mut moved = values.clone();
                moved[i] += by;
                encode(&moved)[entry]
            };
            let difference = (moved(h) - moved(-h)) / (2.0 * h);
            assert!((gradient[i] - difference).abs() < 1e-4, "{entry}, {i}: {difference}");
        }
    }
    assert!(found[0].iter().any(|g| g.abs() > 1e-3), "the entry listens to something");
    assert!(found[1].iter().all(|g| *g == 0.0), "off the support nothing is heard");
    assert!(saliency(&model, TensorData::new(values, shape), &[code.len()]).is_err());
}

#[test]
fn saliency_is_the_derivative() {
    for (prox, algorithm, seed) in [
        (Proximal::Soft, Algorithm::Ista, 1),
        (Proximal::Relu, Algorithm::Fista, 2),
        (Proximal::Hard, Algorithm::Ista, 3),
    ] {
        let settings = |config: PudleConfig| {
            config
                .with_layers(12)
                .with_step(0.15)
                .with_lambda(0.4)
                .with_prox(prox)
                .with_algorithm(algorithm)
        };
        let dense = settings(PudleConfig::dense(DenseConfig { dim: 15, atoms: 20 }));
        check_saliency::<2, DenseDictionary>(&dense, [1, 15], 10 + seed);
        let filters = ConvConfig { atoms: 5, channels: 1, size: 4, stride: 2 };
        let conv = settings(PudleConfig::conv2d(filters));
        check_saliency::<4, ConvDictionary2d>(&conv, [1, 1, 10, 8], 20 + seed);
    }
}

/// At convergence the derivative is a row of `(D_SᵀD_S)⁻¹D_Sᵀ`.
#[test]
fn saliency_comes_from_the_active_support() {
    let config = PudleConfig::dense(DenseConfig { dim: 15, atoms: 20 })
        .with_layers(4000)
        .with_step(0.1)
        .with_lambda(0.6);
    let device = Device::flex();
    let atoms = TensorData::new(normal(300, 5), [15, 20]);
    let model = Pudle::<2, DenseDictionary>::from_data(&config, atoms, &device).unwrap().project();
    let x = TensorData::new(normal(15, 6), [1, 15]);
    let data = Tensor::<2>::from_data(x.clone(), (&device, DType::F64));
    let code: Vec<f64> = model.encode(data, &Noise::Unknown).into_data().iter::<f64>().collect();
    let support: Vec<usize> = (0..20).filter(|j| code[*j] != 0.0).collect();
    assert!((2..12).contains(&support.len()), "{support:?}");
    let atoms: Vec<f64> =
        pudle_core::Dictionary::atoms(model.dictionary()).into_data().iter::<f64>().collect();
    let active = DMatrix::from_fn(15, support.len(), |i, s| atoms[i * 20 + support[s]]);
    let pseudo = (active.transpose() * &active).try_inverse().unwrap() * active.transpose();
    let found = saliency(&model, x, &support).unwrap();
    for (s, gradient) in found.iter().enumerate() {
        for (i, value) in gradient.iter().enumerate() {
            assert!((value - pseudo[(s, i)]).abs() < 1e-6, "{s}, {i}");
        }
    }
}
