//! Learns a dictionary from the rows of a table, and writes their codes.
//!
//! ```text
//! cargo build --release --workspace
//! target/release/own-data table.csv 20 0.1 model
//! ```
//!
//! The table may also be an `.npy`, `.npz` or safetensors file, or a folder of such files.

use std::error::Error;
use std::path::Path;

use pudle_core::Backend;
use pudle_data::{Matrix, Normalize, Rows};
use pudle_train::{Coder, DictionaryLearning};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [table, atoms, lambda, output] = &arguments[..] else {
        return Err("usage: own-data TABLE ATOMS LAMBDA DIR".into());
    };
    let table = Matrix::open(Path::new(table), None, false)?;
    let mut first = vec![0.0; table.width()];
    table.read(0, &mut first)?;
    println!("{}", table.describe());

    // The mean of every column is subtracted, and each is divided by its standard deviation.
    let learning = DictionaryLearning {
        normalize: Normalize::CenterScale,
        ..DictionaryLearning::new(atoms.parse()?, lambda.parse()?)
    };
    let checkpoint = learning.fit_matrix(table)?;
    // `pudle encode` and `pudle export` take this folder.
    checkpoint.write(Path::new(output))?;

    // Rows in memory are slices, vectors or arrays.
    let coder = Coder::new(checkpoint, &Backend::default().device()?)?;
    let codes = coder.encode_rows(&[&first])?;
    let decoded = coder.decode_rows(&codes)?;
    let used = codes[0].iter().filter(|value| **value != 0.0).count();
    println!("the first row uses {used} of {} atoms", coder.atoms());
    println!("row     {:.3?}", &first[..first.len().min(6)]);
    println!("decoded {:.3?}", &decoded[0][..first.len().min(6)]);
    println!("wrote {output}");
    Ok(())
}
