//! What the host of the master is doing.

/// The keys of `system/*`.
pub(super) fn numbers() -> Vec<(String, f64)> {
    let info = rustix::system::sysinfo();
    // The kernel counts the load in units of 1/65536.
    let load = |load: u64| load as f64 / f64::from(1 << 16);
    let bytes = |units: u64| units as f64 * f64::from(info.mem_unit.max(1));
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    [
        ("system/cpus_total", cpus as f64),
        ("system/load_1min", load(info.loads[0])),
        ("system/load_5min", load(info.loads[1])),
        ("system/load_15min", load(info.loads[2])),
        ("system/mem_total_bytes", bytes(info.totalram)),
        ("system/mem_free_bytes", bytes(info.freeram)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .to_vec()
}
