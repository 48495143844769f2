//! Memory of this process.

/// Resident memory in MiB. `None` if the system does not report it.
pub(crate) fn resident_mib() -> Option<f64> {
    field("VmRSS:")
}

/// Peak of the resident memory in MiB since the last [`forget_peak`]. `None` if the system does not report it.
pub(crate) fn peak_mib() -> Option<f64> {
    field("VmHWM:")
}

/// Resets the peak to the current resident memory. Returns whether this worked.
pub(crate) fn forget_peak() -> bool {
    cfg!(target_os = "linux") && std::fs::write("/proc/self/clear_refs", "5").is_ok()
}

fn field(name: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}
