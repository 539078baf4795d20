//! Sizes and times with their units.

use std::time::Duration;

const SIZES: [(&str, f64); 7] = [
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
    ("KB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("B", 1.0),
];
const TIMES: [(&str, f64); 5] = [("ms", 1e-3), ("us", 1e-6), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
/// A year; nobody waits longer.
const SECONDS_MAX: f64 = 31_536_000.0;

/// Bytes: 65536, 64KiB, 1.5MB.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let bytes = read(text, &SIZES).or_else(|| text.parse().ok());
    let bytes = bytes.filter(|bytes| (0.0..=(1_u64 << 53) as f64).contains(bytes));
    bytes.map(|bytes| bytes as usize).ok_or_else(|| "a size is written as 65536, 64KiB or 1.5MB".into())
}

/// A time: 500ms, 10s, 5m.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = read(text, &TIMES).filter(|seconds| (0.0..=SECONDS_MAX).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "a time is written as 500ms, 10s or 5m".into())
}

fn read(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    units.iter().find_map(|(unit, factor)| {
        let number: f64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        Some(number * factor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_and_numbers_without_sense_are_not() {
        let sizes = ["1", "64KiB", "1.5MB", "2 GB", "7B"].map(|text| bytes(text).unwrap());
        assert_eq!(sizes, [1, 65_536, 1_500_000, 2_000_000_000, 7]);
        assert!(["", "KiB", "-1", "nan", "infMB", "1TB", "1e30"].iter().all(|text| bytes(text).is_err()));
        let times = ["500ms", "10s", "1.5m", "1h", "20us"].map(|text| duration(text).unwrap().as_micros());
        assert_eq!(times, [500_000, 10_000_000, 90_000_000, 3_600_000_000, 20]);
        assert!(["10", "s", "-1s", "nans", "2y", "99999999999h"].iter().all(|text| duration(text).is_err()));
    }
}
