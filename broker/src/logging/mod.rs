//! Log lines: one per event, on standard error, with the fields that an operator needs, as text or as JSON.
//!
//! Levels are those of named loggers, which change while the broker runs (KIP-412) and are forgotten when it ends.

mod lines;
mod rate;

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use lines::Lines;

pub(crate) use rate::LEFT_OUT;

/// The logger that all others inherit from.
pub(crate) const ROOT: &str = "root";
const OPENRAFT: &str = "openraft";

/// Every logger but the root, and the module whose lines it holds; more exact ones win.
const LOGGERS: &[(&str, &str)] = &[
    ("broker", "broker"),
    ("broker.config", "broker::config"),
    ("broker.coordinator", "broker::coordinator"),
    ("broker.dispatch", "broker::dispatch"),
    ("broker.handlers", "broker::handlers"),
    ("broker.http", "broker::http"),
    ("broker.partition", "broker::partition"),
    ("broker.server", "broker::server"),
    (OPENRAFT, "openraft"),
    ("raft", "raft"),
    ("storage", "storage"),
];

/// Kafka's names, loudest last. Nothing here is fatal and survives, so FATAL is silence.
const LEVELS: &[(&str, LevelFilter)] = &[
    ("FATAL", LevelFilter::OFF),
    ("ERROR", LevelFilter::ERROR),
    ("WARN", LevelFilter::WARN),
    ("INFO", LevelFilter::INFO),
    ("DEBUG", LevelFilter::DEBUG),
    ("TRACE", LevelFilter::TRACE),
];

static IN_FORCE: OnceLock<Loggers> = OnceLock::new();

struct Loggers {
    handle: reload::Handle<Targets, Registry>,
    levels: Mutex<Levels>,
}

/// What was set, by logger; the others inherit.
#[derive(Clone, Debug)]
struct Levels {
    root: LevelFilter,
    own: BTreeMap<&'static str, LevelFilter>,
}

/// Sets up logging at `level`: error, warn, info, debug or trace; in `format`: text or json. Later calls change nothing.
pub(crate) fn init(level: &str, format: &str) {
    // The table of keys lets no other word through.
    let levels = Levels::new(LevelFilter::from_str(level).unwrap_or(LevelFilter::INFO));
    let (filter, handle) = reload::Layer::new(levels.targets());
    let lines = tracing_subscriber::fmt::layer()
        .event_format(Lines::new(format == "json"))
        .with_writer(std::io::stderr)
        .with_ansi(false);
    // Fails only when a test has set one up already.
    if tracing_subscriber::registry().with(filter).with(lines).try_init().is_ok() {
        let _ = IN_FORCE.set(Loggers { handle, levels: Mutex::new(levels) });
    }
}

/// Every logger with the level in force.
pub(crate) fn loggers() -> Vec<(&'static str, &'static str)> {
    let Some(loggers) = IN_FORCE.get() else { return Vec::new() };
    let levels = loggers.levels.lock().unwrap_or_else(PoisonError::into_inner);
    let names = std::iter::once(ROOT).chain(LOGGERS.iter().map(|(name, _)| *name));
    names.map(|name| (name, level_name(levels.effective(name)))).collect()
}

/// The name of a logger, if there is one that is called so.
pub(crate) fn find(name: &str) -> Option<&'static str> {
    std::iter::once(ROOT).chain(LOGGERS.iter().map(|(name, _)| *name)).find(|known| *known == name)
}

/// Whether Kafka has a level of this name.
pub(crate) fn is_level(text: &str) -> bool {
    LEVELS.iter().any(|(name, _)| *name == text)
}

/// The names of all levels.
pub(crate) fn level_names() -> String {
    LEVELS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// Sets levels, or lets a logger inherit again. Takes effect at once, all together.
pub(crate) fn change(changes: &[(&'static str, Option<String>)]) {
    let Some(loggers) = IN_FORCE.get() else { return };
    let mut levels = loggers.levels.lock().unwrap_or_else(PoisonError::into_inner);
    for (name, level) in changes {
        let level =
            level.as_ref().and_then(|text| LEVELS.iter().find(|(name, _)| name == text)).map(|(_, level)| *level);
        levels.set(name, level);
    }
    // Fails only when the subscriber is gone, and with it every line.
    let _ = loggers.handle.reload(levels.targets());
}

impl Levels {
    fn new(root: LevelFilter) -> Levels {
        // openraft tells its life at info; what matters of it is logged by the quorum itself.
        Levels { root, own: BTreeMap::from([(OPENRAFT, root.min(LevelFilter::WARN))]) }
    }

    fn set(&mut self, name: &'static str, level: Option<LevelFilter>) {
        match (name, level) {
            (ROOT, Some(level)) => self.root = level,
            (ROOT, None) => {}
            (_, Some(level)) => drop(self.own.insert(name, level)),
            (_, None) => drop(self.own.remove(name)),
        }
    }

    /// Its own level, or that of the nearest above it.
    fn effective(&self, name: &str) -> LevelFilter {
        let mut name = name;
        loop {
            if let Some(level) = self.own.get(name) {
                return *level;
            }
            match name.rsplit_once('.') {
                Some((above, _)) => name = above,
                None => return self.root,
            }
        }
    }

    fn targets(&self) -> Targets {
        let own = LOGGERS.iter().filter_map(|(name, target)| Some((*target, *self.own.get(name)?)));
        Targets::new().with_default(self.root).with_targets(own)
    }
}

fn level_name(level: LevelFilter) -> &'static str {
    LEVELS.iter().find(|(_, known)| *known == level).map_or("INFO", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn loggers_inherit_until_they_have_a_level_of_their_own() {
        let mut levels = Levels::new(LevelFilter::INFO);
        assert_eq!(levels.effective("broker.server"), LevelFilter::INFO);
        assert_eq!(levels.effective(OPENRAFT), LevelFilter::WARN);
        levels.set("broker", Some(LevelFilter::ERROR));
        levels.set("broker.server", Some(LevelFilter::DEBUG));
        let targets = levels.targets();
        assert!(targets.would_enable("broker::server::connection", &Level::DEBUG));
        assert!(!targets.would_enable("broker::handlers::fetch", &Level::WARN));
        assert!(targets.would_enable("storage::log", &Level::INFO));
        assert_eq!(levels.effective("broker.handlers"), LevelFilter::ERROR);
        levels.set("broker.server", None);
        assert_eq!(levels.effective("broker.server"), LevelFilter::ERROR);
        levels.set(ROOT, Some(LevelFilter::OFF));
        assert!(!levels.targets().would_enable("storage::log", &Level::ERROR));
        assert_eq!(level_name(levels.effective("storage")), "FATAL");
    }
}
