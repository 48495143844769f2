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

/// The results of `task` for each image. All tasks run on threads of the pool: a caller outside it would
/// be woken after every layer.
pub(crate) fn map_images<I: Send, R: Send>(
    images: Vec<I>,
    task: impl Fn(I) -> R + Sync + Send,
) -> Vec<R> {
    rayon::scope(|_| match images.len() {
        1 => images.into_iter().map(task).collect(),
        _ => images.into_par_iter().with_max_len(1).map(task).collect(),
    })
}
