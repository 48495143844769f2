//! Codes of a recording, part by part.

use burn::tensor::{Device, Tensor, TensorData};
use pudle_core::{ConvDictionary1d, Noise, Pudle};
use pudle_data::{Recording, RecordingWindows};
use pudle_train::Filters;

use crate::codes::SparseCodes;
use crate::data::{Batch, Source};
use crate::error::Result;

/// Numbers of a part that is encoded at once, and its least and most samples.
const PART_NUMBERS: usize = 1 << 20;
const PART: [usize; 2] = [4096, 65_536];
/// Atoms that fit into what two neighbouring parts share on either side.
const MARGIN: usize = 2;
/// Atoms side by side of the stretch of a recording in which most happens.
const STRETCH: usize = 16;

/// Filters along signals, and the samples that they were trained on, shifted and divided by the noise of their channels.
#[derive(Clone, Debug)]
pub(crate) struct SignalCoder {
    pub model: Pudle<3, ConvDictionary1d>,
    pub filters: Filters,
    /// The samples that the model was trained on.
    pub windows: RecordingWindows,
    pub device: Device,
}

/// A group of neighbouring codes of an atom: the place of the largest, the atom, and its value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Peak {
    pub place: usize,
    pub atom: usize,
    pub value: f32,
}

/// A stretch of a recording, `[C, n]`.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub trial: usize,
    pub first: usize,
    pub values: Vec<f32>,
}

/// A part of a trial, encoded.
struct EncodedPart {
    first: usize,
    /// `x − D z`, `[C, n]`.
    residual: Vec<f32>,
    /// `[p, n − k + 1]`.
    codes: Vec<f32>,
}

impl SignalCoder {
    pub fn recording(&self) -> &Recording {
        self.windows.recording()
    }

    pub fn channels(&self) -> usize {
        self.filters.channels()
    }

    pub fn taps(&self) -> usize {
        self.filters.taps()
    }

    /// Places of one atom that are closer than this are one event.
    pub fn near(&self) -> usize {
        (self.taps() / 4).max(2)
    }

    /// Samples of a part without what its neighbours share.
    fn core(&self) -> usize {
        let least = PART[0].max(8 * MARGIN * self.taps());
        (PART_NUMBERS / self.channels()).clamp(least, PART[1].max(least))
    }

    /// First samples of the parts of a trial.
    pub fn starts(&self) -> impl Iterator<Item = usize> + Clone + use<> {
        self.windows.span().step_by(self.core())
    }

    /// Codes `[p, positions]` and `D z`, `[C, n]`, of samples `[C, n]`. Codes are multiplied by the gains of the decoder, if it
    /// has any.
    pub fn encode(&self, x: &[f32]) -> [Vec<f32>; 2] {
        let extent = [1, self.channels(), x.len() / self.channels()];
        let x = Tensor::<3>::from_data(TensorData::new(x.to_vec(), extent), &self.device);
        let code = self.model.encode(x, &Noise::Unknown);
        let code = match self.model.gain() {
            Some(gain) => {
                let atoms = gain.dims()[0];
                code * gain.reshape([1, atoms, 1])
            }
            None => code,
        };
        let code: Vec<f32> = code.into_data().iter::<f32>().collect();
        let rebuilt = self.decode(&code, extent[2]);
        [code, rebuilt]
    }

    /// `D z` over so many samples, `[C, n]`, of codes `[p, positions]`. As few are not zero, this is sooner than a convolution.
    fn decode(&self, code: &[f32], samples: usize) -> Vec<f32> {
        let positions = code.len() / self.filters.atoms();
        let mut rebuilt = vec![self.model.config().offset as f32; self.channels() * samples];
        for (j, row) in code.chunks_exact(positions).enumerate() {
            for (place, value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
                let atom = self.filters.atom(j).chunks_exact(self.taps());
                for (out, atom) in rebuilt.chunks_exact_mut(samples).zip(atom) {
                    let out = out[place..].iter_mut().zip(atom);
                    out.for_each(|(out, d)| *out += value * d);
                }
            }
        }
        rebuilt
    }

    /// The part of a trial from `start` on, with what its neighbours share.
    fn encode_part(&self, trial: usize, start: usize) -> Result<EncodedPart> {
        let (span, margin) = (self.windows.span(), MARGIN * self.taps());
        let last = (start + self.core() + margin).min(span.end);
        // The last part has room for an atom.
        let first = start.saturating_sub(margin).min(last.saturating_sub(2 * margin));
        let first = first.max(span.start);
        let mut x = vec![0.0; self.channels() * (last - first)];
        self.windows.read(trial, first, &mut x)?;
        let [codes, rebuilt] = self.encode(&x);
        x.iter_mut().zip(rebuilt).for_each(|(x, rebuilt)| *x -= rebuilt);
        Ok(EncodedPart { first, residual: x, codes })
    }

