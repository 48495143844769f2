use super::*;
use crate::amplitude::SignRule;

fn config() -> SparseSignalsConfig {
    SparseSignalsConfig {
        filters: ConvConfig { atoms: 3, channels: 2, size: 5, stride: 2 },
        length: 17,
        sparsity: 4,
        count: 12,
        batch: 4,
        amplitude: Amplitude::Uniform { low: 1.0, high: 2.0, sign: SignRule::PerEntry },
        noise_sd: 0.0,
        seed: 2,
    }
}

#[test]
fn codes_are_exactly_sparse_and_signals_are_their_transposed_convolutions() {
    let signals = SparseSignals::new(config()).unwrap();
    assert_eq!(config().positions(), 7);
    let filters = signals.known_dictionary();
    assert_eq!(filters.shape(), [3, 2, 5]);
    let filters = filters.values();
    for filter in filters.chunks(10) {
        assert!((filter.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
    }
    let mut used = [false; 21];
    for i in 0..200 {
        let (x, z) = signals.datum(i);
        assert_eq!((x.len(), z.len()), (34, 21));
        assert_eq!(z.iter().filter(|v| **v != 0.0).count(), 4);
        assert!(z.iter().all(|v| *v == 0.0 || (1.0..=2.0).contains(&v.abs())));
        for (at, &x) in x.iter().enumerate() {
            let (channel, sample) = (at / 17, at % 17);
            // What reaches the sample, by the definition.
            let mut sum = 0.0;
            for (atom, code) in z.chunks(7).enumerate() {
                for (position, z) in code.iter().enumerate() {
                    if let Some(k @ 0..5) = sample.checked_sub(2 * position) {
                        sum += z * filters[(atom * 2 + channel) * 5 + k];
                    }
                }
            }
            assert!((x - sum).abs() < 1e-5, "{i}: {x} is not {sum}");
        }
        z.iter().zip(&mut used).for_each(|(z, used)| *used |= *z != 0.0);
    }
    // A pair of filter and position is missed by 200 signals with probability (17/21)^200 < 1e-18.
    assert_eq!(used, [true; 21]);
}

#[test]
fn a_signal_is_a_function_of_the_seed_and_its_number() {
    let make = |change: fn(&mut SparseSignalsConfig)| {
        let mut config = config();
        change(&mut config);
        SparseSignals::new(config).unwrap()
    };
    let signals = make(|_| ());
    let backwards: Vec<_> = (0..20).rev().map(|i| signals.datum(i)).collect();
    let other = make(|config| (config.count, config.batch) = (500, 1));
    for (i, datum) in backwards.into_iter().rev().enumerate() {
        assert_eq!(other.datum(i), datum);
    }
    assert_ne!(signals.datum(0), signals.datum(1));
    let reseeded = make(|config| config.seed = 3);
    assert_ne!(reseeded.datum(0), signals.datum(0));
    assert_ne!(reseeded.known_dictionary(), signals.known_dictionary());
}

#[test]
fn batches_have_the_shape_of_signals_and_pass_over_all_of_them() {
    let signals = SparseSignals::new(config()).unwrap();
    let mut pass: Vec<Vec<f32>> = (3..6)
        .flat_map(|step| {
            let batch = signals.batch(step).unwrap();
            assert_eq!(batch.shape, [4, 2, 17]);
            assert_eq!(batch.input, batch.target);
            batch.input.chunks(34).map(<[f32]>::to_vec).collect::<Vec<_>>()
        })
        .collect();
    let mut all: Vec<Vec<f32>> = (0..12).map(|i| signals.datum(i).0).collect();
    let full = SparseSignals::new(SparseSignalsConfig { batch: 12, ..config() }).unwrap();
    assert_eq!(full.batch(5).unwrap().input, all.concat());
    let by_value = |a: &Vec<f32>, b: &Vec<f32>| {
        let mut orders = a.iter().zip(b).map(|(a, b)| a.total_cmp(b));
        orders.find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    };
    pass.sort_by(by_value);
    all.sort_by(by_value);
    assert_eq!(pass, all);
}

#[test]
fn noise_has_its_deviation() {
    let clean = SparseSignals::new(config()).unwrap();
    let noisy = SparseSignals::new(SparseSignalsConfig { noise_sd: 0.5, ..config() }).unwrap();
    let square: f32 = (0..100)
        .flat_map(|i| {
            let ((a, z), (b, same)) = (noisy.datum(i), clean.datum(i));
            assert_eq!(z, same);
            a.into_iter().zip(b).map(|(a, b)| (a - b).powi(2)).collect::<Vec<_>>()
        })
        .sum();
    // The mean of 3400 squares.
    assert!(((square / 3400.0).sqrt() - 0.5).abs() < 0.04);
}

#[test]
fn a_perturbed_dictionary_is_near_and_normalised() {
    let signals = SparseSignals::new(config()).unwrap();
    let known = signals.known_dictionary();
    assert_eq!(known.perturbed(0.0, 1), *known);
    let near = known.perturbed(0.02, 1);
    assert_eq!(near.shape(), known.shape());
    for filter in near.values().chunks(10) {
        assert!((filter.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
    }
    let pairs = near.values().iter().zip(known.values());
    let change: f32 = pairs.map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
    // 30 entries of deviation 0.02, less what normalising takes back.
    assert!((0.05..0.18).contains(&change), "{change}");
    assert_ne!(near, known.perturbed(0.02, 2));
}

#[test]
fn settings_out_of_range_are_named() {
    let filters = |change: fn(&mut ConvConfig)| {
        let mut config = config();
        change(&mut config.filters);
        config
    };
    for (field, bad) in [
        ("filters.atoms", filters(|filters| filters.atoms = 0)),
        ("filters.channels", filters(|filters| filters.channels = 0)),
        ("filters.size", filters(|filters| filters.size = 0)),
        ("filters.stride", filters(|filters| filters.stride = 6)),
        ("filters.stride", filters(|filters| filters.stride = 0)),
        ("length", SparseSignalsConfig { length: 4, ..config() }),
        ("length", SparseSignalsConfig { length: 18, ..config() }),
        ("sparsity", SparseSignalsConfig { sparsity: 0, ..config() }),
        ("sparsity", SparseSignalsConfig { sparsity: 22, ..config() }),
        ("count", SparseSignalsConfig { count: 0, ..config() }),
        ("batch", SparseSignalsConfig { batch: 13, ..config() }),
        ("noise_sd", SparseSignalsConfig { noise_sd: -1.0, ..config() }),
        (
            "amplitude.sd",
            SparseSignalsConfig {
                amplitude: Amplitude::Gaussian { mean: 0.0, sd: 0.0 },
                ..config()
            },
        ),
    ] {
        let error = SparseSignals::new(bad).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{field}` is")), "{error}");
    }
    SparseSignals::new(SparseSignalsConfig { sparsity: 21, ..config() }).unwrap();
}
