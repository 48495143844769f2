//! Learns a dictionary of digits and prints the digits that each atom consists of.
//!
//! ```text
//! cargo build --release --workspace
//! target/release/digits-explained [FOLDER WITH MNIST]
//! ```
//!
//! Without a folder, the digits are generated. The run is written to `runs/digits-explained`; if it is there already, training continues
//! where it stopped. The report is written to `runs/digits-explained-report`.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use pudle_core::Backend;
use pudle_explain::{
    ExplainOptions, HIGHEST, ReportOptions, Ridge, Split, SubjectOptions, explain, open_subject,
    write_report,
};
use pudle_train::{Checkpoint, Preset, train_watched};

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = Preset::Digits.config();
    if let Some(folder) = std::env::args_os().nth(1) {
        config.data.set_folder(folder.into())?;
    }
    config.training.steps = 2000;
    let run = Path::new("runs/digits-explained");
    println!("training {} steps with seed {} …", config.training.steps, config.seed);
    train_watched(config.clone(), run, Arc::new(AtomicU64::new(0)))?;

    let device = Backend::default().device()?;
    let checkpoint = Checkpoint::read(run, &device)?;
    let options = SubjectOptions { sigma: None, photographs: 1, seed: config.seed };
    let subject = open_subject(checkpoint, &config, options, &device)?;
    let options = ExplainOptions {
        ridge: Ridge::Sphere,
        top: 8,
        inputs: subject.held_out_inputs(6),
        pixels: Vec::new(),
        seed: config.seed,
    };
    let found = explain(subject.as_ref(), &options, &mut |progress| {
        if progress.done == progress.total {
            println!("{} …", progress.stage);
        }
    })?;

    // The five atoms of highest energy and their largest contributors.
    let labels = subject.labels(Split::Training);
    for &atom in &found.by_energy[..5] {
        let behind = found.contributors[atom].most.iter().take(3);
        let behind: Vec<String> = behind
            .map(|c| format!("digit {} (a {}, α {:.3})", c.datum, labels[c.datum], c.weight))
            .collect();
        let cosine = found.identity.cosine(atom);
        println!("atom {atom:>3}: rebuilt with cosine {cosine:.3} from {}, …", behind.join(", "));
    }
    let highest = HIGHEST.min(found.by_energy.len());
    println!(
        "of the {highest} atoms of highest energy, the two largest contributors are of one class for {:.0} %",
        100.0 * found.agreement(labels, highest)
    );
    let dir = Path::new("runs/digits-explained-report");
    let options = ReportOptions { dir, replace: true, run: "digits-explained", seed: config.seed };
    write_report(options, subject.as_ref(), &found)?;
    println!("wrote {}", dir.join("report.html").display());
    Ok(())
}
