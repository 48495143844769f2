//! Files of codes: dense as an array of NumPy, or sparse as SciPy saves it.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use npyz::{AutoSerialize, DType, TypeStr, WriteOptions, WriterBuilder};
use pudle_data::WriteSeek;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Takes codes one after the other.
pub(super) trait CodeSink {
    /// Appends numbers of the codes, in C order.
    fn put(&mut self, values: &[f32]) -> io::Result<()>;
}

/// Writes the header of an array of this shape. Its numbers follow.
pub(super) fn write_header<T: AutoSerialize>(
    file: &mut (impl Write + ?Sized),
    shape: &[u64],
) -> io::Result<()> {
    let dtype = T::default_dtype();
    let options = WriteOptions::new_header_only().dtype(dtype).shape(shape);
    options.writer(file).write_header_only().map(|_| ())
}

/// Writes numbers as NumPy has them, the first byte the lowest.
pub(super) fn write_numbers(file: &mut (impl Write + ?Sized), values: &[f32]) -> io::Result<()> {
    let mut bytes = [0; 1 << 14];
    for part in values.chunks(bytes.len() / 4) {
        for (bytes, value) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(part) {
            *bytes = value.to_le_bytes();
        }
        file.write_all(&bytes[..4 * part.len()])?;
    }
    Ok(())
}

/// One array, or one member of an archive. The header is written before.
pub(super) struct DenseSink<'a, W: Write + ?Sized>(pub &'a mut W);

impl<W: Write + ?Sized> CodeSink for DenseSink<'_, W> {
    fn put(&mut self, values: &[f32]) -> io::Result<()> {
        write_numbers(self.0, values)
    }
}

/// A sparse matrix in CSR format. Its parts wait in temporary files without a name, in the folder of the result, until their
/// lengths are known.
pub(super) struct SparseSink {
    width: usize,
    /// Numbers of the row so far.
    column: usize,
    rows: u64,
    count: u64,
    values: BufWriter<File>,
    /// Columns, four bytes each, or eight where there are more than 2³¹ of them.
    columns: BufWriter<File>,
    /// Ends of the rows, eight bytes each.
    ends: BufWriter<File>,
}

impl SparseSink {
    /// Starts a matrix with rows of `width` numbers.
    pub fn new(folder: &Path, width: usize) -> io::Result<Self> {
        let file = || {
            Ok::<_, io::Error>(BufWriter::with_capacity(1 << 18, tempfile::tempfile_in(folder)?))
        };
        let (values, columns, ends) = (file()?, file()?, file()?);
        Ok(Self { width, column: 0, rows: 0, count: 0, values, columns, ends })
    }

    fn wide_columns(&self) -> bool {
        self.width > i32::MAX as usize
    }

    /// Writes the archive.
    pub fn finish(self, file: &mut dyn WriteSeek, about: &str) -> io::Result<()> {
        let wide =
            self.wide_columns() || self.count > i32::MAX as u64 || self.rows > i32::MAX as u64;
        let stored = if self.wide_columns() { 8 } else { 4 };
        let mut archive = Archive::new(file);
        let mut index =
            |name: &str, count: u64, first: Option<u64>, from: BufWriter<File>, size: usize| {
                let lead = u64::from(first.is_some());
                let mut part = match wide {
                    true => archive.start::<i64>(name, &[lead + count])?,
                    false => archive.start::<i32>(name, &[lead + count])?,
                };
                if let Some(first) = first {
                    write_index(&mut part, first, wide)?;
                }
                copy_indices(from, size, &mut part, wide)?;
                part.flush()
            };
        index("indices", self.count, None, self.columns, stored)?;
        index("indptr", self.rows, Some(0), self.ends, 8)?;
        archive.word("format", "csr")?;
        archive.whole("shape", &[self.rows as i64, self.width as i64])?;
        let mut part = archive.start::<f32>("data", &[self.count])?;
        io::copy(&mut rewound(self.values)?, &mut part)?;
        part.flush()?;
        drop(part);
        archive.text(crate::network_file::KEY, about)?;
        archive.finish()
    }
}