    /// The data of a part: all places in it where a code is not zero.
    pub fn batch(&self, trial: usize, start: usize) -> Result<Batch> {
        let part = self.encode_part(trial, start)?;
        let (atoms, taps) = (self.filters.atoms(), self.taps());
        let positions = part.codes.len() / atoms;
        let samples = part.residual.len() / self.channels();
        let counted = start - part.first..(start + self.core() - part.first).min(positions);
        let mut codes = SparseCodes::new(atoms)?;
        let (mut targets, mut sources) = (Vec::new(), Vec::new());
        for place in counted {
            let code = || (0..atoms).map(|j| part.codes[j * positions + place]);
            if code().all(|value| value == 0.0) {
                continue;
            }
            codes.push(code());
            let first = targets.len();
            let rows = part.residual.chunks_exact(samples);
            targets.extend(rows.flat_map(|row| &row[place..place + taps]));
            for (j, value) in code().enumerate().filter(|(_, value)| *value != 0.0) {
                let target = targets[first..].iter_mut().zip(self.filters.atom(j));
                target.for_each(|(t, d)| *t += value * d);
            }
            let column = (part.first + place) as u32;
            sources.push(Source { item: trial as u32, row: 0, column });
        }
        Ok(Batch { codes, targets, sources })
    }

    /// Samples of a stretch, `[C, length]`, shifted and scaled; zero beyond the ends of the trial.
    pub fn samples(&self, trial: usize, first: isize, length: usize) -> Result<Vec<f32>> {
        let samples = self.recording().samples();
        let end = (first + length as isize).clamp(0, samples as isize) as usize;
        let start = (first.max(0) as usize).min(end);
        let mut out = vec![0.0; self.channels() * length];
        if start == end {
            return Ok(out);
        }
        let mut read = vec![0.0; self.channels() * (end - start)];
        self.windows.read(trial, start, &mut read)?;
        let shift = (start as isize - first) as usize;
        for (out, read) in out.chunks_exact_mut(length).zip(read.chunks_exact(end - start)) {
            out[shift..shift + read.len()].copy_from_slice(read);
        }
        Ok(out)
    }

    /// The groups of neighbouring codes `[p, positions]`.
    pub fn peaks(&self, codes: &[f32]) -> Vec<Peak> {
        let positions = codes.len() / self.filters.atoms();
        let mut peaks: Vec<Peak> = Vec::new();
        for (atom, row) in codes.chunks_exact(positions).enumerate() {
            for (place, value) in row.iter().enumerate().filter(|(_, value)| **value != 0.0) {
                let new = Peak { place, atom, value: *value };
                match peaks.last_mut() {
                    Some(last) if last.atom == atom && place - last.place < self.near() => {
                        if value.abs() > last.value.abs() {
                            *last = new;
                        }
                    }
                    _ => peaks.push(new),
                }
            }
        }
        peaks.sort_by_key(|peak| peak.place);
        peaks
    }

    /// Trial and place of the events after the samples that the model was trained on, in a part of each trial.
    pub fn later_events(&self) -> Result<Vec<(usize, usize)>> {
        let (start, samples) = (self.windows.span().end, self.recording().samples());
        let end = samples.min(start + self.core());
        let mut found = Vec::new();
        if end < start + self.taps() {
            return Ok(found);
        }
        for trial in 0..self.recording().trials() {
            let x = self.samples(trial, start as isize, end - start)?;
            let peaks = self.peaks(&self.encode(&x)[0]);
            found.extend(peaks.iter().map(|peak| (trial, start + peak.place)));
        }
        Ok(found)
    }

    /// The stretch of a recording in which the codes are largest in sum, 16 atoms long.
    pub fn liveliest(&self, windows: &RecordingWindows) -> Result<Stretch> {
        let recording = windows.recording();
        let (taps, samples) = (self.taps(), recording.samples());
        let length = (STRETCH * taps).min(samples);
        let (mut most, mut trial, mut first) = (f32::NEG_INFINITY, 0, 0);
        let starts = (0..samples).step_by(self.core());
        for (k, start) in (0..recording.trials()).flat_map(|k| starts.clone().map(move |s| (k, s)))
        {
            let count = (self.core() + length).min(samples - start);
            if count < length {
                continue;
            }
            let mut x = vec![0.0; self.channels() * count];
            windows.read(k, start, &mut x)?;
            let peaks = self.peaks(&self.encode(&x)[0]);
            for (i, peak) in peaks.iter().enumerate() {
                let from = peak.place.saturating_sub(taps / 2).min(count - length);
                let inside = peaks[i..].iter().take_while(|p| p.place + taps <= from + length);
                let sum = inside.map(|peak| peak.value.abs()).sum();
                if sum > most {
                    (most, trial, first) = (sum, k, start + from);
                }
            }
        }
        let mut values = vec![0.0; self.channels() * length];
        windows.read(trial, first, &mut values)?;
        Ok(Stretch { trial, first, values })
    }
}
