//! Means over windows of a picture.

/// Mirrors a place outside `0..n`, with the edge repeated.
pub(crate) fn mirror(place: isize, n: usize) -> usize {
    let n = n as isize;
    let place = place.rem_euclid(2 * n);
    place.min(2 * n - 1 - place) as usize
}

/// Replaces every value by the mean over a window around it, mirrored at the edges. `side` is odd.
pub(crate) fn window_mean(plane: &mut [f32], width: usize, side: usize) {
    let height = plane.len() / width;
    let reach = side as isize / 2;
    let share = 1.0 / side as f32;
    // The sum of a line's values in a window that slides along it, in 64 bits so that no rounding accumulates.
    let slide = |line: &[f32], out: &mut [f32]| {
        let n = line.len();
        let at = |place: isize| f64::from(line[mirror(place, n)]);
        let mut sum: f64 = (-reach..=reach).map(at).sum();
        for (x, value) in out.iter_mut().enumerate() {
            *value = sum.max(0.0) as f32 * share;
            sum += at(x as isize + reach + 1) - at(x as isize - reach);
        }
    };
    let mut line = vec![0.0; width];
    for row in plane.chunks_exact_mut(width) {
        line.copy_from_slice(row);
        slide(&line, row);
    }
    let mut sums: Vec<f64> = vec![0.0; width];
    let across = plane.to_vec();
    let row = |y: isize| {
        let y = mirror(y, height);
        &across[y * width..(y + 1) * width]
    };
    for y in -reach..=reach {
        sums.iter_mut().zip(row(y)).for_each(|(sum, v)| *sum += f64::from(*v));
    }
    for (y, out) in plane.chunks_exact_mut(width).enumerate() {
        let (next, last) = (row(y as isize + reach + 1), row(y as isize - reach));
        for (x, value) in out.iter_mut().enumerate() {
            *value = sums[x].max(0.0) as f32 * share;
            sums[x] += f64::from(next[x]) - f64::from(last[x]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_means() {
        let mut plane: Vec<f32> = (0..42).map(|i| (i * i % 17) as f32).collect();
        let expected: f32 = (0..9).map(|i| plane[(1 + i / 3) * 7 + 2 + i % 3]).sum::<f32>() / 9.0;
        let corner = [
            plane[0], plane[0], plane[1], plane[0], plane[0], plane[1], plane[7], plane[7],
            plane[8],
        ];
        window_mean(&mut plane, 7, 3);
        assert!((plane[2 * 7 + 3] - expected).abs() < 1e-5);
        assert!((plane[0] - corner.iter().sum::<f32>() / 9.0).abs() < 1e-5);
    }
}
