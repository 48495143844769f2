//! When atoms were last used: the figure of unused atoms, and its file in a checkpoint.

use std::path::Path;

use crate::checkpoints::Checkpoints;
use crate::config::RunConfig;
use crate::error::{Result, TrainError};
use crate::files::write_whole;

/// The last step in which each atom was used. An atom is used by a datum if its code has an entry that is not zero.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Usage {
    /// The step for each atom, from 1; 0 for an atom that was not used yet.
    last: Vec<u64>,
    /// Number of steps after which an atom without use counts as unused, at least 1.
    window: u64,
}

impl Usage {
    /// The state of `atoms` atoms that count as used in step `step`.
    pub fn new(atoms: usize, window: u64, step: u64) -> Self {
        Self { last: vec![step; atoms], window }
    }

    /// The state of a run after step `from`: what its checkpoint says, or a new count. A line says if a checkpoint of an older
    /// version does not tell and atoms start again.
    ///
    /// # Errors
    /// Returns the errors of [`read`](Self::read).
    pub fn of_run(
        config: &RunConfig,
        checkpoints: &Checkpoints,
        from: Option<usize>,
    ) -> Result<Self> {
        let (atoms, window) = (config.model.dictionary.atoms(), config.training.unused_window);
        let Some(step) = from else { return Ok(Self::new(atoms, window, 0)) };
        let path = checkpoints.usage(step);
        if path.exists() {
            return Self::read(&path, atoms, window);
        }
        if config.training.revive {
            log::warn!(
                "the checkpoint of step {step} does not tell when atoms were last used: all count as used"
            );
        }
        Ok(Self::new(atoms, window, step as u64))
    }

    /// Notes the atoms that a step used.
    pub fn observe(&mut self, step: u64, used: &[bool]) {
        for (last, _) in self.last.iter_mut().zip(used).filter(|(_, used)| **used) {
            *last = step;
        }
    }

    /// Counts atoms as used in `step`, because they start again.
    pub fn renew(&mut self, step: u64, atoms: &[usize]) {
        atoms.iter().for_each(|atom| self.last[*atom] = step);
    }

    /// The atoms that no datum of the last steps up to `step` used: the steps of the window, or all steps if there are fewer.
    pub fn unused(&self, step: u64) -> Vec<usize> {
        let before = step.saturating_sub(self.window);
        (0..self.last.len()).filter(|atom| self.last[*atom] <= before).collect()
    }

    /// A line about the unused atoms after step `step`, with the numbers of a few; `None` if all are used.
    pub fn about_unused(&self, step: u64) -> Option<String> {
        const LISTED: usize = 10;
        let unused = self.unused(step);
        if unused.is_empty() {
            return None;
        }
        let more = if unused.len() > LISTED { ", …" } else { "" };
        let listed: Vec<String> = unused.iter().take(LISTED).map(usize::to_string).collect();
        Some(format!(
            "{} of {} atoms are used by no datum of the last {} steps: {}{more}",
            unused.len(),
            self.last.len(),
            self.window.min(step),
            listed.join(", ")
        ))
    }

    /// Number of steps after which an atom without use counts as unused.
    pub fn window(&self) -> u64 {
        self.window
    }

    /// Writes the state as CSV, a row for each atom.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = String::from("atom,last_used\n");
        for (atom, last) in self.last.iter().enumerate() {
            text += &format!("{atom},{last}\n");
        }
        write_whole(path, text.as_bytes())
    }

    /// Reads a state of `atoms` atoms.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, or does not hold a step for each atom.
    pub fn read(path: &Path, atoms: usize, window: u64) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(TrainError::io(path))?;
        let rows = text.lines().skip(1).enumerate();
        let last: Option<Vec<u64>> = rows
            .map(|(atom, row)| {
                let (number, last) = row.split_once(',')?;
                if number.parse() == Ok(atom) { last.parse().ok() } else { None }
            })
            .collect();
        match last {
            Some(last) if last.len() == atoms => Ok(Self { last, window }),
            _ => {
                let reason =
                    format!("does not hold the last use of {atoms} atoms, one row for each");
                Err(TrainError::weights(path, reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unused_atoms_are_listed() {
        let mut usage = Usage::new(3, 7, 0);
        usage.observe(2, &[false, true, false]);
        let text = usage.about_unused(5).unwrap();
        assert_eq!(text, "2 of 3 atoms are used by no datum of the last 5 steps: 0, 2");
        usage.observe(3, &[true, false, true]);
        assert_eq!(usage.about_unused(5), None);
        let many = Usage::new(30, 7, 0).about_unused(128).unwrap();
        assert!(many.starts_with("30 of 30") && many.ends_with("8, 9, …"), "{many}");
    }

    #[test]
    fn atoms_without_use_in_the_window_are_unused() {
        let mut usage = Usage::new(3, 4, 0);
        usage.observe(1, &[true, false, false]);
        assert_eq!(usage.unused(1), [1, 2]);
        usage.observe(2, &[false, true, false]);
        assert_eq!(usage.unused(4), [2]);
        // Step 1 is no longer among the last four.
        assert_eq!(usage.unused(5), [0, 2]);
        usage.renew(5, &[2]);
        assert_eq!(usage.unused(5), [0]);
        assert_eq!(usage.unused(9), [0, 1, 2]);
    }

    #[test]
    fn a_state_survives_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("usage.csv");
        let mut usage = Usage::new(3, 7, 2);
        usage.observe(9, &[false, true, false]);
        usage.write(&path).unwrap();
        assert_eq!(Usage::read(&path, 3, 7).unwrap(), usage);
        assert!(Usage::read(&path, 4, 7).unwrap_err().to_string().contains("4 atoms"));
        std::fs::write(&path, "atom,last_used\n0,x\n").unwrap();
        assert!(Usage::read(&path, 1, 7).is_err());
    }
}
