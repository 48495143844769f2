//! Files from codes.

use std::path::{Component, Path, PathBuf};

use pudle_data::{Image, Matrix, Missing, Photo, Rows};

use super::about::About;
use super::coder::Coder;
use super::files::{Visit, go_on, whole};
use super::input::Arrays;
use super::writer::{write_header, write_numbers};
use crate::error::{Result, TrainError};
use crate::files::create_dir;
use crate::import::archive_text;

/// Decodes a file of codes, dense or sparse, and writes the data `D z` to `output`, on the scale before normalisation.
///
/// A file of the extension `.npy` is an array of the data; other extensions are those of a picture. The codes of a folder of
/// pictures give PNG files in the folder `output`.
///
/// `size` is the length of a signal, or height and width of a picture, if the file of codes does not say them. Without it, all
/// that the atoms cover is written.
///
/// # Errors
/// Returns an error if the codes cannot be read or do not fit the atoms, or if a file cannot be written.
pub fn decode_file(
    coder: &Coder,
    codes: &Path,
    size: Option<&[usize]>,
    output: &Path,
    visit: Visit<'_>,
) -> Result<()> {
    let about = match archive_text(codes, crate::network_file::KEY)? {
        Some(text) => Some(About::parse(&text, codes)?),
        None => None,
    };
    if let Some(about) = about.as_ref().filter(|about| !about.pictures.is_empty()) {
        if size.is_some() {
            return Err(TrainError::Unsuitable(
                "the file of codes says the size of its pictures".into(),
            ));
        }
        return decode_pictures(coder, codes, about, output, visit);
    }
    let stored = Stored::open(coder, codes, about, size)?;
    if is_array(output) {
        return stored.write_array(coder, output, visit);
    }
    if coder.axes() < 3 || !stored.arrays.single {
        let what = if coder.axes() < 3 { "data" } else { "several pictures" };
        let reason = format!("{what} are written as .npy");
        return Err(TrainError::Unsuitable(format!("{}: {reason}", output.display())));
    }
    Photo::check_path(output)?;
    stored.batches(coder, |_, data| write_picture(&stored.datum, data, output))
}

fn is_array(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("npy"))
}

fn write_picture(shape: &[usize], data: &[f32], output: &Path) -> Result<()> {
    let image = Image::new(shape[0], shape[1], shape[2], data.to_vec())?;
    Ok(image.clip().write(output)?)
}

/// Codes in a file.
struct Stored {
    arrays: Arrays,
    /// Shape of the data.
    datum: Vec<usize>,
}

impl Stored {
    fn open(
        coder: &Coder,
        path: &Path,
        about: Option<About>,
        size: Option<&[usize]>,
    ) -> Result<Self> {
        let matrix = Matrix::open(path, None, false)?;
        let in_file = |error| TrainError::in_file(path, error);
        let (arrays, datum) = match about {
            Some(about) if coder.axes() > 1 => {
                let numbers: usize = about.code.iter().product();
                let count = if about.single { 1 } else { matrix.len() };
                if about.code.is_empty() || count * numbers != matrix.len() * matrix.width() {
                    return Err(TrainError::weights(
                        path,
                        "its description does not fit its codes",
                    ));
                }
                let arrays = Arrays { matrix, count, single: about.single, datum: about.code };
                (arrays, Some(about.datum))
            }
            _ => {
                let arrays = Arrays::of_codes(matrix, coder.axes())
                    .map_err(|reason| TrainError::weights(path, reason))?;
                (arrays, None)
            }
        };
        let covered = coder.datum_shape(&arrays.datum).map_err(in_file)?;
        let datum = match (datum, size) {
            (Some(datum), None) => datum,
            (_, None) => covered,
            (_, Some(size)) => [&covered[..1], size].concat(),
        };
        if coder.code_shape(&datum).map_err(in_file)? != arrays.datum {
            let reason = format!(
                "codes of shape {:?} are not those of data of shape {datum:?}",
                arrays.datum
            );
            return Err(TrainError::weights(path, reason));
        }
        Ok(Self { arrays, datum })
    }

    /// Decodes a batch at a time.
    fn batches(
        &self,
        coder: &Coder,
        mut visit: impl FnMut(usize, &[f32]) -> Result<()>,
    ) -> Result<()> {
        let numbers = self.datum.iter().product();
        self.arrays.batches(numbers, Missing::Error, |first, code, shape| {
            visit(first + shape[0], &coder.decode(code, shape, &self.datum)?)
        })
    }

    fn write_array(&self, coder: &Coder, output: &Path, visit: Visit<'_>) -> Result<()> {
        let lead = (!self.arrays.single).then_some(self.arrays.count);
        let shape: Vec<u64> = lead.iter().chain(&self.datum).map(|axis| *axis as u64).collect();
        whole(output, |file| {
            write_header::<f32>(file, &shape).map_err(TrainError::io(output))?;
            self.batches(coder, |done, data| {
                write_numbers(file, data).map_err(TrainError::io(output))?;
                go_on(visit, done, self.arrays.count)
            })
        })
    }
}

/// Writes each picture of an archive as PNG.
fn decode_pictures(
    coder: &Coder,
    codes: &Path,
    about: &About,
    output: &Path,
    visit: Visit<'_>,
) -> Result<()> {
    if output.exists() && !output.is_dir() {
        let reason = "not a folder, but the codes of a folder of pictures need one";
        return Err(TrainError::weights(output, reason));
    }
    let targets = targets(about, codes, output)?;
    for (k, (name, shape, target)) in targets.iter().enumerate() {
        let matrix = Matrix::open(codes, Some(name), false)?;
        let code = coder.code_shape(shape).map_err(|error| TrainError::in_file(codes, error))?;
        let whole = [&[matrix.len()], &matrix.datum_shape()[..]].concat();
        if whole != code {
            let reason = format!(
                "{name:?} has shape {whole:?}, but codes of its picture have shape {code:?}"
            );
            return Err(TrainError::weights(codes, reason));
        }
        let mut values = vec![0.0; code.iter().product()];
        matrix.read(0, &mut values)?;
        for (row, values) in values.chunks_exact(matrix.width()).enumerate() {
            matrix.check(row, values, Missing::Error)?;
        }
        let data = coder.decode(&values, &[&[1], &code[..]].concat(), shape)?;
        create_dir(target.parent().unwrap_or(output))?;
        write_picture(shape, &data, target)?;
        go_on(visit, k + 1, targets.len())?;
    }
    Ok(())
}

type Target<'a> = (&'a str, &'a [usize], PathBuf);

/// The file of each picture, below the folder `output`.
fn targets<'a>(about: &'a About, codes: &Path, output: &Path) -> Result<Vec<Target<'a>>> {
    let mut targets: Vec<Target<'a>> = Vec::new();
    for (name, shape) in &about.pictures {
        let below = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !below || shape.len() != 3 {
            return Err(TrainError::weights(
                codes,
                format!("{name:?} is not the name of a picture"),
            ));
        }
        let target = output.join(name).with_extension("png");
        if let Some((other, ..)) = targets.iter().find(|(_, _, known)| *known == target) {
            let reason =
                format!("both {other:?} and {name:?} would be written to {}", target.display());
            return Err(TrainError::weights(codes, reason));
        }
        targets.push((name, shape, target));
    }
    Ok(targets)
}
