//! The layers of a pass through a matrix, backward.
//!
//! With `U` and `Y` the rows `u_t` and `y_t` of all layers and data, and `s = Σ u_t`, the gradient of the dictionary is
//! `α (xᵀ s − D (P + Pᵀ))` with `P = YᵀU`, or `α (xᵀ s − (Y Dᵀ)ᵀ U − (U Dᵀ)ᵀ Y)` without the Gram matrix, and the decoder's part. That of
//! the step size is `⟨x D, s⟩ − ⟨DᵀD, P⟩`.

#![expect(unsafe_code, reason = "launches without checks of indices")]

use std::ops::Range;

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{Shape, Slice};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::zeros_client;
use burn_cubecl::tensor::CubeTensor;

use crate::banks::Banks;
use crate::encoder::Wanted;
use crate::op::border::NetworkGradients;
use crate::op::cube::matrix::kernels::{Stored, ascend, store};
use crate::op::cube::matrix::pass::{MatrixPass, multiply, reshaped, transposed};
use crate::op::cube::matrix::tape::{MatrixTape, State};
use crate::op::cube::pass::argument;
use crate::settings::Shrinkage;

/// The gradients that the layers add to.
struct Work {
    /// The gradient in `z_T`, or `u_{t+1}`.
    from: CubeTensor,
    /// `u_{t+1} DᵀD`; `None` behind the last layer.
    products: Option<CubeTensor>,
    /// The part of the gradient in `z_t` that comes from `y_{t+1}`.
    carried: CubeTensor,
    /// `s`, `[b, p]`.
    total: CubeTensor,
    /// The gradient of the levels, `[T or 1, b, p]`.
    levels: Option<CubeTensor>,
    /// The sums that make the gradients of the dictionary and of the step size.
    sums: Option<Sums>,
}

/// Sums over layers and data.
enum Sums {
    /// `YᵀU`, `[p, p]`.
    Gram(Box<CubeTensor>),
    /// `(Y Dᵀ)ᵀ U` and `(U Dᵀ)ᵀ Y`, `[m, p]`.
    Dictionary(Box<[CubeTensor; 2]>),
}

impl MatrixTape {
    /// The gradients of the inputs from `gradient`, that of the output.
    pub fn backward(&self, gradient: CubeTensor, wanted: Wanted) -> NetworkGradients<CubeBackend> {
        let pass = &self.pass;
        let codes = pass.batch * pass.atoms;
        let part = |range: Range<usize>, width| {
            let part = CubeBackend::float_slice(gradient.clone(), &[Slice::from(range)]);
            reshaped(into_contiguous(part), [pass.batch, width])
        };
        let delta = part(0..codes, pass.atoms);
        let error = part(codes..codes + pass.batch * pass.dim, pass.dim);
        let decoder = multiply(transposed(error.clone()), self.code.clone());
        if pass.schedule.recorded == 0 {
            return pass.without_layers(decoder, wanted);
        }
        let delta =
            into_contiguous(CubeBackend::float_add(delta, multiply(error, pass.dictionary())));
        let mut work = pass.work(delta, wanted);
        for (segment, start) in pass.schedule.segments().into_iter().zip(&self.starts).rev() {
            let mut again = Vec::new();
            let codes = self.codes.as_ref().unwrap_or_else(|| {
                pass.run(&mut start.clone(), segment.clone(), Some(&mut again));
                &again
            });
            pass.back(&mut work, segment, start, codes);
        }
        pass.gradients(work, decoder, wanted)
    }
}

impl MatrixPass {
    /// A tensor of zeros without gaps between its rows.
    fn zeros<const D: usize>(&self, shape: [usize; D]) -> CubeTensor {
        let device = self.inputs.x.device.clone();
        let flat = Shape::new([shape.iter().product()]);
        reshaped(zeros_client(self.client().clone(), device, flat, self.numbers.tensors), shape)
    }

    /// Whether the gradient of the levels is added up: that of a hard threshold is zero.
    fn sums_levels(&self, wanted: Wanted) -> bool {
        wanted.encoder && self.schedule.shrinkage != Shrinkage::Hard
    }

