//! The dictionary behind drawn data.

use rand_distr::{Distribution, StandardNormal};

use crate::rng::{Stream, step_rng};

/// A dictionary `D*` that data are drawn from: standard normal atoms, scaled to unit norm.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownDictionary {
    values: Vec<f32>,
    shape: Vec<usize>,
    layout: Layout,
}

/// Where the values of an atom are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// In a column of a row-major matrix.
    Columns,
    /// One after the other.
    Contiguous,
}

impl KnownDictionary {
    /// A matrix `[dim, atoms]`, row-major, whose columns are the atoms.
    pub(crate) fn matrix(dim: usize, atoms: usize, seed: u64) -> Self {
        Self::draw(vec![dim, atoms], Layout::Columns, seed)
    }

    /// Filters `[atoms, channels, size]`.
    pub(crate) fn filters(atoms: usize, channels: usize, size: usize, seed: u64) -> Self {
        Self::draw(vec![atoms, channels, size], Layout::Contiguous, seed)
    }

    fn draw(shape: Vec<usize>, layout: Layout, seed: u64) -> Self {
        let values = normal(shape.iter().product(), Stream::Dictionary, seed);
        let mut dictionary = Self { values, shape, layout };
        dictionary.normalise();
        dictionary
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// `[dim, atoms]` of a matrix, `[atoms, channels, size]` of filters.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// A dictionary near this one, to start training from: the atoms of `D* + sd · N(0, 1)`, scaled to unit
    /// norm. `sd = 0` gives `D*` itself.
    #[must_use]
    pub fn perturbed(&self, sd: f32, seed: u64) -> Self {
        let noise = normal(self.values.len(), Stream::Perturbation, seed);
        let values = self.values.iter().zip(noise).map(|(d, noise)| d + sd * noise).collect();
        let mut near = Self { values, ..self.clone() };
        if sd != 0.0 {
            near.normalise();
        }
        near
    }

    fn normalise(&mut self) {
        match self.layout {
            Layout::Columns => normalise_columns(&mut self.values, self.shape[1]),
            // Filters are the columns of a matrix with one column, each.
            Layout::Contiguous => {
                let size = self.shape[1..].iter().product();
                self.values.chunks_exact_mut(size).for_each(|atom| normalise_columns(atom, 1));
            }
        }
    }
}

fn normal(count: usize, stream: Stream, seed: u64) -> Vec<f32> {
    StandardNormal.sample_iter(&mut step_rng(seed, stream, 0)).take(count).collect()
}

/// Scales the columns of a row-major matrix to unit length. A column of zeros stays.
fn normalise_columns(matrix: &mut [f32], columns: usize) {
    let mut squares = vec![0.0f64; columns];
    for row in matrix.chunks_exact(columns) {
        for (sum, &v) in squares.iter_mut().zip(row) {
            *sum += f64::from(v).powi(2);
        }
    }
    for row in matrix.chunks_exact_mut(columns) {
        for (v, &square) in row.iter_mut().zip(&squares) {
            if square > 0.0 {
                *v = (f64::from(*v) / square.sqrt()) as f32;
            }
        }
    }
}
