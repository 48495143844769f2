//! What client and worker agree about.

use burn::tensor::Shape;

use crate::banks::Banks;
use crate::settings::Problem;

/// Names of the two operations. Their version is that of the meaning of their integers and tensors.
pub const FORWARD: &str = "pudle::forward/2";
pub const BACKWARD: &str = "pudle::backward/2";

/// How many numbers the codes of data of shape `x` are.
pub fn codes(x: &Shape, bank: &Shape, problem: Problem) -> usize {
    let batch = x[0];
    match problem {
        Problem::Dense { .. } => batch * bank[1],
        Problem::Conv(geometry) => {
            let [rows, columns] = geometry.positions();
            batch * geometry.atoms * rows * columns
        }
    }
}

/// The gradients of a backward pass in the order of a message.
pub fn gradients_in_order<T>(banks: Banks<T>, rest: [Option<T>; 3]) -> Vec<T> {
    let Banks { analysis, synthesis, decoder } = banks;
    let banks = [analysis, Some(synthesis), decoder];
    banks.into_iter().chain(rest).flatten().collect()
}