    /// The gradients if no layer is recorded.
    fn without_layers(&self, decoder: CubeTensor, wanted: Wanted) -> NetworkGradients<CubeBackend> {
        NetworkGradients {
            x: wanted.data.then(|| self.zeros([self.batch, self.dim])),
            banks: Banks::tied(decoder),
            step: wanted.encoder.then(|| self.zeros([1])),
            levels: wanted.encoder.then(|| self.zeros(self.level_shape())),
        }
    }

    fn level_shape(&self) -> [usize; 3] {
        self.inputs.levels.shape().dims()
    }

    /// The state behind the last layer, with the gradient `delta` in the code.
    fn work(&self, delta: CubeTensor, wanted: Wanted) -> Work {
        let [layers, _, _] = self.level_shape();
        Work {
            from: delta,
            products: None,
            carried: match self.schedule.extrapolates() {
                true => self.zeros([self.batch, self.atoms]),
                false => self.spare.clone(),
            },
            total: self.zeros([self.batch, self.atoms]),
            levels: self.sums_levels(wanted).then(|| self.zeros([layers, self.batch, self.atoms])),
            sums: None,
        }
    }

    /// Takes a segment back. `codes` are `z_{t+1}` of its layers.
    fn back(&self, work: &mut Work, segment: Range<usize>, start: &State, codes: &[CubeTensor]) {
        let rows = segment.len() * self.batch;
        let (all_u, all_y) = (self.rows(rows), self.rows(rows));
        for t in segment.clone().rev() {
            let k = t - segment.start;
            let code = match k {
                0 => start.code.as_ref(),
                _ => Some(&codes[k - 1]),
            };
            let previous = match k {
                0 => start.previous.as_ref(),
                1 => start.code.as_ref(),
                _ => Some(&codes[k - 2]),
            };
            let u = self.ascend(work, &codes[k], t);
            self.store(work, [&u, &codes[k]], [code, previous], [&all_u, &all_y], t, k);
            if t > self.schedule.first_recorded() {
                work.products = Some(self.product(u.clone()));
                work.from = u;
            }
        }
        let sums = self.sums(all_u, all_y);
        work.sums = Some(match work.sums.take() {
            Some(before) => before.plus(sums),
            None => sums,
        });
    }

    /// `u_t`.
    fn ascend(&self, work: &Work, code: &CubeTensor, t: usize) -> CubeTensor {
        let u = self.rows(self.batch);
        // That of the layer behind this one.
        let momentum = match work.products.is_some() {
            true => self.schedule.weight(t + 1),
            false => 0.0,
        };
        let (cubes, dim) = self.grid();
        // SAFETY: a unit works on the vectors of one place, which all arrays that it reads or writes have.
        unsafe {
            ascend::launch_unchecked(
                self.client(),
                cubes,
                dim,
                self.width,
                argument(&work.from),
                argument(work.products.as_ref().unwrap_or(&self.spare)),
                argument(code),
                argument(&self.inputs.step),
                argument(&work.carried),
                argument(&u),
                self.numbers.scalar(momentum),
                work.products.is_none(),
                self.schedule.extrapolates(),
                self.numbers.arithmetic(),
            );
        }
        u
    }

    /// Stores `u_t` and `y_t` as the rows of layer `k` of a segment, and adds to the sums. `now` is `u_t` and `z_{t+1}`, `before` `z_t` and
    /// `z_{t−1}`.
    fn store(
        &self,
        work: &Work,
        now: [&CubeTensor; 2],
        before: [Option<&CubeTensor>; 2],
        all: [&CubeTensor; 2],
        t: usize,
        k: usize,
    ) {
        let momentum = self.schedule.weight(t);
        let [layers, _, _] = self.level_shape();
        let stored = Stored {
            origin: before[0].is_none(),
            extrapolates: momentum != 0.0,
            levels: work.levels.is_some(),
        };
        let (cubes, dim) = self.grid();
        let [code, previous] = before.map(|code| code.unwrap_or(&self.spare));
        // SAFETY: a unit works on the vectors of one place, which all arrays that it reads or writes have: the tall
        // matrices from layer `k` on, the levels from their row of layer `t` on.
        unsafe {
            store::launch_unchecked(
                self.client(),
                cubes,
                dim,
                self.width,
                argument(now[0]),
                argument(now[1]),
                argument(code),
                argument(previous),
                argument(all[0]),
                argument(all[1]),
                argument(&work.total),
                argument(work.levels.as_ref().unwrap_or(&self.spare)),
                self.numbers.scalar(momentum),
                k * self.vectors(),
                t.min(layers - 1) * self.vectors(),
                stored,
                self.numbers.arithmetic(),
            );
        }
    }

