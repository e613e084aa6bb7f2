use super::*;

#[test]
fn a_percentile_is_the_nearest_rank() {
    let samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
    for (percent, expected) in [(0.0, 1.0), (50.0, 50.0), (99.0, 99.0), (100.0, 100.0)] {
        assert_eq!(percentile(&samples, percent), expected, "p{percent}");
    }
    assert_eq!(percentile(&[7.0], 99.0), 7.0);
    assert_eq!(percentile(&[3.0, 1.0, 2.0], 50.0), 2.0);
}

#[test]
fn a_percentile_of_nothing_is_no_number() {
    assert!(percentile(&[], 99.0).is_nan());
}

#[test]
fn memory_is_read_by_the_whole_name_of_its_line() {
    let status = "Name:\thub\nVmRSSX:\t 7 kB\nVmRSS:\t   23456 kB\nThreads:\t3\n";
    assert_eq!(status_kib(status, "VmRSS"), Some(23_456.0));
    assert_eq!(status_kib(status, "Threads"), None);
    assert_eq!(status_kib(status, "RssAnon"), None);
}

#[test]
fn processor_time_is_found_behind_a_name_with_blanks_and_parentheses() {
    let stat = "42 (a (odd) name) S 1 42 42 0 -1 4194560 900 0 0 0 250 50 0 0 20 0 9 0 100 1 1";
    assert_eq!(stat_ticks(stat), Some(300.0));
    assert_eq!(stat_ticks("42 (hub) S"), None);
}

#[test]
fn this_process_has_memory_and_used_processor_time() {
    let pid = std::process::id();
    assert!(memory_kib(pid, "VmRSS").is_ok_and(|kib| kib > 100.0));
    assert!(cpu_seconds(pid).is_ok_and(|seconds| seconds >= 0.0));
}
