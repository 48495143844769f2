//! `pudle denoise`.

mod noise;
mod outputs;
mod plan;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use pudle_data::{Image, Photo, PhotoOptions, Raster, add_gaussian, scene};
use pudle_train::{Denoiser, ShiftCount};
use serde::Serialize;

use crate::arguments::{BackendArg, HalfArg, LambdaArg};
use crate::failure::{Failure, message};
use crate::shipped;
use crate::terminal::{note, say, say_json};
use noise::{Noise, SigmaArg, strength};
use outputs::{check_output, check_panel, check_replaced, make_folder_of};
use plan::{Existing, Plan, Plans, check_file, plan, same_file};

/// Width and height of the generated scene.
const SCENE: (usize, usize) = (480, 320);
/// Seed of the scene. `--seed` is the seed of the noise.
const SCENE_SEED: u64 = 7;
/// Default file of the scene's panel.
const SCENE_PANEL: &str = "pudle-denoise.png";
/// Noise below this level is of the size of what a JPEG file of quality 95 loses.
const FAINT: f32 = 10.0;
/// Default number of averaged shifts. Denoisers of a smaller stride average all their shifts.
const SHIFTS: usize = 16;

#[derive(clap::Args)]
pub struct Args {
    /// Pictures or folders of pictures to denoise: PNG, JPEG, TIFF or WebP, grey or colour, 8 or 16 bits, TIFF also of real
    /// and signed numbers and of 32 and 64 bits. Without a path, a scene with noise is generated and denoised.
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Checkpoint directory, run directory, or name of a shipped checkpoint: denoise-gray (default for grey pictures),
    /// denoise-color (default for colour pictures), denoise-gray-shifts and denoise-color-shifts (defaults with --shifts all), denoise-gray-sigma25 or denoise-published.
    #[arg(long, value_name = "DIR")]
    checkpoint: Option<PathBuf>,
    /// Standard deviation of the noise on the scale 0 … 255, at least 0.01, or auto to estimate it [default: auto]. If
    /// noise is added, this is its level, and the default is 25.
    #[arg(long, value_name = "S", allow_negative_numbers = true,
          value_parser = |text: &str| text.parse::<SigmaArg>())]
    sigma: Option<SigmaArg>,
    /// Strength of denoising, from 0 to 4. Below 1, the result is this share of the way from the picture to its estimate:
    /// 0 changes nothing. Above 1, the noise counts as that much stronger, and the result is smoother.
    #[arg(long, value_name = "X", default_value_t = 1.0, allow_negative_numbers = true,
          value_parser = strength)]
    strength: f32,
    /// Add noise to the pictures first, because they are clean, and print PSNR before and after denoising.
    #[arg(long, requires = "paths")]
    add_noise: bool,
    /// Seed of the noise that is added.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Number of shifts of the atoms' grid over which estimates are averaged, from 1 to the stride squared, or all. More
    /// shifts give better estimates; the time grows with their number [default: 16, or all if there are fewer].
    #[arg(long, value_name = "N", value_parser = |text: &str| text.parse::<ShiftCount>())]
    shifts: Option<ShiftCount>,
    /// Side of the tiles in which pictures are denoised, in pixels. It affects time and memory, not the result.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    tile: usize,
    /// Output file (.png, .jpg, .tif or .webp) for one picture, or output folder for several. The default is
    /// PICTURE-denoised in the folder and format of PICTURE. For the generated scene, the default is no output file.
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Page of a TIFF file or frame of an animation, counted from 1. A file with several is refused without it.
    #[arg(long, value_name = "N", requires = "paths",
          value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    page: Option<usize>,
    /// Samples that are black and white, such as 0,4095 for 12 bits. Samples outside stay outside [default: all of 8 and 16
    /// bits; 0,1 or 0,255 for real numbers that lie there; otherwise the lowest and highest sample].
    #[arg(long, value_name = "LOW,HIGH", requires = "paths", allow_hyphen_values = true, value_parser = range)]
    range: Option<(f64, f64)>,
    /// Replace existing files.
    #[arg(long)]
    force: bool,
    /// Leave out pictures whose output file exists, so that a second run goes on with what is missing.
    #[arg(long, requires = "paths", conflicts_with = "force")]
    skip_existing: bool,
    /// File for a panel that shows the noisy and the denoised picture, and the clean one if it is known, side by side.
    /// Only for a single picture. For the generated scene the default is pudle-denoise.png, which is replaced.
    #[arg(long, value_name = "FILE")]
    panel: Option<PathBuf>,
    /// Print one JSON object for each picture.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    lambda: LambdaArg,
    #[command(flatten)]
    half: HalfArg,
    #[command(flatten)]
    backend: BackendArg,
}

