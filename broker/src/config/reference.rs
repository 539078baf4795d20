//! The configuration reference, out of the table.

use std::fmt::Write;

use super::key::{ConfigKey, Update};
use super::table;

/// Every key as Markdown: the broker's, then the topics'.
pub(crate) fn reference() -> String {
    let mut page = String::from("## Broker keys\n\n");
    write_table(&mut page, table::broker_keys());
    page.push_str("\n## Topic keys\n\n");
    write_table(&mut page, table::topic_keys());
    page
}

fn write_table(page: &mut String, keys: impl Iterator<Item = &'static ConfigKey>) {
    page.push_str("| key | type | default | values | changes | meaning |\n|---|---|---|---|---|---|\n");
    for key in keys {
        let default = if key.from_memory { "from memory" } else { key.default.unwrap_or("") };
        let changes = match key.update {
            Update::ReadOnly => "at start",
            Update::ClusterWide | Update::PerBroker | Update::Topic => "while running",
        };
        let reason =
            key.default_only.map(|reason| format!(" Only the default is accepted: {reason}")).unwrap_or_default();
        let (name, kind, check) = (key.name, key.kind.name().to_lowercase(), key.check.to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(page, "| `{name}` | {kind} | {default} | {check} | {changes} | {}{reason} |", key.doc);
    }
}
