//! Figures of codes.

use serde::Serialize;

/// Figures of the codes of all data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CodeStats {
    /// Number of data: vectors, signals or pictures.
    pub data: u64,
    /// Mean number of codes of a datum that are not zero.
    pub nonzeros: f64,
    /// Share of codes that are not zero, from 0 to 1.
    pub active: f64,
    /// `‖X − X̂‖/‖X‖` over all numbers that are known; 0 if all are zero.
    pub relative_error: f64,
    /// Number of atoms.
    pub atoms: usize,
    /// Number of atoms that some datum uses.
    pub atoms_in_use: usize,
    /// Number of pictures of a folder that cannot be read, and have no codes.
    pub unreadable: usize,
}

/// Sums over data.
pub(super) struct Sums {
    data: u64,
    codes: u64,
    nonzeros: u64,
    used: Vec<bool>,
    error: f64,
    energy: f64,
}

impl Sums {
    pub fn new(atoms: usize) -> Self {
        Self { data: 0, codes: 0, nonzeros: 0, used: vec![false; atoms], error: 0.0, energy: 0.0 }
    }

    /// Adds `count` data with their codes and reconstructions.
    pub fn add(&mut self, count: usize, data: &[f32], code: &[f32], reconstruction: &[f32]) {
        self.data += count as u64;
        self.codes += code.len() as u64;
        let positions = code.len() / count / self.used.len();
        for (k, positions) in code.chunks_exact(positions).enumerate() {
            let nonzeros = positions.iter().filter(|value| **value != 0.0).count();
            self.nonzeros += nonzeros as u64;
            if nonzeros > 0 {
                let atom = k % self.used.len();
                self.used[atom] = true;
            }
        }
        let square = |value: f32| f64::from(value) * f64::from(value);
        let known = || data.iter().zip(reconstruction).filter(|(x, _)| !x.is_nan());
        self.energy += known().map(|(x, _)| square(*x)).sum::<f64>();
        self.error += known().map(|(x, y)| square(x - y)).sum::<f64>();
    }

    pub fn stats(&self) -> CodeStats {
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        CodeStats {
            data: self.data,
            nonzeros: share(self.nonzeros as f64, self.data as f64),
            active: share(self.nonzeros as f64, self.codes as f64),
            relative_error: share(self.error, self.energy).sqrt(),
            atoms: self.used.len(),
            atoms_in_use: self.used.iter().filter(|used| **used).count(),
            unreadable: 0,
        }
    }
}
