//! `pudle info`.

use std::path::PathBuf;

use pudle_core::Backend;

use crate::failure::Failure;
use crate::shipped::load;
use crate::terminal::say;

#[derive(clap::Args)]
pub struct InfoArgs {
    /// Checkpoint directory, run directory, or name of a shipped checkpoint.
    checkpoint: PathBuf,
}

pub fn info(args: &InfoArgs) -> Result<(), Failure> {
    let checkpoint = load(&args.checkpoint, &Backend::default().device()?)?;
    say!("{checkpoint}");
    Ok(())
}