/// The JSON object that `--json` prints. Unknown values are `null`.
#[derive(Serialize)]
struct Report {
    input: Option<String>,
    output: Option<String>,
    panel: Option<String>,
    checkpoint: String,
    width: usize,
    height: usize,
    channels: usize,
    /// Noise level of the picture: added, given or estimated.
    sigma: Option<f32>,
    estimated: bool,
    /// The noise in words, if it was estimated.
    noise: Option<String>,
    noisy_psnr: Option<f64>,
    psnr: Option<f64>,
    /// Time of denoising, without reading and writing files.
    seconds: f64,
    megapixels_per_second: f64,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let mut session = Session {
        device: args.backend.device()?,
        denoisers: HashMap::new(),
        noise: Noise::new(args.sigma, args.strength, args.add_noise || args.paths.is_empty())?,
        args,
    };
    let args = &session.args;
    if args.paths.is_empty() {
        let report = session.scene()?;
        return session.say(&report);
    }
    let existing = match (args.force, args.skip_existing) {
        (true, _) => Existing::Replace,
        (_, true) => Existing::Skip,
        _ => Existing::Refuse,
    };
    let Plans { pictures: plans, failed: unreadable } =
        plan(&args.paths, args.output.as_deref(), existing)?;
    if plans.is_empty() && unreadable.is_empty() {
        note!("nothing to do: every output file exists");
        return Ok(());
    }
    if let Some(panel) = &args.panel {
        let [plan] = plans.as_slice() else {
            let (panel, count) = (panel.display(), plans.len());
            return Err(format!("{panel}: a panel shows one picture, not {count}").into());
        };
        check_replaced(panel, args.force)?;
        check_panel(panel, Some(&plan.output))?;
        if same_file(panel, &plan.input) {
            return Err(format!("{}: the panel would replace the picture", panel.display()).into());
        }
    }
    let total = plans.len() + unreadable.len();
    let single = total == 1 && unreadable.is_empty();
    // The other pictures do not depend on these.
    let mut failed = unreadable.len();
    unreadable.iter().for_each(|message| note!("error: {}", message.replace('\n', " ")));
    for plan in &plans {
        match session.picture(plan) {
            Ok(report) => session.say(&report)?,
            Err(error) if single => return Err(error),
            Err(error) => {
                failed += 1;
                note!("error: {}", message(&*error));
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} of {total} pictures failed").into()),
    }
}

struct Session {
    args: Args,
    device: Device,
    noise: Noise,
    denoisers: HashMap<PathBuf, Denoiser>,
}

impl Session {
    /// The denoiser for pictures with this number of channels, and its name.
    fn denoiser(&mut self, channels: usize) -> Result<(PathBuf, Denoiser), Failure> {
        let name = match &self.args.checkpoint {
            Some(name) => name.clone(),
            None => shipped::default_for(channels, self.args.shifts).into(),
        };
        if let Some(denoiser) = self.denoisers.get(&name) {
            return Ok((name, denoiser.clone()));
        }
        let denoiser = self.args.backend.set(Denoiser::load(&name, &self.device)?)?;
        let denoiser = self.args.half.set(self.args.lambda.set(denoiser))?;
        let shifts = match self.args.shifts {
            Some(shifts) => shifts,
            None => ShiftCount::Count(SHIFTS.min(denoiser.most_shifts())),
        };
        let denoiser = denoiser.with_shifts(shifts)?;
        if denoiser.trained_sigma().is_none() && self.noise.is_given() {
            log::warn!(
                "--sigma and --strength have no effect: {} does not state the noise that it was trained for",
                name.display()
            );
        }
        self.denoisers.insert(name.clone(), denoiser.clone());
        Ok((name, denoiser))
    }

