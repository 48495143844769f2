//! Codes of files, and files from codes.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use pudle_data::{Image, WriteSeek, write_whole_with};

use super::about::About;
use super::coder::{Coded, Coder};
use super::input::{Arrays, DataOptions, Input, picture};
use super::stats::{CodeStats, Sums};
use super::writer::{Archive, CodeSink, DenseSink, SparseSink, write_header, write_numbers};
use crate::error::{Result, TrainError};

/// Is called after every batch with the number of data that are done, and of all; [`ControlFlow::Break`] ends the work, and
/// nothing is written.
pub type Visit<'a> = &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>;

/// The kind of a file of codes, by its extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Dense,
    Sparse,
}

fn kind(path: &Path) -> Result<Kind> {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    match extension.to_ascii_lowercase().as_str() {
        "npy" => Ok(Kind::Dense),
        "npz" => Ok(Kind::Sparse),
        _ => {
            let reason = "codes are written as .npy (dense) or .npz (sparse)";
            Err(TrainError::Unsuitable(format!("{}: {reason}", path.display())))
        }
    }
}

/// Encodes the data of a file or folder, and writes the codes to `output`.
///
/// A file of the extension `.npy` is a dense array, `[b, p]`, `[b, p, n']` or `[b, p, H', W']`; the first axis is missing for one
/// signal or picture. A file of the extension `.npz` is a sparse matrix in CSR format as `scipy.sparse.load_npz` reads it: a
/// row for each datum, or for each atom if the file holds one signal or picture. For a folder of pictures it holds a dense
/// array for each of them instead, of the name of its file. Pictures whose headers cannot be read are left out and counted.
///
/// # Errors
/// Returns an error if the data cannot be read or do not fit the atoms, or if the file cannot be written. There is no file
/// then.
pub fn encode_file(
    coder: &Coder,
    data: &Path,
    options: DataOptions<'_>,
    output: &Path,
    visit: Visit<'_>,
) -> Result<CodeStats> {
    let kind = kind(output)?;
    let mut sums = Sums::new(coder.atoms());
    match (Input::open(data, options, coder)?, kind) {
        (Input::Arrays(arrays), Kind::Dense) => {
            let code = coder.code_shape(&arrays.datum)?;
            whole(output, |file| {
                write_header::<f32>(file, &full(&code, arrays.count, arrays.single))
                    .map_err(TrainError::io(output))?;
                encode_arrays(coder, &arrays, &mut DenseSink(file), output, &mut sums, visit)
            })?;
        }
        (Input::Arrays(arrays), Kind::Sparse) => {
            let about = About {
                code: coder.code_shape(&arrays.datum)?,
                datum: arrays.datum.clone(),
                ..About::new(arrays.single)
            };
            sparse(output, &about, |sink| {
                encode_arrays(coder, &arrays, sink, output, &mut sums, visit)
            })?;
        }
        (Input::Picture(path), kind) => encode_picture(coder, &path, output, kind, &mut sums)?,
        (Input::Pictures(folder), Kind::Sparse) => {
            let pictures = Pictures { folder: data, paths: folder.paths() };
            encode_pictures(coder, pictures, output, &mut sums, visit)?;
            return Ok(CodeStats { unreadable: folder.skipped(), ..sums.stats() });
        }
        (Input::Pictures(..), Kind::Dense) => {
            let reason = "an .npy file holds one array; codes of a folder of pictures need .npz";
            return Err(TrainError::Unsuitable(format!("{}: {reason}", output.display())));
        }
    }
    Ok(sums.stats())
}

/// The shape of a dense array of codes.
fn full(code: &[usize], count: usize, single: bool) -> Vec<u64> {
    let lead = (!single).then_some(count);
    lead.iter().chain(code).map(|axis| *axis as u64).collect()
}

