//! Where Ottla means to answer differently, and why. Each must still be seen, or the test says that it is stale.

use std::ops::RangeInclusive;

/// A difference that is meant.
#[derive(Debug)]
pub(crate) struct Known {
    /// The beginning of "scenario: request"; empty for all.
    pub(crate) place: &'static str,
    /// The API, empty for all.
    pub(crate) api: &'static str,
    pub(crate) versions: RangeInclusive<i16>,
    /// What the path of the field has in it.
    pub(crate) path: &'static str,
    /// What Ottla says there has this in it.
    pub(crate) ottla: &'static str,
    #[allow(dead_code, reason = "for readers, and for the report of what is stale")]
    pub(crate) reason: &'static str,
}

const ALL: RangeInclusive<i16> = 0..=i16::MAX;

impl Known {
    pub(crate) fn covers(&self, place: &str, api: &str, version: i16, found: &(String, String, String)) -> bool {
        let (path, _, ottla) = found;
        place.starts_with(self.place)
            && (self.api.is_empty() || self.api == api)
            && self.versions.contains(&version)
            && path.contains(self.path)
            && ottla.contains(self.ottla)
    }
}

/// The list.
pub(crate) const KNOWN: &[Known] = &[Known {
    place: "api_versions",
    api: "ApiVersions",
    versions: ALL,
    path: "api_keys",
    ottla: "",
    reason: "an API is advertised when it works; those of a version that is not served yet are missing",
}];
