//! Moments and durations as ISO 8601 writes them.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::failure::Failure;

const DAY_MS: i64 = 86_400_000;
/// The longest duration, which is longer than all of the years that a moment may be in.
const DURATION_DAYS_MAX: i64 = 4_000_000;

/// `YYYY-MM-DDThh:mm:ss.sss`, with or without `Z` or `+hh:mm`, in ms since 1970-01-01 UTC, of the years 1 to 9999. What
/// came before 1970 is told as 1970: no record is older, and negative moments mean other things.
///
/// # Errors
/// When it is not written so.
pub(super) fn moment_ms(text: &str) -> Result<i64, Failure> {
    let moment_ms = read_moment(text).map(|moment_ms| moment_ms.max(0));
    moment_ms.ok_or_else(|| {
        Failure::Input(format!(
            "{text} is not a moment: write it as 2026-01-31T12:00:00.000, with Z or +01:00 after it"
        ))
    })
}

fn read_moment(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let mut numbers = date.split('-').map(|number| number.parse::<i64>().ok());
    let (year, month, day) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let (time, offset_ms) = match time.find(['Z', '+', '-']) {
        None => (time, 0),
        Some(place) if &time[place..] == "Z" => (&time[..place], 0),
        Some(place) => {
            let digits: String = time[place + 1..].chars().filter(|character| *character != ':').collect();
            let number: i64 = digits.parse().ok().filter(|_| digits.len() <= 4)?;
            let (hours, minutes) = if digits.len() > 2 { (number / 100, number % 100) } else { (number, 0) };
            let sign = if time[place..].starts_with('-') { -1 } else { 1 };
            (&time[..place], sign * (hours * 60 + minutes) * 60_000)
        }
    };
    let mut parts = time.splitn(3, ':');
    let (hours, minutes): (i64, i64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let seconds: f64 = parts.next().unwrap_or("0").parse().ok()?;
    let is_valid = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hours)
        && (0..60).contains(&minutes)
        && (0.0..61.0).contains(&seconds);
    is_valid.then(|| {
        let of_day_ms = (hours * 60 + minutes) * 60_000 + (seconds * 1000.0).round() as i64;
        days_since_1970(year, month, day) * DAY_MS + of_day_ms - offset_ms
    })
}

/// Of the Gregorian calendar; years begin in March, so that the leap day is the last one.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

/// The moment so long ago, ms since 1970-01-01 UTC, but not before that. A duration is `P1DT2H3M4.5S`, each part of
/// which may be missing.
///
/// # Errors
/// When it is not written so.
pub(super) fn ago_ms(text: &str) -> Result<i64, Failure> {
    let invalid = || Failure::Input(format!("{text} is not a duration: write it as P1DT2H3M4S"));
    let duration_ms = read_duration(text).ok_or_else(invalid)?;
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    Ok((now_ms - duration_ms).max(0))
}

fn read_duration(text: &str) -> Option<i64> {
    let (mut is_time, mut number, mut total_ms, mut is_empty) = (false, String::new(), 0.0, true);
    for character in text.strip_prefix('P')?.chars() {
        let unit_ms = match (character, is_time) {
            ('T', false) => {
                is_time = true;
                continue;
            }
            ('D', false) => DAY_MS,
            ('H', true) => 3_600_000,
            ('M', true) => 60_000,
            ('S', true) => 1000,
            (digit, _) => {
                number.push(digit);
                continue;
            }
        };
        total_ms += std::mem::take(&mut number).parse::<f64>().ok()? * unit_ms as f64;
        is_empty = false;
    }
    // False too for what is no number.
    let is_possible = total_ms.abs() <= (DURATION_DAYS_MAX * DAY_MS) as f64;
    (number.is_empty() && !is_empty && is_possible).then_some(total_ms as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        assert_eq!(moment_ms("1970-01-01T00:00:00.000").unwrap(), 0);
        assert_eq!(moment_ms("2000-02-29T12:30:15.500Z").unwrap(), 951_827_415_500);
        assert_eq!(moment_ms("2000-02-29T12:30:15.500+01:00").unwrap(), 951_823_815_500);
        assert_eq!(moment_ms("2024-12-31T23:59").unwrap(), 1_735_689_540_000);
        let absurd = [
            "9223372036854775807-01-01T00:00",
            "10000-01-01T00:00",
            "2000-9223372036854775807-01T00:00",
            "2000-01-9223372036854775807T00:00",
            "2000-01-01T9223372036854775807:00",
            "2000-01-01T00:9223372036854775807",
            "2000-01-01T00:00:1e300",
            "2000-01-01T00:00+9223372036854775807",
        ];
        for wrong in ["", "2000-01-01", "2000-13-01T00:00:00", "xT1"].into_iter().chain(absurd) {
            assert!(moment_ms(wrong).is_err(), "{wrong}");
        }
    }

    /// A moment of -1 asks a broker for the end of the log, and one of -2 for its start.
    #[test]
    fn a_moment_before_1970_is_not_taken_for_a_word() {
        assert_eq!(moment_ms("1969-12-31T23:59:59.999Z").unwrap(), 0);
        assert_eq!(moment_ms("0001-01-01T00:00").unwrap(), 0);
        assert_eq!(ago_ms("P40000D").unwrap(), 0);
    }

    #[test]
    fn durations_are_read() {
        assert_eq!(read_duration("P1DT2H3M4.5S"), Some(93_784_500));
        assert_eq!(read_duration("PT1H"), Some(3_600_000));
        for wrong in ["", "P", "PT", "1H", "P1H", "PT1D", "PnanD", "P-infD", "PinfD", "P99999999999999999999D"] {
            assert_eq!(read_duration(wrong), None, "{wrong}");
        }
    }
}
