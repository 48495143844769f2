use super::*;
use crate::amplitude::SignRule;

fn config() -> SparseCodingConfig {
    let amplitude = Amplitude::Uniform { low: 1.0, high: 2.0, sign: SignRule::PerEntry };
    SparseCodingConfig {
        dim: 10,
        atoms: 25,
        sparsity: 4,
        count: 12,
        batch: 4,
        amplitude,
        noise_sd: 0.0,
        seed: 2,
    }
}

fn with(amplitude: Amplitude) -> SparseCoding {
    SparseCoding::new(SparseCodingConfig { amplitude, ..config() }).unwrap()
}

fn norms(matrix: &[f32], columns: usize) -> Vec<f32> {
    (0..columns)
        .map(|j| matrix.iter().skip(j).step_by(columns).map(|v| v * v).sum::<f32>().sqrt())
        .collect()
}

#[test]
fn codes_are_exactly_sparse_and_data_are_their_images() {
    let problem = SparseCoding::new(config()).unwrap();
    let d = problem.dictionary();
    assert!(norms(d, 25).iter().all(|n| (n - 1.0).abs() < 1e-5));
    let mut used = [false; 25];
    for i in 0..100 {
        let (x, z) = problem.datum(i);
        assert_eq!(z.iter().filter(|v| **v != 0.0).count(), 4);
        for (row, &x) in d.chunks(25).zip(&x) {
            let product: f32 = row.iter().zip(&z).map(|(d, z)| d * z).sum();
            assert!((product - x).abs() < 1e-5);
        }
        z.iter().zip(&mut used).for_each(|(z, used)| *used |= *z != 0.0);
    }
    // An atom is missed by 100 data with probability (21/25)^100 < 1e-7.
    assert_eq!(used, [true; 25]);
}

#[test]
fn amplitudes_keep_their_range_and_signs_their_rule() {
    for rule in [SignRule::PerDatum, SignRule::PerEntry] {
        let problem = with(Amplitude::Uniform { low: 1.0, high: 2.0, sign: rule });
        let (mut mixed, mut positive, mut sum) = (0, 0, 0.0);
        for i in 0..400 {
            let z: Vec<f32> = problem.datum(i).1.into_iter().filter(|v| *v != 0.0).collect();
            assert!(z.iter().all(|v| (1.0..=2.0).contains(&v.abs())));
            sum += z.iter().map(|v| v.abs()).sum::<f32>();
            let up = z.iter().filter(|v| **v > 0.0).count();
            mixed += usize::from(up != 0 && up != 4);
            positive += up;
        }
        // Means of 1600 draws of deviation 0.29; of 400 or 1600 fair coins.
        assert!((sum / 1600.0 - 1.5).abs() < 0.04, "{sum}");
        assert!((650..950).contains(&positive), "{positive}");
        match rule {
            SignRule::PerDatum => assert_eq!(mixed, 0),
            // Expected 7/8 of 400.
            SignRule::PerEntry => assert!((310..390).contains(&mixed), "{mixed}"),
        }
    }
}

#[test]
fn gaussian_amplitudes_have_their_moments() {
    let problem = with(Amplitude::Gaussian { mean: 15.0, sd: 1.0 });
    let z: Vec<f32> = (0..500).flat_map(|i| problem.datum(i).1).filter(|v| *v != 0.0).collect();
    assert_eq!(z.len(), 2000);
    let mean = z.iter().map(|v| v.abs()).sum::<f32>() / 2000.0;
    let var = z.iter().map(|v| (v.abs() - mean).powi(2)).sum::<f32>() / 2000.0;
    assert!((mean - 15.0).abs() < 0.12, "{mean}");
    assert!((var - 1.0).abs() < 0.2, "{var}");
    assert!((z.iter().sum::<f32>() / 2000.0).abs() < 2.0);
}

#[test]
fn noise_is_on_the_scale_of_the_data() {
    let noisy = SparseCoding::new(SparseCodingConfig { noise_sd: 0.5, ..config() }).unwrap();
    let clean = SparseCoding::new(config()).unwrap();
    let square: f32 = (0..200)
        .flat_map(|i| {
            let ((a, z), (b, same)) = (noisy.datum(i), clean.datum(i));
            assert_eq!(z, same);
            a.into_iter().zip(b).map(|(a, b)| (a - b).powi(2)).collect::<Vec<_>>()
        })
        .sum();
    assert!(((square / 2000.0).sqrt() - 0.5).abs() < 0.05);
}

#[test]
fn batches_pass_over_all_data() {
    let problem = SparseCoding::new(config()).unwrap();
    let mut pass: Vec<Vec<f32>> = (3..6)
        .flat_map(|k| {
            problem.batch(k).unwrap().input.chunks(10).map(<[f32]>::to_vec).collect::<Vec<_>>()
        })
        .collect();
    let mut all: Vec<Vec<f32>> = (0..12).map(|i| problem.datum(i).0).collect();
    let full = SparseCoding::new(SparseCodingConfig { batch: 12, ..config() }).unwrap();
    let batch = full.batch(0).unwrap();
    assert_eq!(batch.shape, [12, 10]);
    assert_eq!(batch.input, all.concat());
    assert_eq!(batch, full.batch(9).unwrap());
    pass.sort_by(|a, b| a[0].total_cmp(&b[0]));
    all.sort_by(|a, b| a[0].total_cmp(&b[0]));
    assert_eq!(pass, all);
    assert_eq!(problem.batch(7).unwrap(), SparseCoding::new(config()).unwrap().batch(7).unwrap());
}

#[test]
fn a_perturbed_dictionary_is_near_and_normalised() {
    let problem = SparseCoding::new(config()).unwrap();
    let d = problem.dictionary();
    assert_eq!(problem.perturbed(0.0, 1), d);
    let near = problem.perturbed(0.02, 1);
    assert!(norms(&near, 25).iter().all(|n| (n - 1.0).abs() < 1e-5));
    let change: f32 = near.iter().zip(d).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
    // 250 entries of deviation 0.02, less what normalising takes back.
    assert!((0.2..0.4).contains(&change), "{change}");
    assert_ne!(near, problem.perturbed(0.02, 2));
}

#[test]
fn settings_out_of_range_are_named() {
    let uniform = |low, high| Amplitude::Uniform { low, high, sign: SignRule::PerDatum };
    let gaussian = |mean, sd| Amplitude::Gaussian { mean, sd };
    for (field, bad) in [
        ("dim", SparseCodingConfig { dim: 0, ..config() }),
        ("atoms", SparseCodingConfig { atoms: 1 << 20, ..config() }),
        ("dim times atoms", SparseCodingConfig { dim: 60_000, atoms: 60_000, ..config() }),
        ("sparsity", SparseCodingConfig { sparsity: 26, ..config() }),
        ("count", SparseCodingConfig { count: 0, ..config() }),
        ("batch", SparseCodingConfig { batch: 13, ..config() }),
        ("noise_sd", SparseCodingConfig { noise_sd: f32::INFINITY, ..config() }),
        ("amplitude.low", SparseCodingConfig { amplitude: uniform(3.0, 2.0), ..config() }),
        ("amplitude.high", SparseCodingConfig { amplitude: uniform(0.0, 0.0), ..config() }),
        ("amplitude.sd", SparseCodingConfig { amplitude: gaussian(0.0, 0.0), ..config() }),
        ("amplitude.mean", SparseCodingConfig { amplitude: gaussian(f32::NAN, 1.0), ..config() }),
    ] {
        let error = SparseCoding::new(bad).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{field}` is")), "{error}");
    }
}
