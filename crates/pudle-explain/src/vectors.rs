//! Arithmetic on plain vectors.

/// The inner product in double precision.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The Euclidean norm, summed in double precision.
pub(crate) fn norm(values: &[f32]) -> f32 {
    values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt() as f32
}

/// `a − b`.
pub(crate) fn difference(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// `‖a − b‖ / ‖a‖`.
pub(crate) fn relative_residual(a: &[f32], b: &[f32]) -> f64 {
    f64::from(norm(&difference(a, b)) / norm(a).max(f32::MIN_POSITIVE))
}

/// Returns the cosine of two vectors, or 0 if one of them is zero.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
}
