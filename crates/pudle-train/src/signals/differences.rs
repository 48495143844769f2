//! Second differences of atoms.

/// `Δ²ᵀΔ²` of `length` samples with a zero before and after them, row-major.
pub(super) fn second_differences(length: usize) -> Vec<f64> {
    let mut matrix = vec![0.0; length * length];
    // The difference around sample `middle` has the samples before and after it.
    for middle in 0..length {
        let parts = [(middle.checked_sub(1), 1.0), (Some(middle), -2.0), (Some(middle + 1), 1.0)];
        let inside = parts.map(|(place, factor)| (place.filter(|place| *place < length), factor));
        for (i, a) in inside {
            for (j, b) in inside {
                if let (Some(i), Some(j)) = (i, j) {
                    matrix[i * length + j] += a * b;
                }
            }
        }
    }
    matrix
}

/// A square matrix times a vector.
pub(super) fn times(matrix: &[f64], vector: &[f64]) -> Vec<f64> {
    let rows = matrix.chunks_exact(vector.len());
    rows.map(|row| row.iter().zip(vector).map(|(m, v)| m * v).sum()).collect()
}
