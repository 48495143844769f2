//! What the allocator does with memory that is freed.

/// Freed bytes that stay with the process.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: i32 = 256 << 20;

/// The largest threshold that glibc takes, in bytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGEST: i32 = 32 << 20;

/// Keeps freed memory for the next request. A training step frees tens of megabytes and asks for as many in the next
/// moment. If they went back to the system, every page would have to be cleared again, which takes a twentieth of a step.
///
/// This concerns glibc alone. Larger pieces than 32 MiB still go back at once.
pub(crate) fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(unsafe_code, reason = "the interface of the C library")]
    // SAFETY: both parameters take any number of bytes, and no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST);
    }
}