    /// Denoises a picture in place.
    fn denoise(&mut self, picture: &mut impl Raster, name: &str) -> Result<Report, Failure> {
        let [channels, height, width] = picture.shape();
        let (checkpoint, denoiser) = self.denoiser(channels)?;
        let fails = |error: &dyn std::fmt::Display| format!("{name}: {error}");
        let needed = denoiser.trained_sigma().is_some();
        let level =
            if needed { Some(self.noise.level(picture).map_err(|e| fails(&e))?) } else { None };
        let bar = bar(height * width, name);
        let started = Instant::now();
        let (tile, strength) = (self.args.tile, self.args.strength);
        let visit = |pixels| bar.inc(pixels as u64);
        match &level {
            Some(level) => {
                if level.noise.doubtful {
                    log::warn!(
                        "{name}: its noise cannot be told from its texture, and little or nothing is removed; \
                         --sigma sets the noise"
                    );
                }
                denoiser.restore_tiles(picture, &level.noise, strength, tile, visit)
            }
            None => denoiser.denoise_tiles(picture, None, tile, visit),
        }
        .map_err(|error| fails(&error))?;
        let seconds = started.elapsed().as_secs_f64();
        bar.finish_and_clear();
        Ok(Report {
            input: None,
            output: None,
            panel: None,
            checkpoint: shown(&checkpoint),
            width,
            height,
            channels,
            sigma: level.as_ref().map(|level| level.noise.file_sigma()).or(self.noise.added()),
            estimated: level.as_ref().is_some_and(|level| level.estimated),
            noise: level.filter(|level| level.estimated).map(|level| level.noise.to_string()),
            noisy_psnr: None,
            psnr: None,
            seconds,
            megapixels_per_second: (height * width) as f64 / 1e6 / seconds,
        })
    }

    fn picture(&mut self, plan: &Plan) -> Result<Report, Failure> {
        check_output(&plan.output)?;
        let options = PhotoOptions { page: self.args.page, range: self.args.range };
        let mut photo = Photo::read_with(&plan.input, &options)?;
        let name = plan.input.display().to_string();
        for remark in photo.remarks() {
            log::warn!("{name}: {remark} (see --range)");
        }
        let [_, height, width] = photo.shape();
        let whole = |photo: &Photo| photo.window(0, 0, height, width);
        let mut panel = None;
        let before = photo.checksum();
        let mut report = if let Some(sigma) = self.noise.added() {
            let clean = whole(&photo);
            let noisy = add_gaussian(&clean, sigma, self.args.seed);
            let (report, estimate) = self.compare(&clean, &noisy, &name)?;
            photo.put(0, 0, &estimate);
            if self.args.panel.is_some() {
                panel = Some(Image::beside(&[&clean, &noisy.clip(), &estimate], 8)?);
            }
            report
        } else {
            // Only the panel needs the noisy picture.
            let noisy = self.args.panel.is_some().then(|| whole(&photo));
            let report = self.denoise(&mut photo, &name)?;
            if let Some(noisy) = noisy {
                panel = Some(Image::beside(&[&noisy, &whole(&photo)], 8)?);
            }
            report
        };
        make_folder_of(&plan.output)?;
        // Encoding a picture again costs quality, which nobody asked for if nothing or little is removed.
        let copied = photo.checksum() == before
            && self.args.page.is_none()
            && Photo::copy(&plan.input, &plan.output)?;
        if !copied {
            if report.sigma.is_some_and(|sigma| sigma < FAINT) {
                photo.set_jpeg_quality(100);
            }
            photo.write(&plan.output)?;
        }
        if let (Some(path), Some(panel)) = (&self.args.panel, panel) {
            make_folder_of(path)?;
            panel.write(path)?;
        }
        report.input = Some(shown(&plan.input));
        report.output = Some(shown(&plan.output));
        report.panel = self.args.panel.as_deref().map(shown);
        Ok(report)
    }

