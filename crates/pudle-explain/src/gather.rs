//! Data that are parts of one event, together.

use crate::contributors::{Contribution, Contributors};
use crate::data::Source;
use crate::subject::Subject;

/// Parts that an event has, at most on average.
const PARTS: usize = 4;

/// Puts data together that are parts of one event. Where they are not, data stay as they are.
#[derive(Clone, Copy)]
pub(crate) struct Gather<'a> {
    pub subject: &'a dyn Subject,
    /// Where the training data come from.
    pub sources: &'a [Source],
    /// Contributors that are wanted.
    pub top: usize,
}

impl Gather<'_> {
    /// Whether data are parts of events.
    pub fn groups(&self) -> bool {
        // A datum is then the same event as itself.
        self.sources.first().is_some_and(|first| self.subject.same_event(*first, *first))
    }

    /// Data to be ranked for an event.
    pub fn parts(&self) -> usize {
        if self.groups() { PARTS } else { 1 }
    }

    /// Data that have to be ranked for the contributors that are wanted.
    pub fn wanted(&self) -> usize {
        self.parts() * self.top
    }

    fn same(&self, a: usize, b: usize) -> bool {
        self.subject.same_event(self.sources[a], self.sources[b])
    }

    /// The largest contributors, each with the weights of the other parts of its event added.
    pub fn gathered(&self, contributors: Contributors) -> Contributors {
        if !self.groups() {
            return contributors;
        }
        let mut most: Vec<Contribution> = Vec::new();
        for part in contributors.most {
            match most.iter_mut().find(|other| self.same(part.datum, other.datum)) {
                Some(event) => event.weight += part.weight,
                None => most.push(part),
            }
        }
        most.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
        most.truncate(self.top);
        Contributors { most, ..contributors }
    }

    /// The first of these data that are of different events, as many as are wanted.
    pub fn events(&self, data: &[usize]) -> Vec<usize> {
        let mut events: Vec<usize> = Vec::new();
        for &k in data {
            let new = !self.groups() || !events.iter().any(|other| self.same(k, *other));
            if new && events.len() < self.top {
                events.push(k);
            }
        }
        events
    }

    /// These data and all others that are parts of their events; in order, if there are such.
    pub fn whole(&self, data: &[usize]) -> Vec<usize> {
        let mut all = data.to_vec();
        if self.groups() {
            for &k in data {
                all.extend((0..k).rev().take_while(|other| self.same(k, *other)));
                all.extend((k + 1..self.sources.len()).take_while(|other| self.same(k, *other)));
            }
            all.sort_unstable();
            all.dedup();
        }
        all
    }
}