impl CodeSink for SparseSink {
    fn put(&mut self, values: &[f32]) -> io::Result<()> {
        let wide = self.wide_columns();
        for value in values {
            if *value != 0.0 {
                self.values.write_all(&value.to_le_bytes())?;
                write_index(&mut self.columns, self.column as u64, wide)?;
                self.count += 1;
            }
            self.column += 1;
            if self.column == self.width {
                (self.column, self.rows) = (0, self.rows + 1);
                self.ends.write_all(&self.count.to_le_bytes())?;
            }
        }
        Ok(())
    }
}

fn write_index(file: &mut impl Write, index: u64, wide: bool) -> io::Result<()> {
    match wide {
        true => file.write_all(&index.to_le_bytes()),
        false => file.write_all(&(index as u32).to_le_bytes()),
    }
}

/// A temporary file from its start.
fn rewound(file: BufWriter<File>) -> io::Result<BufReader<File>> {
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(BufReader::with_capacity(1 << 18, file))
}

/// Copies indices of `size` bytes.
fn copy_indices(
    from: BufWriter<File>,
    size: usize,
    to: &mut impl Write,
    wide: bool,
) -> io::Result<()> {
    let mut from = rewound(from)?;
    if size == if wide { 8 } else { 4 } {
        io::copy(&mut from, to)?;
        return Ok(());
    }
    let mut index = [0; 8];
    loop {
        match from.read_exact(&mut index[..size]) {
            Ok(()) => write_index(to, u64::from_le_bytes(index), wide)?,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

/// The numbers of an array in an archive.
type Part<'z, 'a> = BufWriter<&'z mut ZipWriter<&'a mut dyn WriteSeek>>;

/// An archive of arrays, which are not compressed, so that they can be read where they lie.
pub(super) struct Archive<'a> {
    zip: ZipWriter<&'a mut dyn WriteSeek>,
}

impl<'a> Archive<'a> {
    pub fn new(file: &'a mut dyn WriteSeek) -> Self {
        Self { zip: ZipWriter::new(file) }
    }

    /// Starts an array, whose numbers follow.
    pub fn start<T: AutoSerialize>(
        &mut self,
        name: &str,
        shape: &[u64],
    ) -> io::Result<Part<'_, 'a>> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(true);
        self.zip.start_file(format!("{name}.npy"), options)?;
        write_header::<T>(&mut self.zip, shape)?;
        Ok(BufWriter::with_capacity(1 << 16, &mut self.zip))
    }

    /// Adds an array.
    pub fn numbers(&mut self, name: &str, shape: &[u64], values: &[f32]) -> io::Result<()> {
        let mut part = self.start::<f32>(name, shape)?;
        write_numbers(&mut part, values)?;
        part.flush()
    }

    /// Adds a list of whole numbers.
    fn whole(&mut self, name: &str, values: &[i64]) -> io::Result<()> {
        let mut part = self.start::<i64>(name, &[values.len() as u64])?;
        values.iter().try_for_each(|value| part.write_all(&value.to_le_bytes()))?;
        part.flush()
    }

    /// Adds a text as a list of bytes.
    pub fn text(&mut self, name: &str, text: &str) -> io::Result<()> {
        let mut part = self.start::<u8>(name, &[text.len() as u64])?;
        part.write_all(text.as_bytes())?;
        part.flush()
    }

    /// Adds a word, as NumPy has `bytes`.
    fn word(&mut self, name: &str, word: &str) -> io::Result<()> {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        self.zip.start_file(format!("{name}.npy"), options)?;
        let dtype: TypeStr = format!("|S{}", word.len()).parse().map_err(io::Error::other)?;
        let options = WriteOptions::new_header_only().dtype(DType::Plain(dtype)).shape(&[]);
        options.writer(&mut self.zip).write_header_only()?;
        self.zip.write_all(word.as_bytes())
    }

    pub fn finish(self) -> io::Result<()> {
        self.zip.finish()?.flush()
    }
}
