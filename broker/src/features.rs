//! The levels of the cluster's features (KIP-584): what ApiVersions claims, and what UpdateFeatures may ask for.
//!
//! A feature is here when everything works that clients do because of it. Each has the one level that this release works
//! with: there is no other release in the cluster that would need a lower one.

use std::ops::RangeInclusive;

/// A feature.
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    /// What is understood.
    pub(crate) levels: RangeInclusive<i16>,
    /// What is in force.
    pub(crate) level: i16,
}

/// Every feature, by name.
pub(crate) static FEATURES: &[Feature] = &[
    // Groups of the consumer protocol (KIP-848).
    Feature { name: "group.version", levels: 0..=1, level: 1 },
    // Each end of a transaction gives the producer its next epoch (KIP-890).
    Feature { name: "transaction.version", levels: 0..=2, level: 2 },
];

/// The feature called `name`.
pub(crate) fn feature(name: &str) -> Option<&'static Feature> {
    FEATURES.iter().find(|feature| feature.name == name)
}
