//! Small linear systems.

/// A pivot below this part of an atom's squared norm means that atoms depend on each other.
const LEAST_PIVOT: f64 = 1e-7;

/// `⟨a, b⟩`, in several sums at once.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let ((a, rest), (b, more)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        for k in 0..8 {
            sums[k] += a[k] * b[k];
        }
    }
    sums.iter().sum::<f64>() + rest.iter().zip(more).map(|(x, y)| x * y).sum::<f64>()
}

/// Turns the lower half of a symmetric `A` of `n` rows into its Cholesky factor. Returns whether `A` is positive definite, beyond
/// rounding.
pub(crate) fn cholesky_factor(a: &mut [f64], n: usize) -> bool {
    for i in 0..n {
        let diagonal = a[i * n + i];
        let (above, row) = a.split_at_mut(i * n);
        let row = &mut row[..n];
        for j in 0..i {
            let other = &above[j * n..][..n];
            let sum = dot(&row[..j], &other[..j]);
            row[j] = (row[j] - sum) / other[j];
        }
        let pivot = diagonal - dot(&row[..i], &row[..i]);
        if pivot.is_nan() || pivot <= LEAST_PIVOT * diagonal {
            return false;
        }
        row[i] = pivot.sqrt();
    }
    true
}

/// Solves `A x = b` with the Cholesky factor of `A`; `b` becomes `x`.
pub(crate) fn cholesky_apply(factor: &[f64], b: &mut [f64]) {
    let n = b.len();
    for i in 0..n {
        let sum: f64 = (0..i).map(|j| factor[i * n + j] * b[j]).sum();
        b[i] = (b[i] - sum) / factor[i * n + i];
    }
    for i in (0..n).rev() {
        b[i] /= factor[i * n + i];
        for j in 0..i {
            b[j] -= factor[i * n + j] * b[i];
        }
    }
}

/// Solves `A x = b` for a symmetric `A`, whose lower half becomes its Cholesky factor; `b` becomes `x`. Returns whether `A` is
/// positive definite, beyond rounding.
pub(crate) fn cholesky_solve(a: &mut [f64], b: &mut [f64]) -> bool {
    let definite = cholesky_factor(a, b.len());
    if definite {
        cholesky_apply(a, b);
    }
    definite
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_solved_or_refused() {
        let mut b = [1.0, 2.0];
        assert!(cholesky_solve(&mut [4.0, 2.0, 2.0, 3.0], &mut b));
        assert!((b[0] + 0.125).abs() < 1e-12 && (b[1] - 0.75).abs() < 1e-12, "{b:?}");
        assert!(!cholesky_solve(&mut [1.0, 1.0, 1.0, 1.0], &mut [1.0, 1.0]));
    }
}
