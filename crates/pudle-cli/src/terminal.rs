//! Output to the terminal and signals from it.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use crate::failure::Failure;
use pudle_train::Interrupter;

/// The first error of writing a result to stdout.
static LOST: Mutex<Option<io::Error>> = Mutex::new(None);

/// Prints a line to stdout. If it cannot be written, [`check_output`] returns the error later.
macro_rules! say {
    ($($argument:tt)*) => { $crate::terminal::print_line(format_args!($($argument)*)) };
}
pub(crate) use say;

/// Prints a line to stderr. If the terminal is closed, the line is lost.
macro_rules! note {
    ($($argument:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr().lock(), $($argument)*);
    }};
}
pub(crate) use note;

/// Prints a line to stdout; use `say!`.
pub(crate) fn print_line(line: std::fmt::Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_fmt(line).and_then(|()| stdout.write_all(b"\n"));
    if let Err(error) = written.and_then(|()| stdout.flush()) {
        LOST.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }
}

/// Returns an error if a result could not be written to stdout. A reader that closes its pipe early, such as `head`, has
/// what it wants.
pub(crate) fn check_output() -> Result<(), Failure> {
    match LOST.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("stdout: {error}").into())
        }
        _ => Ok(()),
    }
}

/// Prints a value as one JSON object.
pub(crate) fn say_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    say!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Exit status of a command that was stopped by Ctrl-C, by a termination signal or because its terminal was closed.
pub(crate) const STOPPED: u8 = 130;

/// The first Ctrl-C or termination signal, or a closed terminal, stops the training after its current step. The second
/// signal ends the process.
pub(crate) fn stop_on_ctrl_c(interrupter: &Interrupter) -> Result<(), Failure> {
    let interrupter = interrupter.clone();
    let restore = restorer();
    let leave = leaver();
    ctrlc::set_handler(move || {
        leave();
        if interrupter.should_stop() {
            restore();
            std::process::exit(STOPPED.into());
        }
        note!("stopping after this step; press Ctrl-C again to quit at once");
        interrupter.stop(Some("interrupted"));
    })?;
    keep_signals_on_terminal();
    Ok(())
}

/// A function that replaces a closed terminal by `/dev/null`. Burn's dashboard ends the process, without a checkpoint, if it
/// cannot write to its terminal.
fn leaver() -> impl Fn() + Send + Sync {
    #[cfg(unix)]
    let terminal = io::IsTerminal::is_terminal(&io::stdout());
    move || {
        #[cfg(unix)]
        if terminal
            && rustix::termios::tcgetattr(io::stdout()).is_err()
            && let Ok(null) = std::fs::File::options().read(true).write(true).open("/dev/null")
        {
            let _ = rustix::stdio::dup2_stderr(&null);
            let _ = rustix::stdio::dup2_stdout(&null);
            let _ = rustix::stdio::dup2_stdin(&null);
        }
    }
}

/// A function that puts the terminal back as it is now, whatever the dashboard does to it: out of raw mode, from the
/// alternate screen to the normal one, with a cursor.
fn restorer() -> impl Fn() + Send + Sync {
    #[cfg(unix)]
    let modes = rustix::termios::tcgetattr(io::stdin()).ok();
    move || {
        if io::IsTerminal::is_terminal(&io::stdout()) {
            // Mouse reports off, normal screen, cursor on. A lock may be held by the dashboard, so stdout is not locked.
            let sequence = b"\x1b[?1006l\x1b[?1003l\x1b[?1002l\x1b[?1000l\x1b[?1049l\x1b[?25h";
            #[cfg(unix)]
            let _ = rustix::io::write(io::stdout(), sequence);
            #[cfg(not(unix))]
            let _ = io::stdout().write_all(sequence);
        }
        #[cfg(unix)]
        if let Some(modes) = &modes {
            let now = rustix::termios::OptionalActions::Now;
            let _ = rustix::termios::tcsetattr(io::stdin(), now, modes);
        }
    }
}

/// Burn's dashboard puts the terminal into raw mode, where Ctrl-C sends no signal. A thread turns
/// the signals on again whenever they are off, until the process ends.
fn keep_signals_on_terminal() {
    #[cfg(unix)]
    if io::IsTerminal::is_terminal(&io::stdin()) {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let watch = || {
            let stdin = io::stdin();
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
