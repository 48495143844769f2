//! The gradients of the inputs from the sums that the layers leave.

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{Shape, Slice};
use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;

use crate::banks::{Banks, Tying};
use crate::encoder::Wanted;
use crate::op::border::NetworkGradients;
use crate::op::cube::backward::Work;
use crate::op::cube::outer::{Sums, gather};
use crate::op::cube::pass::{Pass, argument, grid};

impl Pass {
    /// The gradients from the sums of the layers, if any layer is recorded, and of the decoder.
    pub fn gradients(
        &self,
        work: Option<&Work>,
        decoder: &CubeTensor,
        tying: Tying,
        wanted: Wanted,
    ) -> NetworkGradients<CubeBackend> {
        let sums =
            |analysis, synthesis, decoder| Sums { analysis, synthesis, decoder, scaled: true };
        let bank = |sums| self.bank_gradient(work, decoder, sums);
        let banks = match tying {
            Tying::Tied => Banks::tied(bank(sums(true, true, true))),
            Tying::Decoder => Banks {
                analysis: None,
                synthesis: bank(sums(true, true, false)),
                decoder: Some(bank(sums(false, false, true))),
            },
            Tying::Untied => Banks {
                analysis: Some(bank(sums(true, false, false))),
                synthesis: bank(sums(false, true, false)),
                decoder: Some(bank(sums(false, false, true))),
            },
        };
        let x = wanted.data.then(|| match work {
            Some(work) => reshaped(work.data.clone(), self.inputs.x.shape()),
            None => self.zeros(self.inputs.x.shape()),
        });
        let step = wanted.encoder.then(|| match work {
            Some(work) => self.step_gradient(work, decoder),
            None => self.zeros(Shape::new([1])),
        });
        let levels = wanted.encoder.then(|| match work {
            Some(work) if self.sums_levels(wanted) => self.level_gradient(work),
            _ => self.zeros(self.inputs.levels.shape()),
        });
        NetworkGradients { x, banks, step, levels }
    }

    /// The gradient of a bank, from sums of products.
    fn bank_gradient(&self, work: Option<&Work>, decoder: &CubeTensor, sums: Sums) -> CubeTensor {
        let layout = &self.layout;
        let shape = self.inputs.banks.synthesis.shape();
        let (layers, sums) = match work {
            Some(work) => (&work.layers, sums),
            None => (&self.spare, Sums { analysis: false, synthesis: false, ..sums }),
        };
        let out = self.empty(shape.num_elements());
        let (cubes, dim) = grid(shape.num_elements(), 1);
        gather::launch(
            self.client(),
            cubes,
            dim,
            argument(layers),
            argument(decoder),
            argument(&self.inputs.step),
            argument(&out),
            layout.atoms,
            layout.padded_atoms(),
            layout.filters.taps(),
            self.parts()[0],
            sums,
            self.numbers.arithmetic(),
        );
        reshaped(out, shape)
    }

    /// `−⟨A, Σ r_t ⊗ u_t⟩`.
    fn step_gradient(&self, work: &Work, decoder: &CubeTensor) -> CubeTensor {
        let sums = Sums { analysis: true, synthesis: false, decoder: false, scaled: false };
        let products = self.bank_gradient(Some(work), decoder, sums);
        let analysis = self.inputs.banks.for_analysis().clone();
        let sum = CubeBackend::float_sum(CubeBackend::float_mul(analysis, products));
        reshaped(sum, Shape::new([1]))
    }

    /// The sums of `level_sums` over the axes that the levels share.
    fn level_gradient(&self, work: &Work) -> CubeTensor {
        let [layers, data, atoms] = self.level_shape();
        let batch = self.layout.batch;
        let shape = [layers, batch, self.chunks(), self.layout.padded_atoms()];
        let mut sum =
            CubeBackend::float_sum_dim(reshaped(work.levels.clone(), Shape::new(shape)), 2);
        if data == 1 {
            sum = CubeBackend::float_sum_dim(sum, 1);
        }
        // The codes of atoms that there are not are zero.
        if atoms == 1 {
            sum = CubeBackend::float_sum_dim(sum, 3);
        } else {
            let all = Slice::from(..);
            let some = Slice::from(0..self.layout.atoms);
            sum = CubeBackend::float_slice(sum, &[all, all, all, some]);
        }
        reshaped(sum, self.inputs.levels.shape())
    }
}

fn reshaped(tensor: CubeTensor, shape: Shape) -> CubeTensor {
    CubeBackend::float_reshape(tensor, shape)
}
