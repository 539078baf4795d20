//! Which levels of which features the releases of Apache Kafka have: what `version-mapping` and `feature-dependencies` of
//! kafka-features and kafka-storage print.

use super::flags::Parsed;
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(super) const METADATA_VERSION: &str = "metadata.version";
/// The level of the first of [`METADATA_VERSIONS`].
const FIRST_LEVEL: i16 = 7;
/// The level that the newest finished release has.
pub(super) const LATEST_LEVEL: i16 = 30;
/// By level, without a gap.
const METADATA_VERSIONS: [&str; 25] = [
    "3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2", "3.7-IV0", "3.7-IV1",
    "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0", "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0",
    "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0", "4.4-IV0",
];

/// A feature beside metadata.version.
pub(super) struct Feature {
    pub(super) name: &'static str,
    /// The highest level.
    highest: i16,
    /// The metadata.version from which a new cluster has the highest level. Before, it has level 0.
    default_from: i16,
    /// The metadata.version that the highest level needs.
    needs: Option<i16>,
}

const fn feature(name: &'static str, highest: i16, default_from: i16) -> Feature {
    Feature { name, highest, default_from, needs: None }
}

/// In the order in which Kafka's tools print them.
pub(super) const FEATURES: [Feature; 6] = [
    feature("kraft.version", 1, 21),
    feature("transaction.version", 2, 24),
    feature("group.version", 1, 22),
    Feature { needs: Some(23), ..feature("eligible.leader.replicas.version", 1, 26) },
    feature("share.version", 1, 28),
    feature("streams.version", 1, 29),
];

impl Feature {
    /// The level that a new cluster of this metadata.version has.
    pub(super) fn default_level(&self, metadata_level: i16) -> i16 {
        if metadata_level >= self.default_from { self.highest } else { 0 }
    }

    /// # Errors
    /// When there is no such level.
    pub(super) fn check(&self, level: i16) -> Result<(), Failure> {
        match (0..=self.highest).contains(&level) {
            true => Ok(()),
            false => Err(Failure::Input(format!("No feature:{} with feature level {level}", self.name))),
        }
    }
}

/// The name of a level of metadata.version.
pub(super) fn metadata_name(level: i16) -> Option<&'static str> {
    METADATA_VERSIONS.get(usize::try_from(level.checked_sub(FIRST_LEVEL)?).ok()?).copied()
}

/// The level that `release` has: `4.3-IV0` itself, or the last one of the release `4.3` or `4.3.1`.
///
/// # Errors
/// When there is none; the levels up to `newest` are named.
pub(super) fn metadata_level(release: &str, newest: i16) -> Result<i16, Failure> {
    let levels = || (FIRST_LEVEL..).zip(METADATA_VERSIONS);
    let exact = levels().find(|(_, name)| *name == release);
    let found = exact.or_else(|| {
        let mut numbers = release.split('.');
        let minor = format!("{}.{}-", numbers.next()?, numbers.next()?);
        numbers.all(|number| number.parse::<u16>().is_ok()).then_some(())?;
        levels().filter(|(level, name)| *level <= LATEST_LEVEL && name.starts_with(&minor)).last()
    });
    found.map(|(level, _)| level).ok_or_else(|| {
        let known = levels().filter(|(level, _)| *level <= newest).map(|(_, name)| name);
        let known = known.collect::<Vec<_>>().join(", ");
        Failure::Input(format!("Unknown metadata.version '{release}'. Supported metadata.version are: {known}"))
    })
}

/// The newest level that is known at all.
pub(super) const NEWEST_LEVEL: i16 = FIRST_LEVEL + METADATA_VERSIONS.len() as i16 - 1;

/// `name=level`.
///
/// # Errors
/// When it is written in another way.
pub(super) fn name_and_level(text: &str) -> Result<(String, i16), Failure> {
    let broken = |why: String| Failure::Input(format!("Can't parse feature=level string {text}: {why}"));
    let (name, level) = text.split_once('=').ok_or_else(|| broken("equals sign not found.".into()))?;
    let level = level.trim();
    let parsed = level.parse().map_err(|_| broken(format!("unable to parse {level} as a short.")))?;
    Ok((name.trim().into(), parsed))
}

/// `version-mapping`.
pub(super) fn print_mapping(parsed: &Parsed) -> Outcome {
    let latest = || metadata_name(LATEST_LEVEL).unwrap_or_default();
    let release = parsed.value("release-version")?.unwrap_or_else(latest);
    let level = metadata_level(release, NEWEST_LEVEL)?;
    let line = |feature: &Feature| format!("{}={}\n", feature.name, feature.default_level(level));
    say(&format!("{METADATA_VERSION}={level} ({release})\n{}", FEATURES.iter().map(line).collect::<String>()))
}

/// `feature-dependencies`.
pub(super) fn print_dependencies(parsed: &Parsed) -> Outcome {
    if !parsed.has("feature") {
        return Err(Failure::Usage("error: argument --feature is required".into()));
    }
    parsed.values("feature").try_for_each(|asked| say(&dependencies(asked)?))
}

fn dependencies(asked: &str) -> Result<String, Failure> {
    let (name, level) = name_and_level(asked)?;
    if name == METADATA_VERSION {
        let unknown = || Failure::Input(format!("Unknown metadata.version {level}"));
        return Ok(format!("{name}={level} ({}) has no dependencies.\n", metadata_name(level).ok_or_else(unknown)?));
    }
    let unknown = || Failure::Input(format!("Unknown feature: {name}"));
    let feature = FEATURES.iter().find(|feature| feature.name == name).ok_or_else(unknown)?;
    feature.check(level)?;
    Ok(match feature.needs.filter(|_| level == feature.highest) {
        None => format!("{name}={level} has no dependencies.\n"),
        Some(needed) => format!(
            "{name}={level} requires:\n    {METADATA_VERSION}={needed} ({})\n",
            metadata_name(needed).unwrap_or_default()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_has_the_last_level_of_its_line() {
        let level = |release| metadata_level(release, NEWEST_LEVEL).map_err(|failure| failure.to_string());
        for (release, expected) in [("3.3", 7), ("3.7.9", 19), ("4.0-IV1", 23), ("4.3.1", 30), ("4.4-IV0", 31)] {
            assert_eq!(level(release), Ok(expected), "{release}");
        }
        for release in ["4.4", "4", "4.", "4.0-IV9", "9.9", "", "4.3.x"] {
            assert!(
                level(release).unwrap_err().starts_with(&format!("Unknown metadata.version '{release}'.")),
                "{release}"
            );
        }
        assert_eq!(metadata_name(LATEST_LEVEL), Some("4.3-IV0"));
        assert_eq!((metadata_name(FIRST_LEVEL - 1), metadata_name(NEWEST_LEVEL + 1)), (None, None));
    }
}
