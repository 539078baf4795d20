//! `kafka-groups`.

use protocol::messages::list_groups::ListedGroup;

use super::flags::{Flag, Parsed, switch, value};
use super::{BOOTSTRAP_SERVER, COMMAND_CONFIG, connect};
use crate::admin::groups;
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub(crate) const FLAGS: &[Flag] = &[
    BOOTSTRAP_SERVER,
    COMMAND_CONFIG,
    switch("list", "List groups of every type"),
    value("group-type", "type", "Only of this type: classic or consumer"),
    value("protocol", "name", "Only those whose members speak this protocol"),
    switch("consumer", "Only consumer groups"),
    switch("share", "Only share groups, of which there are none yet"),
    switch("streams", "Only streams groups, of which there are none yet"),
];

pub(crate) async fn run(parsed: &Parsed) -> Outcome {
    if !parsed.has("list") {
        return Err(Failure::Usage("Command must include exactly one action: --list.".into()));
    }
    let wanted = parsed.value("group-type")?.map(str::to_lowercase);
    let protocol = parsed.value("protocol")?;
    let mut found = groups::list(&connect(parsed).await?).await?;
    found.retain(|group| {
        wanted.as_ref().is_none_or(|wanted| group.group_type.to_lowercase() == *wanted)
            && protocol.is_none_or(|protocol| group.protocol_type == protocol)
            && (!parsed.has("consumer") || groups::is_of_consumers(group))
            && (!parsed.has("share") || group.group_type.eq_ignore_ascii_case("share"))
            && (!parsed.has("streams") || group.group_type.eq_ignore_ascii_case("streams"))
    });
    let width = found.iter().map(|group| group.group_id.len()).max().unwrap_or(0).max(15);
    let line = |name: &str, kind: &str, protocol: &str| format!("{name:<width$} {kind:<width$} {protocol:<width$}\n");
    let row = |group: &ListedGroup| {
        let kind = &group.group_type;
        let (first, rest) = kind.split_at(kind.len().min(1));
        line(&group.group_id, &format!("{}{rest}", first.to_uppercase()), &group.protocol_type)
    };
    say(&std::iter::once(line("GROUP", "TYPE", "PROTOCOL")).chain(found.iter().map(row)).collect::<String>())
}
