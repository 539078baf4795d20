//! Log lines: one per event, on standard error, with the fields that an operator needs.

use std::str::FromStr;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Sets up logging at `level`: error, warn, info, debug or trace. Later calls change nothing.
pub(crate) fn init(level: &str) {
    // The table of keys lets no other word through.
    let filter = LevelFilter::from_str(level).unwrap_or(LevelFilter::INFO);
    // openraft tells its life at info; what matters of it is logged by the quorum itself.
    let targets = tracing_subscriber::filter::Targets::new()
        .with_default(filter)
        .with_target("openraft", filter.min(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(false);
    // Fails only when a test has set one up already.
    let _ = tracing_subscriber::registry().with(targets).with(lines).try_init();
}
