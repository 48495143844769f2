use super::*;

/// Two kernels that overlap, in seven trials of two channels, one sample of which is missing.
fn trials(name: &str) -> Trials {
    let mut state = 1u64;
    let mut draw = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let list = (0..7)
        .map(|k| {
            let mut x: Vec<f32> = (0..80).map(|_| (draw() * 1.8).floor()).collect();
            x[3] = if k == 2 { f32::NAN } else { x[3] };
            Trial { x, events: vec![(0, 1 + k), (1, 4 + 2 * k), (0, 20 + k)] }
        })
        .collect();
    let observation = name.parse().unwrap();
    Trials { list, channels: 2, atoms: 2, taps: 9, observation }
}

#[test]
fn the_solution_is_the_optimum() {
    for name in ["gaussian", "bernoulli", "binomial:3", "poisson:2"] {
        let fit = trials(name);
        let all: Vec<usize> = (0..7).collect();
        for channel in 0..2 {
            let found = fit.solve(channel, &all, 2.0, None);
            let penalty = fit.penalty(2.0);
            let objective = |s: &Solution| fit.objective(channel, &all, s, &penalty);
            let best = objective(&found);
            for k in 0..18 + 7usize {
                let moved = |h: f64| {
                    let mut moved = found.clone();
                    match k.checked_sub(18) {
                        None => moved.kernels[k] += h,
                        Some(trial) => moved.baselines[trial] += h,
                    }
                    objective(&moved)
                };
                let slope = (moved(1e-4) - moved(-1e-4)) / 2e-4;
                assert!(slope.abs() < 1e-3, "{name}, {k}: {slope}");
                assert!(moved(0.05) > best && moved(-0.05) > best, "{name}, {k}");
            }
        }
    }
}

#[test]
fn newtons_step_ends_at_the_optimum_of_gaussian_data() {
    let fit = trials("gaussian");
    let all: Vec<usize> = (0..7).collect();
    let start = Solution { kernels: vec![0.0; 18], baselines: vec![0.0; 7] };
    let penalty = fit.penalty(0.5);
    let (step, moves) = fit.newton(0, &all, &start, &penalty);
    let found = fit.solve(0, &all, 0.5, None);
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(near(&step, &found.kernels) && near(&moves, &found.baselines));
}

#[test]
fn losses_of_trials_left_out_are_about_those_of_fits_without_them() {
    for name in ["gaussian", "bernoulli", "poisson:3"] {
        let fit = trials(name);
        let all: Vec<usize> = (0..7).collect();
        let whole = fit.solve(1, &all, 20.0, None);
        let found = fit.left_out(1, &all, &whole, 20.0);
        let exact: f64 = (0..7)
            .map(|out| {
                let rest: Vec<usize> = (0..7).filter(|trial| *trial != out).collect();
                fit.best_loss(1, out, &fit.solve(1, &rest, 20.0, None).kernels)
            })
            .sum();
        let inside: f64 = (0..7).map(|t| fit.best_loss(1, t, &whole.kernels)).sum();
        // Nearer to the loss of real fits than to that of trials that are not left out.
        assert!((found - exact).abs() < 0.3 * (exact - inside), "{name}: {inside} {found} {exact}");
    }
}
