//! Sizes as people write them: `64MiB`.

/// Below this nothing works for long: one large request and one fetch must fit.
pub(crate) const LEAST_MEMORY_BYTES: u64 = 16 << 20;

/// Bytes of a text such as `67108864`, `64MiB`, `64m` or `1 GiB`. Units are binary, whatever their spelling.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "ki" | "kib" => 10,
        "m" | "mb" | "mi" | "mib" => 20,
        "g" | "gb" | "gi" | "gib" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Says what is wrong with a memory limit.
pub(crate) fn check_size(text: &str) -> Result<(), String> {
    match parse_size(text) {
        None => Err("Not a size: write bytes, or a number with KiB, MiB or GiB".into()),
        Some(bytes) if bytes < LEAST_MEMORY_BYTES => Err("Value must be at least 16MiB".into()),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_binary() {
        for (text, bytes) in [("67108864", 64 << 20), ("64MiB", 64 << 20), (" 64 m ", 64 << 20), ("1G", 1 << 30)] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5G", "1T", "99999999999999999999", "18446744073709551615k"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
        assert!(check_size("1MiB").is_err());
        assert!(check_size("16MiB").is_ok());
    }
}
