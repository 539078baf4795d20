//! Log lines: one per event, on standard error, with the fields that an operator needs.

use std::str::FromStr;

use tracing::level_filters::LevelFilter;

/// Sets up logging at `level`: error, warn, info, debug or trace. Later calls change nothing.
///
/// # Errors
/// The text of a level that does not exist.
pub fn init(level: &str) -> Result<(), String> {
    let filter = LevelFilter::from_str(level)
        .map_err(|_| format!("ottla.log.level={level} is not one of error, warn, info, debug, trace"))?;
    // openraft tells its life at info; what matters of it is logged by the quorum itself.
    let targets = tracing_subscriber::filter::Targets::new()
        .with_default(filter)
        .with_target("openraft", filter.min(LevelFilter::WARN));
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::util::SubscriberInitExt;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).with_ansi(false);
    // Fails only when a test has set one up already.
    let _ = tracing_subscriber::registry().with(targets).with(lines).try_init();
    Ok(())
}
