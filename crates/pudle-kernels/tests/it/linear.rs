//! Atoms that are linear in the first layers, against the same layers one by one.

use pudle_kernels::{
    Encoder, Geometry, Real, ShiftWindows, Shrinkage, Tying, Unrolling, conv_forward, conv_shifts,
};

use crate::common::{Draw, cast, distance, seeds};

/// The mean over shifts, and the mean of the reconstructions of the shifted parts.
fn both<T: Real>(seed: u64) -> [Vec<T>; 2] {
    let mut draw = Draw::new(seed);
    let kernel = [draw.count(2..=4), draw.count(2..=4)];
    let extent = [kernel[0] + draw.count(8..=40), kernel[1] + draw.count(6..=30)];
    let geometry = Geometry {
        channels: draw.pick(&[1, 2]),
        height: extent[0] - 3,
        width: extent[1] - 2,
        atoms: draw.pick(&[40, 70]),
        kernel,
        stride: [draw.count(1..=kernel[0]), draw.count(1..=kernel[1])],
    };
    let layers = draw.count(1..=6);
    let tying = draw.pick(&[Tying::Tied, Tying::Decoder, Tying::Untied]);
    let scale = 1.0 / (geometry.taps() as f64).sqrt();
    let mut bank = || cast::<T>(&draw.numbers(geometry.atoms * geometry.taps(), -scale, scale));
    let banks = tying.banks(bank(), bank(), bank());
    let mut levels: Vec<f64> = draw.numbers(layers * geometry.atoms, 0.0, 0.1);
    for j in 0..geometry.atoms {
        for t in 0..draw.count(0..=layers) {
            levels[t * geometry.atoms + j] = 0.0;
        }
    }
    let levels = cast::<T>(&levels);
    let encoder = Encoder {
        banks: banks.as_ref().map(Vec::as_slice),
        step: T::from_f64(0.1),
        levels: &levels,
        level_shape: [layers, 1, geometry.atoms],
    };
    let unrolling = Unrolling::ista(layers, draw.pick(&[Shrinkage::Soft, Shrinkage::SignedSoft]));
    let x: Vec<T> = draw.numbers(geometry.channels * extent[0] * extent[1], -1.0, 1.0);
    let starts = vec![[0, 0], [1, 2], [3, 1]];
    let size = [geometry.height - 3, geometry.width - 2];
    let windows = ShiftWindows { starts, origin: [3, 2], size };
    let mean = conv_shifts(geometry, &x, extent, &windows, encoder, unrolling);
    let mut expected = vec![0.0; mean.len()];
    for [top, left] in windows.starts {
        let row = |y: usize, channel: usize| {
            &x[(channel * extent[0] + top + y) * extent[1] + left..][..geometry.width]
        };
        let part: Vec<T> = (0..geometry.channels)
            .flat_map(|channel| (0..geometry.height).flat_map(move |y| row(y, channel).to_vec()))
            .collect();
        let (output, _) = conv_forward(geometry, &part, encoder, unrolling, false);
        let rows = output.reconstruction().chunks_exact(geometry.width);
        for (k, row) in rows.enumerate() {
            let (channel, y) = (k / geometry.height, k % geometry.height);
            let Some(y) = (y + top).checked_sub(3).filter(|y| *y < size[0]) else { continue };
            let expected = &mut expected[(channel * size[0] + y) * size[1]..][..size[1]];
            for (sum, pixel) in expected.iter_mut().zip(&row[2 - left..]) {
                *sum += pixel.to_f64() / 3.0;
            }
        }
    }
    [mean, cast(&expected)]
}

#[test]
fn linear_atoms_change_nothing_but_rounding() {
    for seed in seeds(0..60) {
        let [mean, expected] = both::<f64>(seed);
        let off = distance(&mean, &expected);
        assert!(off < 1e-12, "seed {seed}: {off:e}");
        let [mean, expected] = both::<f32>(seed);
        let off = distance(&mean, &expected);
        assert!(off < 2e-6, "seed {seed}, single precision: {off:e}");
    }
}