    fn scene(&mut self) -> Result<Report, Failure> {
        let clean = scene(SCENE.0, SCENE.1, SCENE_SEED);
        let sigma = self.noise.added().expect("noise is added to a scene");
        let noisy = add_gaussian(&clean, sigma, self.args.seed);
        let output = self.args.output.clone();
        for path in output.iter().chain(&self.args.panel) {
            check_replaced(path, self.args.force)?;
        }
        let panel = self.args.panel.get_or_insert_with(|| SCENE_PANEL.into()).clone();
        check_panel(&panel, output.as_deref())?;
        if let Some(path) = &output {
            check_file(path)?;
        }
        let (mut report, estimate) = self.compare(&clean, &noisy, "scene")?;
        if let Some(path) = &output {
            make_folder_of(path)?;
            estimate.write(path)?;
        }
        make_folder_of(&panel)?;
        Image::beside(&[&clean, &noisy.clip(), &estimate], 8)?.write(&panel)?;
        report.output = output.as_deref().map(shown);
        report.panel = self.args.panel.as_deref().map(shown);
        Ok(report)
    }

    /// Denoises a picture whose clean version is known, and measures PSNR.
    fn compare(
        &mut self,
        clean: &Image,
        noisy: &Image,
        name: &str,
    ) -> Result<(Report, Image), Failure> {
        let mut estimate = noisy.clone();
        let mut report = self.denoise(&mut estimate, name)?;
        let estimate = estimate.clip();
        report.noisy_psnr = Some(noisy.psnr(clean, 1.0));
        report.psnr = Some(estimate.psnr(clean, 1.0));
        Ok((report, estimate))
    }

    fn say(&self, report: &Report) -> Result<(), Failure> {
        if self.args.json {
            return say_json(report);
        }
        let name = report.input.as_deref().unwrap_or("scene");
        let (width, height) = (report.width, report.height);
        let sigma = match (&report.noise, report.sigma) {
            (Some(noise), _) => format!(", {noise} (estimated)"),
            (None, Some(sigma)) => format!(", sigma {sigma}"),
            (None, None) => String::new(),
        };
        say!(
            "{name}, {width}×{height}{sigma}, {}: {:.2} s, {:.2} MP/s",
            report.checkpoint,
            report.seconds,
            report.megapixels_per_second
        );
        if let (Some(before), Some(after)) = (report.noisy_psnr, report.psnr) {
            say!(
                "PSNR {before:.2} dB before, {after:.2} dB after ({:+.2} dB, noise from seed {})",
                after - before,
                self.args.seed
            );
        }
        for path in report.output.iter().chain(&report.panel) {
            say!("wrote {path}");
        }
        Ok(())
    }
}

/// Parses the value of `--range`.
fn range(text: &str) -> Result<(f64, f64), String> {
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|v| v.is_finite());
    match text.split_once(',').map(|(low, high)| (number(low), number(high))) {
        Some((Some(low), Some(high))) if low < high => Ok((low, high)),
        _ => Err(format!("\"{text}\" is not two numbers, the lower first, such as 0,4095")),
    }
}

/// The path as text for the report.
fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A progress bar in megapixels. It is hidden if stderr is not a terminal.
fn bar(pixels: usize, name: &str) -> ProgressBar {
    let bar = ProgressBar::new(pixels as u64);
    let style =
        ProgressStyle::with_template("{msg} {wide_bar} {percent:>3} %  {speed} MP/s, {eta} left")
            .expect("a valid template")
            .with_key("speed", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
                let _ = write!(out, "{:.2}", state.per_sec() / 1e6);
            });
    bar.set_style(style);
    bar.set_message(name.to_owned());
    bar
}
