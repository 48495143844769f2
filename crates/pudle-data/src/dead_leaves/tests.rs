use super::*;

fn small() -> DeadLeavesConfig {
    DeadLeavesConfig { height: 40, width: 60, radius_max: 30.0, count: 3, ..Default::default() }
}

#[test]
fn radii_follow_the_inverse_cube() {
    let (low, high) = (2.0f64, 50.0f64);
    let mut rng = step_rng(5, Stream::DeadLeaves, 0);
    let draws: Vec<f64> =
        (0..20_000).map(|_| f64::from(radius(rng.random(), low as f32, high as f32))).collect();
    assert!(draws.iter().all(|r| (low..=high).contains(r)));
    // The integral of the density over bins of equal ratio, against counted shares.
    let norm = low.powi(-2) - high.powi(-2);
    let bounds: Vec<f64> = (0..=6).map(|i| low * (high / low).powf(f64::from(i) / 6.0)).collect();
    for bin in bounds.windows(2) {
        let expected = (bin[0].powi(-2) - bin[1].powi(-2)) / norm;
        let n = draws.len() as f64;
        let share = draws.iter().filter(|r| (bin[0]..bin[1]).contains(r)).count() as f64 / n;
        let error = (expected * (1.0 - expected) / n).sqrt();
        assert!((share - expected).abs() < 5.0 * error, "{bin:?}: {share} for {expected}");
    }
    assert_eq!(radius(0.3, 7.0, 7.0), 7.0);
}

#[test]
fn pictures_depend_on_seed_and_number_alone() {
    let leaves = DeadLeaves::new(small()).unwrap();
    let one = leaves.picture(1).unwrap();
    assert_eq!(*one, DeadLeaves::new(small()).unwrap().draw(1));
    assert_ne!(*one, leaves.draw(0));
    assert_ne!(*one, DeadLeaves::new(DeadLeavesConfig { seed: 1, ..small() }).unwrap().draw(1));
    assert_eq!(one.shape(), [1, 40, 60]);
    assert!(leaves.picture(3).is_err());
}

#[test]
fn pictures_are_covered_and_in_range() {
    for config in [
        DeadLeavesConfig { channels: 3, ..small() },
        DeadLeavesConfig { edge: 0.0, shading: 0.0, ..small() },
        DeadLeavesConfig { edge: 64.0, ..small() },
        DeadLeavesConfig { radius_min: 20.0, radius_max: 20.0, ..small() },
        DeadLeavesConfig { height: 1, width: 1, radius_min: 0.5, ..small() },
    ] {
        let image = DeadLeaves::new(config.clone()).unwrap().draw(0);
        assert!(image.data.iter().all(|v| (0.0..=1.0).contains(v)), "{config:?}");
        let mean = image.data.iter().sum::<f32>() / image.data.len() as f32;
        let var = image.data.iter().map(|v| (v - mean).powi(2)).sum::<f32>();
        assert!(image.data.len() == 1 || var > 0.0, "{config:?}");
    }
}

#[test]
fn flat_leaves_with_sharp_edges_are_piecewise_constant() {
    let config = DeadLeavesConfig { edge: 0.0, shading: 0.0, radius_min: 6.0, ..small() };
    let image = DeadLeaves::new(config).unwrap().draw(0);
    let equal = image.data.windows(2).filter(|w| w[0] == w[1]).count();
    assert!(equal > image.data.len() / 2, "{equal} equal neighbours");
}

#[test]
fn settings_out_of_range_are_named() {
    for (field, bad) in [
        ("height", DeadLeavesConfig { height: 0, ..small() }),
        ("width", DeadLeavesConfig { width: 5000, ..small() }),
        ("channels", DeadLeavesConfig { channels: 2, ..small() }),
        ("radius_min", DeadLeavesConfig { radius_min: 0.0, ..small() }),
        ("radius_max", DeadLeavesConfig { radius_max: 1.0, ..small() }),
        ("edge", DeadLeavesConfig { edge: f32::NAN, ..small() }),
        ("shading", DeadLeavesConfig { shading: 2.0, ..small() }),
        ("count", DeadLeavesConfig { count: 0, ..small() }),
    ] {
        let error = DeadLeaves::new(bad).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{field}` is")), "{error}");
    }
}
