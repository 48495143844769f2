//! The two forms of a pass, and which one has less work.

use crate::dense::gram::MAX_ATOMS;

/// How the layers of a pass multiply by the dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// By `DᵀD`, which is multiplied out once.
    Gram,
    /// By `D` and `Dᵀ`, by way of a residual.
    Residual,
}

impl Form {
    /// The form with less work for `atoms` atoms, `batch` data and `layers` layers.
    ///
    /// Multiplications, each divided by `m p`, so that the dimension `m` of the data does not matter:
    ///
    /// | | Gram | residual |
    /// | --- | --- | --- |
    /// | forward | `p/2 + 2b`: `DᵀD`, correlations, decoder | `T b`: `Dᵀ r` in each layer |
    /// | backward | `p + 3b`: gradients of `DᵀD`, of correlations and of the decoder | `T b / 2` |
    ///
    /// Sums over supports are left out, but for the backward pass in residual form, which is nothing else: it
    /// took about half as long as the dense products of its layers, at p = 1500 on a Zen 4 core.
    ///
    /// A forward pass must not depend on which layers are recorded. So the rule counts one forward pass alone, and
    /// one with a backward pass through all layers: residual if `5/2 T b < 2 p + 7 b`. With few atoms, everything
    /// of the Gram form fits a cache, and it is faster than these counts say: it is always chosen.
    pub fn with_less_work(atoms: usize, batch: usize, layers: usize) -> Self {
        let residual = atoms > MAX_ATOMS && 5 * layers * batch < 4 * atoms + 14 * batch;
        if residual { Form::Residual } else { Form::Gram }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_that_with_less_work() {
        // Forming a large Gram matrix is more than ten layers, and less than a hundred.
        assert_eq!(Form::with_less_work(1500, 50, 10), Form::Residual);
        assert_eq!(Form::with_less_work(1500, 50, 100), Form::Gram);
        assert_eq!(Form::with_less_work(1500, 1, 100), Form::Residual);
        // With few atoms or many data, it pays soon.
        assert_eq!(Form::with_less_work(100, 1000, 10), Form::Gram);
        assert_eq!(Form::with_less_work(100, 1, 1), Form::Gram);
        assert_eq!(Form::with_less_work(1500, 10_000, 10), Form::Gram);
    }
}
