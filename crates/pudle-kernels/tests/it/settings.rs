//! Plans as scalars, and the weights of the extrapolation.

use crate::common::Draw;
use pudle_kernels::{Extrapolation, Geometry, Plan, Problem, Shrinkage, Tying, Unrolling};

fn plan(draw: &mut Draw) -> Plan {
    let mut any = || draw.pick(&[0, 1, 2, 3, 7, 255, 256, 1 << 31, usize::MAX - 1, usize::MAX]);
    let dense = Problem::Dense { dim: any() };
    let conv = Problem::Conv(Geometry {
        channels: any(),
        height: any(),
        width: any(),
        atoms: any(),
        kernel: [any(), any()],
        stride: [any(), any()],
    });
    let (layers, recorded) = (any(), any());
    Plan {
        problem: draw.pick(&[dense, conv]),
        unrolling: Unrolling {
            layers,
            shrinkage: draw.pick(&[Shrinkage::Soft, Shrinkage::Relu, Shrinkage::Hard]),
            extrapolation: draw.pick(&[Extrapolation::None, Extrapolation::Fista]),
            recorded,
            recompute: draw.pick(&[false, true]),
            half: draw.pick(&[false, true]),
        },
        tying: draw.pick(&[Tying::Tied, Tying::Decoder, Tying::Untied]),
    }
}

#[test]
fn plans_come_back_from_scalars() {
    let mut draw = Draw::new(0);
    let mut seen = Vec::new();
    for _ in 0..2000 {
        let plan = plan(&mut draw);
        let scalars = plan.to_scalars();
        assert_eq!(Plan::from_scalars(&scalars), Some(plan));
        seen.push((scalars, plan));
    }
    // Different plans have different scalars.
    for (k, (scalars, plan)) in seen.iter().enumerate().step_by(20) {
        for (others, other) in &seen[k..] {
            assert_eq!(scalars == others, plan == other);
        }
    }
}

#[test]
fn scalars_of_no_plan_are_refused() {
    let mut draw = Draw::new(1);
    for _ in 0..500 {
        let plan = plan(&mut draw);
        let scalars = plan.to_scalars();
        for length in 0..scalars.len() {
            assert_eq!(Plan::from_scalars(&scalars[..length]), None, "{length} of {scalars:?}");
        }
        assert_eq!(Plan::from_scalars(&[&scalars[..], &[0]].concat()), None);
        // The kind of dictionary, the operator, the extrapolation, recomputation, 16 bits and tying are choices.
        let end = scalars.len();
        for choice in [0, end - 6, end - 5, end - 3, end - 2, end - 1] {
            for unknown in [4, 5, u64::MAX] {
                let mut scalars = scalars.clone();
                scalars[choice] = unknown;
                assert_eq!(Plan::from_scalars(&scalars), None, "{choice} of {scalars:?}");
            }
        }
    }
}

#[test]
fn weights_are_those_of_fista() {
    // (s_t − 1)/s_{t+1} for s = 1, 1.618…, 2.193…, 2.749…, 3.294…, 3.832…, worked out to 40 digits.
    let expected = [
        0.0,
        0.0,
        0.281_753_525_125_320_8,
        0.434_042_782_780_302,
        0.531_063_805_404_479_5,
        0.598_778_594_056_038_8,
    ];
    let weights = Extrapolation::Fista.weights(6);
    for (weight, expected) in weights.iter().zip(expected) {
        assert!((weight - expected).abs() < 1e-15, "{weights:?}");
    }
    assert_eq!(Extrapolation::Fista.weights(3), weights[..3]);
    assert_eq!(Extrapolation::None.weights(3), [0.0; 3]);
    assert!(Extrapolation::Fista.weights(0).is_empty());
}