fn encode_arrays(
    coder: &Coder,
    arrays: &Arrays,
    sink: &mut dyn CodeSink,
    output: &Path,
    sums: &mut Sums,
    visit: Visit<'_>,
) -> Result<()> {
    let codes = coder.code_shape(&arrays.datum)?.iter().product();
    arrays.batches(codes, coder.missing(), |first, data, shape| {
        let coded = coder.encode(data, shape)?;
        sums.add(shape[0], data, &coded.code, &coded.reconstruction);
        sink.put(&coded.code).map_err(TrainError::io(output))?;
        go_on(visit, first + shape[0], arrays.count)
    })
}

fn encode_picture(
    coder: &Coder,
    path: &Path,
    output: &Path,
    kind: Kind,
    sums: &mut Sums,
) -> Result<()> {
    let (image, coded) = coded_picture(coder, path, sums)?;
    let code = coded.shape[1..].to_vec();
    match kind {
        Kind::Dense => whole(output, |file| {
            write_header::<f32>(file, &full(&code, 1, true))
                .and_then(|()| write_numbers(file, &coded.code))
                .map_err(TrainError::io(output))
        }),
        Kind::Sparse => {
            let about = About { code, datum: image.shape().to_vec(), ..About::new(true) };
            sparse(output, &about, |sink| sink.put(&coded.code).map_err(TrainError::io(output)))
        }
    }
}

/// A folder and pictures in it.
#[derive(Clone, Copy)]
struct Pictures<'a> {
    folder: &'a Path,
    paths: &'a [PathBuf],
}

fn encode_pictures(
    coder: &Coder,
    Pictures { folder, paths }: Pictures<'_>,
    output: &Path,
    sums: &mut Sums,
    visit: Visit<'_>,
) -> Result<()> {
    whole(output, |file| {
        let mut about = About::new(false);
        let mut archive = Archive::new(file);
        for (k, path) in paths.iter().enumerate() {
            let (image, coded) = coded_picture(coder, path, sums)?;
            let name =
                path.strip_prefix(folder).unwrap_or(path).to_string_lossy().replace('\\', "/");
            let shape = full(&coded.shape[1..], 1, true);
            archive.numbers(&name, &shape, &coded.code).map_err(TrainError::io(output))?;
            about.pictures.insert(name, image.shape().to_vec());
            go_on(visit, k + 1, paths.len())?;
        }
        archive.text(crate::network_file::KEY, &about.to_json()).map_err(TrainError::io(output))?;
        archive.finish().map_err(TrainError::io(output))
    })
}

/// A picture with its codes.
fn coded_picture(coder: &Coder, path: &Path, sums: &mut Sums) -> Result<(Image, Coded)> {
    let image = picture(path, coder.channels())?;
    let shape = [&[1], &image.shape()[..]].concat();
    let coded =
        coder.encode(&image.data, &shape).map_err(|error| TrainError::in_file(path, error))?;
    sums.add(1, &image.data, &coded.code, &coded.reconstruction);
    Ok((image, coded))
}

/// Writes a sparse matrix. A row is a datum; or an atom, if there is one datum.
fn sparse(
    output: &Path,
    about: &About,
    put: impl FnOnce(&mut SparseSink) -> Result<()>,
) -> Result<()> {
    let axes = if about.single { &about.code[1..] } else { &about.code[..] };
    let folder =
        output.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    let mut sink =
        SparseSink::new(folder, axes.iter().product()).map_err(TrainError::io(output))?;
    put(&mut sink)?;
    write_whole_with(output, |file| sink.finish(file, &about.to_json()))
        .map_err(TrainError::io(output))
}

/// Writes a file whole or not at all, by work whose errors are not only those of writing.
pub(super) fn whole(
    path: &Path,
    write: impl FnOnce(&mut dyn WriteSeek) -> Result<()>,
) -> Result<()> {
    let mut failed = None;
    let written = write_whole_with(path, |file| {
        write(file).map_err(|error| {
            failed = Some(error);
            io::Error::other("the work before failed")
        })
    });
    written.map_err(|error| failed.unwrap_or_else(|| TrainError::io(path)(error)))
}

/// Tells how far the work is, and returns an error if it is to end.
pub(super) fn go_on(visit: Visit<'_>, done: usize, all: usize) -> Result<()> {
    match visit(done as u64, all as u64) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(TrainError::Interrupted),
    }
}
