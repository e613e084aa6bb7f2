//! Numbers from many samples, and numbers about processes and the machine.

use std::time::Duration;

use anyhow::Context as _;

#[cfg(test)]
mod tests;

/// The value that `percent` of the samples do not exceed (nearest rank); not a number if there are none.
pub(crate) fn percentile(samples: &[f64], percent: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank lies between 0 and the number of samples"
    )]
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or(f64::NAN)
}

/// In milliseconds.
pub(crate) fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

/// The load average of the last minute.
pub(crate) fn load() -> f64 {
    std::fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .unwrap_or(f64::NAN)
}

/// How many processors there are.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A line of `/proc/PID/status` in KiB: `VmRSS`, `RssAnon`, `VmHWM`.
pub(crate) fn memory_kib(pid: u32, line: &str) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{path} is not readable"))?;
    status_kib(&text, line).with_context(|| format!("{path} has no {line}"))
}

fn status_kib(status: &str, line: &str) -> Option<f64> {
    let rest = status
        .lines()
        .find_map(|one| one.strip_prefix(line)?.strip_prefix(':'))?;
    rest.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Processor time that a process has used, its children not counted.
pub(crate) fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{path} is not readable"))?;
    stat_ticks(&text)
        // Linux counts in ticks of 10 ms towards user space, whatever the kernel's own rate is.
        .map(|ticks| ticks / 100.0)
        .with_context(|| format!("{path} is not understood"))
}

fn stat_ticks(stat: &str) -> Option<f64> {
    // The name stands in parentheses and may hold blanks; utime and stime are the 12th and 13th field behind it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let [user, system] = fields.get(11..13)? else {
        return None;
    };
    Some(user.parse::<f64>().ok()? + system.parse::<f64>().ok()?)
}
