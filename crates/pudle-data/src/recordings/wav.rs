//! WAV files.

use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::{Path, PathBuf};

use hound::{SampleFormat, WavReader};

use super::files::deinterleave;
use super::signal::Signal;
use crate::error::{DataError, Result};
use crate::matrix::storage::Storage;

/// The samples of a WAV file, read where they lie. Whole numbers are scaled so that full scale is 1.
#[derive(Debug)]
pub(super) struct WavSignal {
    path: PathBuf,
    storage: Storage,
    /// Position of the first sample.
    start: u64,
    channels: usize,
    encoding: Encoding,
}

#[derive(Clone, Copy, Debug)]
enum Encoding {
    /// Whole numbers of this many bytes. Those of one byte have no sign.
    Whole(usize),
    Float,
}

impl WavSignal {
    /// Opens a file. Returns its shape (one trial, channels, samples) and its sampling rate in Hz.
    pub fn open(path: &Path) -> Result<(Self, [usize; 3], f64)> {
        let io = |e| DataError::io(path, e);
        let unreadable = |e: hound::Error| match e {
            hound::Error::IoError(error) => DataError::io(path, error),
            other => DataError::format(path, format!("not a WAV file that is read: {other}")),
        };
        let reader = WavReader::new(BufReader::new(File::open(path).map_err(io)?));
        let reader = reader.map_err(unreadable)?;
        let (spec, samples) = (reader.spec(), reader.duration() as usize);
        let encoding = match (spec.sample_format, spec.bits_per_sample) {
            (SampleFormat::Int, bits @ (8 | 16 | 24 | 32)) => Encoding::Whole(bits as usize / 8),
            (SampleFormat::Float, 32) => Encoding::Float,
            (_, bits) => {
                let reason = format!("samples of {bits} bits; 8, 16, 24 and 32 are read");
                return Err(DataError::format(path, reason));
            }
        };
        let start = reader.into_inner().stream_position().map_err(io)?;
        let storage = Storage::open(path)?;
        let channels = usize::from(spec.channels);
        let wav = Self { path: path.to_owned(), storage, start, channels, encoding };
        let need = start + (samples * channels * wav.size()) as u64;
        let have = wav.storage.len().map_err(io)?;
        if samples == 0 {
            return Err(DataError::format(path, "holds no samples"));
        }
        if have < need {
            let reason = format!("cut short: its header says {need} bytes, and it has {have}");
            return Err(DataError::format(path, reason));
        }
        Ok((wav, [1, channels, samples], f64::from(spec.sample_rate)))
    }

    /// Bytes of a sample.
    fn size(&self) -> usize {
        match self.encoding {
            Encoding::Whole(bytes) => bytes,
            Encoding::Float => 4,
        }
    }
}

impl Signal for WavSignal {
    fn read(&self, _: usize, first: usize, out: &mut [f32]) -> Result<()> {
        let size = self.size();
        let mut bytes = vec![0; out.len() * size];
        let at = self.start + (first * self.channels * size) as u64;
        self.storage.read_at(&mut bytes, at).map_err(|e| DataError::io(&self.path, e))?;
        let frames: Vec<f32> = bytes.chunks_exact(size).map(|b| number(self.encoding, b)).collect();
        deinterleave(&frames, self.channels, out);
        Ok(())
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// The number in the bytes of a sample.
fn number(encoding: Encoding, bytes: &[u8]) -> f32 {
    match (encoding, bytes) {
        (Encoding::Whole(_), [byte]) => (f32::from(*byte) - 128.0) / 128.0,
        (Encoding::Float, bytes) => bytes.try_into().map_or(f32::NAN, f32::from_le_bytes),
        (Encoding::Whole(_), bytes) => {
            // In the highest bytes of 32 bits, so that the sign is in its place.
            let mut wide = [0; 4];
            wide[4 - bytes.len()..].copy_from_slice(bytes);
            i32::from_le_bytes(wide) as f32 / 2f32.powi(31)
        }
    }
}
