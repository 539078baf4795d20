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

/// So many bytes, or a part of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VolumeShare {
    Bytes(u64),
    /// 1 to 100.
    Percent(u8),
}

impl VolumeShare {
    /// Of a text such as `10GiB` or `80%`. Nothing at all is no share.
    pub(crate) fn parse(text: &str) -> Option<VolumeShare> {
        match text.trim().strip_suffix('%') {
            Some(percent) => {
                let percent = percent.trim_end().parse().ok()?;
                (1..=100).contains(&percent).then_some(VolumeShare::Percent(percent))
            }
            None => parse_size(text).filter(|bytes| *bytes > 0).map(VolumeShare::Bytes),
        }
    }

    /// Its bytes on a volume of this size.
    pub(crate) fn bytes_of(self, volume_bytes: u64) -> u64 {
        match self {
            VolumeShare::Bytes(bytes) => bytes,
            VolumeShare::Percent(percent) => {
                let share = u128::from(volume_bytes) * u128::from(percent) / 100;
                u64::try_from(share).unwrap_or(u64::MAX)
            }
        }
    }
}

/// Says what is wrong with a share of a volume.
pub(crate) fn check_volume_share(text: &str) -> Result<(), String> {
    let shape = "Not a size: write bytes, a number with KiB, MiB or GiB, or a part of the volume from 1% to 100%";
    VolumeShare::parse(text).map(|_| ()).ok_or_else(|| shape.into())
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
    #[test]
    fn a_share_is_bytes_or_percent() {
        let bytes = |text, volume_bytes| VolumeShare::parse(text).map(|share| share.bytes_of(volume_bytes));
        for (text, expected) in
            [("80%", 800), (" 7 % ", 70), ("100%", 1_000), ("1%", 10), ("5000", 5_000), ("1k", 1_024)]
        {
            assert_eq!(bytes(text, 1_000), Some(expected), "{text}");
        }
        assert_eq!(bytes("100%", u64::MAX), Some(u64::MAX));
        for text in ["", "%", "0%", "101%", "256%", "-1%", "12.5%", "0", "-1", "80 percent"] {
            assert_eq!(bytes(text, 1_000), None, "{text}");
            assert!(check_volume_share(text).is_err(), "{text}");
        }
    }
}
