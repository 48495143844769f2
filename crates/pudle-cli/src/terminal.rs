//! Output to the terminal and signals from it.

use crate::failure::Failure;
use pudle_train::Interrupter;

/// Prints a line to stdout. A closed pipe is not an error.
macro_rules! say {
    ($($argument:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout().lock(), $($argument)*);
    }};
}
pub(crate) use say;

/// Prints a value as one JSON object.
pub(crate) fn say_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// The first Ctrl-C or termination signal stops the training after its current step. The second one
/// ends the process.
pub(crate) fn stop_on_ctrl_c(interrupter: &Interrupter) -> Result<(), Failure> {
    let interrupter = interrupter.clone();
    ctrlc::set_handler(move || {
        if interrupter.should_stop() {
            std::process::exit(130);
        }
        eprintln!("stopping after this step; press Ctrl-C again to quit at once");
        interrupter.stop(Some("interrupted"));
    })?;
    keep_signals_on_terminal();
    Ok(())
}

/// Burn's dashboard puts the terminal into raw mode, where Ctrl-C sends no signal. A thread turns
/// the signals on again whenever they are off, until the process ends.
fn keep_signals_on_terminal() {
    #[cfg(unix)]
    if std::io::IsTerminal::is_terminal(&std::io::stdin()) {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let watch = || {
            let stdin = std::io::stdin();
            if let Ok(mut modes) = tcgetattr(&stdin)
                && !modes.local_modes.contains(LocalModes::ISIG)
            {
                modes.local_modes |= LocalModes::ISIG;
                // If this fails, the key q in the dashboard still stops the training.
                let _ = tcsetattr(&stdin, OptionalActions::Now, &modes);
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        };
        std::thread::spawn(move || {
            loop {
                watch();
            }
        });
    }
}
