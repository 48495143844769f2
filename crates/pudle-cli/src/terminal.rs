//! Talking to the terminal.

use crate::failure::Failure;
use pudle_train::Interrupter;

/// Prints a line to stdout; a closed pipe is the reader's choice, not an error.
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

/// The first Ctrl-C (or termination signal) asks the training to end after its step; the second
/// ends the process.
pub(crate) fn stop_on_ctrl_c(interrupter: &Interrupter) -> Result<(), Failure> {
    let interrupter = interrupter.clone();
    ctrlc::set_handler(move || {
        if interrupter.should_stop() {
            std::process::exit(130);
        }
        eprintln!("stopping after this step; once more to quit at once");
        interrupter.stop(Some("interrupted"));
    })?;
    keep_signals_on_terminal();
    Ok(())
}

/// Burn's dashboard puts the terminal into raw mode, in which Ctrl-C is a key like any other. This
/// turns it back into a signal, for as long as the process lives.
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
                // Without it Ctrl-C is one key fewer, and 'q' in the dashboard still stops.
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
