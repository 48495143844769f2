//! The numbers that a pass computes with and stores.

use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::DType;
use cubecl::ir::ElemType;
use cubecl::prelude::InputScalar;

/// The types of numbers of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    /// Those of its tensors and of its arithmetic: `f32` or `f64`.
    pub tensors: DType,
    /// Those of codes, images and banks between launches: the same, or `f16`.
    pub stored: DType,
}

impl Numbers {
    /// Tensors of a type, and 16 bits between launches if `half`.
    pub fn new(tensors: DType, half: bool) -> Self {
        Self { tensors, stored: if half { DType::F16 } else { tensors } }
    }

    /// The type of the arithmetic, for a kernel.
    pub fn arithmetic(self) -> ElemType {
        dtype_to_storage_type(self.tensors)
    }

    /// Both types, for a kernel.
    pub fn types(self) -> [ElemType; 2] {
        [self.arithmetic(), dtype_to_storage_type(self.stored)]
    }

    /// A number for a kernel.
    pub fn scalar(self, value: f64) -> InputScalar {
        InputScalar::new(value, self.arithmetic())
    }
}
