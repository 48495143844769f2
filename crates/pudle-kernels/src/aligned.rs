//! Memory aligned to cache lines.

use aligned_vec::{AVec, ConstAlign};

use crate::real::Real;

/// Numbers that start on a cache line.
pub(crate) type Aligned<T> = AVec<T, ConstAlign<64>>;

/// `length` zeros.
pub(crate) fn zeros<T: Real>(length: usize) -> Aligned<T> {
    aligned_vec::avec![[64]| T::ZERO; length]
}