    /// The sums of a segment.
    fn sums(&self, u: CubeTensor, y: CubeTensor) -> Sums {
        if self.gram.is_some() {
            return Sums::Gram(Box::new(multiply(transposed(y), u)));
        }
        let d = || transposed(self.dictionary());
        let residuals = multiply(y.clone(), d());
        let responses = multiply(u.clone(), d());
        let sums = [multiply(transposed(residuals), u), multiply(transposed(responses), y)];
        Sums::Dictionary(Box::new(sums))
    }

    /// The gradients from the sums of the layers, and of the decoder.
    fn gradients(
        &self,
        work: Work,
        decoder: CubeTensor,
        wanted: Wanted,
    ) -> NetworkGradients<CubeBackend> {
        let sums = work.sums.expect("a recorded layer leaves sums");
        let step = reshaped(self.inputs.step.clone(), [1, 1]);
        let inner = |a, b| CubeBackend::float_sum(CubeBackend::float_mul(a, b));
        let of_step = wanted.encoder.then(|| {
            let curvature = match (&sums, &self.gram) {
                (Sums::Gram(outer), Some(gram)) => inner(gram.clone(), (**outer).clone()),
                (Sums::Gram(_), None) => unreachable!("sums of this form have a Gram matrix"),
                (Sums::Dictionary(sums), _) => inner(self.dictionary(), sums[0].clone()),
            };
            let correlated = inner(self.correlations.clone(), work.total.clone());
            reshaped(CubeBackend::float_sub(correlated, curvature), [1])
        });
        let curved = match sums {
            Sums::Gram(outer) => {
                let both = CubeBackend::float_add((*outer).clone(), transposed(*outer));
                multiply(self.dictionary(), both)
            }
            Sums::Dictionary(sums) => {
                let [first, second] = *sums;
                CubeBackend::float_add(first, second)
            }
        };
        let correlated = multiply(transposed(self.inputs.x.clone()), work.total.clone());
        let layers = CubeBackend::float_sub(correlated, curved);
        let layers = CubeBackend::float_mul(layers, step.clone());
        NetworkGradients {
            x: wanted.data.then(|| {
                let moved = multiply(work.total.clone(), transposed(self.dictionary()));
                CubeBackend::float_mul(moved, step)
            }),
            banks: Banks::tied(CubeBackend::float_add(decoder, layers)),
            step: of_step,
            levels: wanted.encoder.then(|| match work.levels {
                Some(levels) => self.level_gradient(levels),
                None => self.zeros(self.level_shape()),
            }),
        }
    }

    /// The sums over the axes that the levels share.
    fn level_gradient(&self, mut sum: CubeTensor) -> CubeTensor {
        let shape = self.level_shape();
        for axis in [1, 2] {
            if shape[axis] == 1 {
                sum = CubeBackend::float_sum_dim(sum, axis);
            }
        }
        sum
    }
}

impl Sums {
    fn plus(self, other: Self) -> Self {
        let add = CubeBackend::float_add;
        match (self, other) {
            (Sums::Gram(a), Sums::Gram(b)) => Sums::Gram(Box::new(add(*a, *b))),
            (Sums::Dictionary(a), Sums::Dictionary(b)) => {
                let ([a, b], [c, d]) = (*a, *b);
                Sums::Dictionary(Box::new([add(a, c), add(b, d)]))
            }
            _ => unreachable!("a pass has sums of one form"),
        }
    }
}
