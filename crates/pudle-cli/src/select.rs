//! `pudle select`.

use std::fmt::Write;
use std::path::PathBuf;

use pudle_data::{DataConfig, Extent, Missing, write_whole};
use pudle_explain::selection_chart;
use pudle_train::{OwnRecording, Preset, Selection};

use crate::arguments::words;
use crate::codes::{check_output, with_bar};
use crate::events::picture_format;
use crate::failure::Failure;
use crate::terminal::say;

#[derive(clap::Args)]
pub struct Args {
    /// Recording: WAV, .npy, .npz, .csv, .tsv or .safetensors.
    data: PathBuf,
    /// Length of an atom: a time (2ms, 0.5s), or a number of samples.
    #[arg(long, value_name = "L")]
    length: Extent,
    /// Numbers of atoms to compare, from FIRST to LAST.
    #[arg(long, value_name = "FIRST-LAST", default_value = "1-6", value_parser = parse_range)]
    atoms: (usize, usize),
    /// Values of λ to compare, in standard deviations of the noise.
    #[arg(
        long,
        value_name = "L,…",
        value_delimiter = ',',
        default_value = "4,5,6",
        allow_negative_numbers = true
    )]
    lambda: Vec<f64>,
    /// Table of all candidates (.csv).
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Chart of the candidates: a .png or .svg file.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// What a number that is NaN means: error, or nan for a gap.
    #[arg(long, value_name = "M", value_parser = words::<Missing>(), default_value_t)]
    missing: Missing,
    /// Name of the array, in a file of several.
    #[arg(long, value_name = "NAME")]
    tensor: Option<String>,
    /// Sampling rate in Hz. A WAV file has its own.
    #[arg(long, value_name = "HZ", allow_negative_numbers = true)]
    rate: Option<f64>,
    /// The axes of the array are time and channels, not channels and time.
    #[arg(long)]
    time_first: bool,
    /// Seed of the first atoms and of the samples that are hidden.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Replace existing files.
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args) -> Result<(), Failure> {
    for output in [args.output.as_ref(), args.picture.as_ref()].into_iter().flatten() {
        check_output(output, &args.data, args.force)?;
    }
    let svg = args.picture.as_deref().map(picture_format).transpose()?;
    let mut config = Preset::Signals.config();
    config.seed = args.seed;
    config.data.set_folder(args.data.clone())?;
    if let DataConfig::Recordings(settings) = &mut config.data {
        settings.tensor = args.tensor.clone();
        settings.rate = args.rate;
        settings.time_first = args.time_first;
        settings.missing = args.missing;
    }
    config.data.validate()?;
    let data = OwnRecording::open(&config)?;
    data.fit(&mut config, args.atoms.1, args.length)?;
    say!("{}", data.recording().describe());
    let atoms: Vec<usize> = (args.atoms.0..=args.atoms.1).collect();
    let selection = with_bar("select", |visit| {
        Selection::of(data.recording(), &config, &atoms, &args.lambda, visit)
    })?;
    say!(
        "atoms     λ   gain  (error)   events{}",
        if config_rate(&data) { " a second" } else { "" }
    );
    for (k, candidate) in selection.candidates.iter().enumerate() {
        let mark = match (k == selection.chosen, k == selection.best) {
            (true, _) => "  chosen",
            (_, true) => "  best",
            _ => "",
        };
        say!(
            "{:>5} {:>5} {:>6.2}  ({:.2}) {:>8.2}{mark}",
            candidate.atoms,
            candidate.lambda,
            candidate.gain,
            candidate.error,
            candidate.events
        );
    }
    say!("{}", selection.reason());
    if let Some(path) = &args.output {
        let written = write_whole(path, table(&selection).as_bytes());
        written.map_err(|error| format!("{}: {error}", path.display()))?;
        say!("wrote {}", path.display());
    }
    if let (Some(path), Some(svg)) = (&args.picture, svg) {
        let (text, png) = selection_chart(&selection)?;
        let bytes = if svg { text.into_bytes() } else { png };
        write_whole(path, &bytes).map_err(|error| format!("{}: {error}", path.display()))?;
        say!("wrote {}", path.display());
    }
    Ok(())
}

fn config_rate(data: &OwnRecording) -> bool {
    data.recording().rate().is_some()
}

fn table(selection: &Selection) -> String {
    let mut text = String::from("atoms,lambda,gain,error,events,chosen\n");
    for (k, candidate) in selection.candidates.iter().enumerate() {
        let pudle_train::Candidate { atoms, lambda, gain, error, events, .. } = candidate;
        let chosen = u8::from(k == selection.chosen);
        let _ = writeln!(text, "{atoms},{lambda},{gain},{error},{events},{chosen}");
    }
    text
}

/// Parses a range such as 1-6, or one number.
fn parse_range(text: &str) -> Result<(usize, usize), String> {
    let wrong = || format!("\"{text}\": must be numbers of atoms such as 1-6, from 1 to 256");
    let number = |text: &str| text.trim().parse::<usize>().map_err(|_| wrong());
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(text)?, number(text)?),
    };
    match first >= 1 && first <= last && last <= 256 {
        true => Ok((first, last)),
        false => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        assert_eq!(parse_range("1-6"), Ok((1, 6)));
        assert_eq!(parse_range("3"), Ok((3, 3)));
        for text in ["0-3", "4-2", "few", "1-", "1-999"] {
            assert!(parse_range(text).unwrap_err().contains(text));
        }
    }
}
