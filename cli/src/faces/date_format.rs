//! Moments written by a pattern of Java's SimpleDateFormat: the letters that are digits, in UTC.

use crate::failure::Failure;

/// A letter may stand there so often: far more than any number has digits.
const WIDTH_MAX: usize = 100;

/// A pattern that is understood.
pub(super) struct DateFormat(Vec<Part>);

enum Part {
    Text(String),
    /// A letter, and how often it stands there.
    Field(char, usize),
}

impl DateFormat {
    /// # Errors
    /// When the pattern has letters that are not understood here, or one of them too often.
    pub(super) fn new(pattern: &str) -> Result<DateFormat, Failure> {
        let mut parts = Vec::new();
        let mut characters = pattern.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\'' => {
                    let text: String = characters.by_ref().take_while(|inside| *inside != '\'').collect();
                    // Two in a row are one.
                    parts.push(Part::Text(if text.is_empty() { "'".into() } else { text }));
                }
                'y' | 'M' | 'd' | 'H' | 'm' | 's' | 'S' => {
                    let mut width = 1;
                    while characters.next_if_eq(&character).is_some() {
                        width += 1;
                    }
                    if character == 'M' && width > 2 {
                        return Err(unknown(pattern, "MMM"));
                    }
                    if width > WIDTH_MAX {
                        return Err(Failure::Input(format!(
                            "--date-format: {character} stands there {width} times in a row, at most {WIDTH_MAX} are possible"
                        )));
                    }
                    parts.push(Part::Field(character, width));
                }
                letter if letter.is_ascii_alphabetic() => return Err(unknown(pattern, &letter.to_string())),
                other => parts.push(Part::Text(other.into())),
            }
        }
        Ok(DateFormat(parts))
    }

    /// A moment, ms since 1970-01-01 UTC, as text.
    pub(super) fn write(&self, moment_ms: i64) -> String {
        let (year, month, day) = date(moment_ms.div_euclid(86_400_000));
        let of_day_ms = moment_ms.rem_euclid(86_400_000);
        let seconds = of_day_ms / 1000;
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(literal) => text.push_str(literal),
                // Two letters are the last two digits.
                Part::Field('y', 2) => text.push_str(&format!("{:02}", year % 100)),
                Part::Field(letter, width) => {
                    let number = match letter {
                        'y' => year,
                        'M' => month,
                        'd' => day,
                        'H' => seconds / 3600,
                        'm' => seconds / 60 % 60,
                        's' => seconds % 60,
                        _ => of_day_ms % 1000,
                    };
                    text.push_str(&format!("{number:0width$}"));
                }
            }
        }
        text
    }
}

fn unknown(pattern: &str, letter: &str) -> Failure {
    Failure::Input(format!("--date-format {pattern}: {letter} is not possible; there are y, M, MM, d, H, m, s and S"))
}

/// Year, month and day, from the days since 1970-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    // Years begin in March, so that the leap day is the last one; eras have 400 years.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(pattern: &str, moment_ms: i64) -> String {
        DateFormat::new(pattern).unwrap().write(moment_ms)
    }

    #[test]
    fn moments_are_written_as_java_writes_them() {
        let usual = "yyyy-MM-dd HH:mm:ss:SSS";
        assert_eq!(written(usual, 0), "1970-01-01 00:00:00:000");
        assert_eq!(written(usual, 951_827_415_500), "2000-02-29 12:30:15:500");
        assert_eq!(written(usual, 1_735_689_599_999), "2024-12-31 23:59:59:999");
        assert_eq!(written("yy/M/d 'at' H''mm", 951_827_415_500), "00/2/29 at 12'30");
        assert!(DateFormat::new("EEE").is_err() && DateFormat::new("MMM").is_err());
    }

    #[test]
    fn what_is_absurd_is_written_or_refused() {
        assert_eq!(written("y-M-d", i64::MAX), "292278994-8-17");
        assert!(written("yyyy-MM-dd HH:mm:ss:SSS", i64::MIN).starts_with('-'));
        assert_eq!(written(&"S".repeat(100), 1).len(), 100);
        assert!(DateFormat::new(&"y".repeat(70_000)).is_err());
    }
}
