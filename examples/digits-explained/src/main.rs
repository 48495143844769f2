//! Learns a dictionary of digits and says which digits each atom came from.
//!
//! ```text
//! cargo build --release --workspace
//! target/release/digits-explained [FOLDER WITH MNIST]
//! ```
//!
//! Without a folder the digits are drawn. The run goes to `runs/digits-explained` (and is gone on with where it was stopped), the
//! report to `runs/digits-explained-report`.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use pudle_core::Backend;
use pudle_explain::{
    DigitOptions, HIGHEST, PatchOptions, Ridge, Subject, explain_digits, write_digit_report,
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
    let options = PatchOptions { sigma: None, most: 1, seed: config.seed };
    let Subject::Digits(subject) = Subject::new(checkpoint, &config, options, &device)? else {
        unreachable!("the preset's data are digits")
    };
    let options = DigitOptions {
        ridge: Ridge::Sphere,
        count: 8,
        held_out: 6,
        inputs: Vec::new(),
        seed: config.seed,
    };
    let found = explain_digits(&subject, &options, &device, |what| println!("{what} …"))?;

    // The five atoms of the highest energy, and who is behind them.
    let labels = subject.digits().labels();
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
        100.0 * found.agreement(&subject, highest)
    );
    let report = Path::new("runs/digits-explained-report");
    write_digit_report(report, true, "digits-explained", &subject, &found, config.seed)?;
    println!("wrote {}", report.join("report.html").display());
    Ok(())
}
