//! Decoders that panic on damaged files.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether a panic of this thread is turned into an error, so that nothing is printed.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// The result of `decode`, or `None` if it panics. The message of the panic is not printed.
pub(super) fn guarded<T>(decode: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if !GUARDED.get() {
                before(info);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(decode)).ok();
    GUARDED.set(outer);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_no_result() {
        assert_eq!(guarded(|| 3), Some(3));
        let none: Option<i32> = guarded(|| panic!("a decoder's assertion"));
        assert_eq!(none, None);
        assert!(!GUARDED.get());
    }
}
