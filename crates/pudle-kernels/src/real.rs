//! `f32` and `f64`, one vector of lanes at a time.

use std::fmt::Debug;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use pulp::Simd;

/// A floating-point number that the kernels compute with: `f32` or `f64`.
pub trait Real:
    bytemuck::Pod
    + Debug
    + Default
    + PartialOrd
    + Send
    + Sync
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + Sum
{
    /// Numbers in a block of 64 bytes, a whole number of vectors on every architecture.
    const BLOCK: usize = 64 / size_of::<Self>();
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;

    /// A vector of numbers.
    type Lanes<S: Simd>: bytemuck::Pod + Debug + Send + Sync;

    /// The nearest number to `x`.
    fn from_f64(x: f64) -> Self;
    /// The number, widened.
    fn to_f64(self) -> f64;
    /// −1, 0 or 1.
    fn signum0(self) -> Self {
        if self > Self::ZERO {
            Self::ONE
        } else if self < Self::ZERO {
            -Self::ONE
        } else {
            Self::ZERO
        }
    }

    /// Numbers in a vector.
    fn lanes<S: Simd>() -> usize {
        size_of::<Self::Lanes<S>>() / size_of::<Self>()
    }
    /// The whole vectors at the start of a slice; the rest of it is left out.
    fn vectors<S: Simd>(slice: &[Self]) -> &[Self::Lanes<S>];
    /// The whole vectors at the start of a slice; the rest of it is left out.
    fn vectors_mut<S: Simd>(slice: &mut [Self]) -> &mut [Self::Lanes<S>];
    /// The vector that starts at `start`, if `slice` holds all of it.
    #[inline(always)]
    fn vector_at<S: Simd>(slice: &[Self], start: usize) -> Option<&Self::Lanes<S>> {
        Self::vectors::<S>(slice.get(start..start + Self::lanes::<S>())?).first()
    }
    /// The vector that starts at `start`, if `slice` holds all of it.
    #[inline(always)]
    fn vector_at_mut<S: Simd>(slice: &mut [Self], start: usize) -> Option<&mut Self::Lanes<S>> {
        Self::vectors_mut::<S>(slice.get_mut(start..start + Self::lanes::<S>())?).first_mut()
    }
    /// `x` in every lane.
    fn splat<S: Simd>(simd: S, x: Self) -> Self::Lanes<S>;
    /// `a + b`.
    fn plus<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    /// `a − b`.
    fn minus<S: Simd>(simd: S, a: Self::Lanes<S>, b: Self::Lanes<S>) -> Self::Lanes<S>;
    /// `a b + c`, rounded once if the machine can.
    fn mul_add<S: Simd>(
        simd: S,
        a: Self::Lanes<S>,
        b: Self::Lanes<S>,
        c: Self::Lanes<S>,
    ) -> Self::Lanes<S>;
    /// `v` where `test ≤ bound` does not hold (NaN included), 0 elsewhere.
    fn zero_where_le<S: Simd>(
        simd: S,
        test: Self::Lanes<S>,
        bound: Self::Lanes<S>,
        v: Self::Lanes<S>,
    ) -> Self::Lanes<S>;
    /// `v` where `test` is not 0, 0 elsewhere.
    fn zero_where_zero<S: Simd>(simd: S, test: Self::Lanes<S>, v: Self::Lanes<S>)
    -> Self::Lanes<S>;
    /// `|a|`.
    fn magnitude<S: Simd>(simd: S, a: Self::Lanes<S>) -> Self::Lanes<S>;
    /// `a` limited to `[−bound, bound]`.
    fn clamp<S: Simd>(simd: S, a: Self::Lanes<S>, bound: Self::Lanes<S>) -> Self::Lanes<S>;
    /// Sum of the lanes.
    fn total<S: Simd>(simd: S, a: Self::Lanes<S>) -> Self;
}

macro_rules! real {
    ($real:ident, $lanes:ident, $vectors:ident, $vectors_mut:ident,
     $splat:ident, $add:ident, $sub:ident, $fma:ident, $le:ident, $select:ident, $equal:ident,
     $min:ident, $max:ident, $sum:ident) => {
        impl Real for $real {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;

            type Lanes<S: Simd> = S::$lanes;

            fn from_f64(x: f64) -> Self {
                x as Self
            }
            fn to_f64(self) -> f64 {
                f64::from(self)
            }

            #[inline(always)]
            fn vectors<S: Simd>(slice: &[Self]) -> &[S::$lanes] {
                S::$vectors(slice).0
            }
            #[inline(always)]
            fn vectors_mut<S: Simd>(slice: &mut [Self]) -> &mut [S::$lanes] {
                S::$vectors_mut(slice).0
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, x: Self) -> S::$lanes {
                simd.$splat(x)
            }
            #[inline(always)]
            fn plus<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$add(a, b)
            }
            #[inline(always)]
            fn minus<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes) -> S::$lanes {
                simd.$sub(a, b)
            }
            #[inline(always)]
            fn mul_add<S: Simd>(simd: S, a: S::$lanes, b: S::$lanes, c: S::$lanes) -> S::$lanes {
                simd.$fma(a, b, c)
            }
            #[inline(always)]
            fn zero_where_le<S: Simd>(
                simd: S,
                test: S::$lanes,
                bound: S::$lanes,
                v: S::$lanes,
            ) -> S::$lanes {
                simd.$select(simd.$le(test, bound), simd.$splat(0.0), v)
            }
            #[inline(always)]
            fn zero_where_zero<S: Simd>(simd: S, test: S::$lanes, v: S::$lanes) -> S::$lanes {
                let zero = simd.$splat(0.0);
                simd.$select(simd.$equal(test, zero), zero, v)
            }
            #[inline(always)]
            fn magnitude<S: Simd>(simd: S, a: S::$lanes) -> S::$lanes {
                simd.$max(a, simd.$sub(simd.$splat(0.0), a))
            }
            #[inline(always)]
            fn clamp<S: Simd>(simd: S, a: S::$lanes, bound: S::$lanes) -> S::$lanes {
                let lower = simd.$sub(simd.$splat(0.0), bound);
                simd.$min(simd.$max(a, lower), bound)
            }
            #[inline(always)]
            fn total<S: Simd>(simd: S, a: S::$lanes) -> Self {
                simd.$sum(a)
            }
        }
    };
}

real!(
    f32,
    f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    splat_f32s,
    add_f32s,
    sub_f32s,
    mul_add_e_f32s,
    less_than_or_equal_f32s,
    select_f32s,
    equal_f32s,
    min_f32s,
    max_f32s,
    reduce_sum_f32s
);
real!(
    f64,
    f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    splat_f64s,
    add_f64s,
    sub_f64s,
    mul_add_e_f64s,
    less_than_or_equal_f64s,
    select_f64s,
    equal_f64s,
    min_f64s,
    max_f64s,
    reduce_sum_f64s
);
