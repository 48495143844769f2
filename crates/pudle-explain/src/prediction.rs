//! What the identity predicts of removing training data.

use nalgebra::DMatrix;

use crate::codes::SparseCodes;
use crate::identity::Identity;
use crate::vectors::difference;

/// A change without its component along the atom, which unit norm does not allow.
pub(crate) fn along_sphere(change: &[f32], atom: &[f32]) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    let along = dot(change, atom) / dot(atom, atom).max(f32::MIN_POSITIVE);
    change.iter().zip(atom).map(|(c, a)| c - along * a).collect()
}

/// The change of each atom that the identity predicts for removing the data `without`, for fixed codes. `targets` are the
/// values of these data.
pub(crate) fn predict(
    identity: &Identity,
    codes: &SparseCodes,
    targets: &[Vec<f32>],
    without: &[usize],
) -> Vec<Vec<f32>> {
    let (s, p) = (without.len(), identity.atoms());
    // Rows of Z_SᵀB, and the residual of each removed datum.
    let mut shares = DMatrix::<f64>::zeros(s, p);
    let mut residuals: Vec<Vec<f32>> = Vec::with_capacity(s);
    for (i, &k) in without.iter().enumerate() {
        let row = codes.row(k);
        let of_each_atom = identity.shares(row);
        (0..p).for_each(|j| shares[(i, j)] = of_each_atom[j]);
        residuals.push(difference(&targets[i], &identity.output(row)));
    }
    let mut own = DMatrix::<f64>::identity(s, s);
    for (l, &k) in without.iter().enumerate() {
        for (atom, value) in codes.row(k).iter() {
            (0..s).for_each(|i| own[(i, l)] -= shares[(i, atom)] * f64::from(value));
        }
    }
    // The matrix is singular if only removed data use an atom. The first-order term is the prediction then.
    let weights = own.lu().solve(&shares).unwrap_or(shares);
    let dim = residuals.first().map_or(0, Vec::len);
    (0..p)
        .map(|j| {
            let mut change = vec![0.0f32; dim];
            for (i, residual) in residuals.iter().enumerate() {
                let weight = weights[(i, j)] as f32;
                change.iter_mut().zip(residual).for_each(|(c, r)| *c -= weight * r);
            }
            change
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::ridge::Ridge;
    use crate::vectors::norm;

    /// Removing a group of data changes the least-squares dictionary as is predicted.
    #[test]
    fn a_group_that_is_removed_changes_atoms_as_predicted() {
        use crate::moments::Moments;
        use rand::RngExt;
        let (n, p, m) = (80, 6, 9);
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let mut codes = SparseCodes::new(p).unwrap();
        let mut data: Vec<f32> = Vec::new();
        for _ in 0..n {
            let code: Vec<f32> = (0..p)
                .map(|_| if rng.random_bool(0.5) { rng.random_range(-1.0..2.0) } else { 0.0 })
                .collect();
            codes.push(code.into_iter());
            data.extend((0..m).map(|_| rng.random_range(-1.0..1.0f32)));
        }
        let solve = |without: &[usize]| {
            let mut left = SparseCodes::new(p).unwrap();
            let mut targets = Vec::new();
            for k in (0..n).filter(|k| !without.contains(k)) {
                left.push((0..p).map(|j| codes.row(k).value(j)));
                targets.extend_from_slice(&data[k * m..(k + 1) * m]);
            }
            let mut moments = Moments::new(p, m);
            moments.add(&left, 0..left.len(), &targets);
            Identity::new(&moments, vec![1.0; p * m], Ridge::Decay(0.2)).unwrap()
        };
        let (whole, without) = (solve(&[]), [3, 7, 20, 21, 60]);
        let less = solve(&without);
        let targets = without.map(|k| data[k * m..(k + 1) * m].to_vec());
        for (j, change) in predict(&whole, &codes, &targets, &without).iter().enumerate() {
            let actual = difference(less.estimate(j), whole.estimate(j));
            assert!(norm(&difference(change, &actual)) < 1e-4 * norm(&actual), "atom {j}");
        }
        let atom = whole.atom(0);
        let along: f32 =
            along_sphere(&[1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], atom).iter().sum();
        assert!(along.abs() < 1e-5, "nothing is left along an atom of ones: {along}");
    }
}
