//! Images and strips on the threads of the pool.

use rayon::prelude::*;

/// Runs `task` on each item, side by side if `parallel`.
pub(crate) fn for_each<I: Send>(parallel: bool, items: Vec<I>, task: impl Fn(I) + Sync + Send) {
    if parallel && items.len() > 1 {
        items.into_par_iter().with_max_len(1).for_each(task);
    } else {
        items.into_iter().for_each(task);
    }
}

/// The results of `make` for each item, side by side if `parallel`.
pub(crate) fn map_each<I: Sync, R: Send>(
    parallel: bool,
    items: &[I],
    make: impl Fn(&I) -> R + Sync + Send,
) -> Vec<R> {
    if parallel && items.len() > 1 {
        items.par_iter().with_max_len(1).map(make).collect()
    } else {
        items.iter().map(make).collect()
    }
}

/// The most groups that the images of a batch are divided into. The images of a group run one after the
/// other, in the same memory.
const GROUPS: usize = 16;

/// The results of `task` for each group of images. All tasks run on threads of the pool: a caller outside it
/// would be woken after every layer.
pub(crate) fn map_groups<I: Send, R: Send>(
    images: Vec<I>,
    task: impl Fn(Vec<I>) -> R + Sync + Send,
) -> Vec<R> {
    let size = images.len().div_ceil(GROUPS);
    let mut images = images.into_iter();
    let groups = (0..).map(|_| images.by_ref().take(size).collect::<Vec<I>>());
    let groups: Vec<Vec<I>> = groups.take_while(|group| !group.is_empty()).collect();
    rayon::scope(|_| match groups.len() {
        1 => groups.into_iter().map(task).collect(),
        _ => groups.into_par_iter().with_max_len(1).map(task).collect(),
    })
}
