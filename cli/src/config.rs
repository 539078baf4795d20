//! `ottla config`: the settings of topics, brokers and groups.

use client::Cluster;
use serde::Serialize;

use crate::admin::configs::{self, Change, Kind, source};
use crate::arguments::{ConfigSetArgs, ConfigShowArgs, ConfigUnsetArgs, ConfigVerb, EntityArgs};
use crate::failure::Outcome;
use crate::output::{print_as, say};
use crate::table::Table;

#[derive(Serialize)]
struct Setting {
    name: String,
    /// Hidden when it is sensitive.
    value: Option<String>,
    source: &'static str,
    read_only: bool,
    sensitive: bool,
}

pub(crate) async fn run(cluster: &Cluster, verb: &ConfigVerb) -> Outcome {
    match verb {
        ConfigVerb::Show(args) => show(cluster, args).await,
        ConfigVerb::Set(ConfigSetArgs { entity, settings }) => {
            let change = |text: &String| {
                let (name, value) = text.split_once('=').unwrap_or((text, ""));
                (name.trim().to_string(), Some(value.trim().to_string()))
            };
            alter(cluster, entity, settings.iter().map(change).collect()).await
        }
        ConfigVerb::Unset(ConfigUnsetArgs { entity, names }) => {
            alter(cluster, entity, names.iter().map(|name| (name.clone(), None)).collect()).await
        }
    }
}

impl EntityArgs {
    /// What is meant, and its name: empty for all brokers.
    fn entity(&self) -> (Kind, &str, String) {
        match (&self.topic, &self.broker, &self.group) {
            (Some(topic), _, _) => (Kind::Topic, topic, format!("topic {topic}")),
            (_, Some(broker), _) => (Kind::Broker, broker, format!("broker {broker}")),
            (_, _, Some(group)) => (Kind::Group, group, format!("group {group}")),
            _ => (Kind::Broker, "", "all brokers".into()),
        }
    }
}

async fn show(cluster: &Cluster, args: &ConfigShowArgs) -> Outcome {
    let (kind, name, _) = args.entity.entity();
    let described = configs::describe(cluster, kind, name).await?;
    let setting = |config: protocol::messages::describe_configs::DescribeConfigsResourceResult| Setting {
        name: config.name,
        value: config.value,
        source: source::name(config.config_source),
        read_only: config.read_only,
        sensitive: config.is_sensitive,
    };
    let is_shown = |setting: &Setting| args.all || setting.source != source::name(source::DEFAULT);
    let settings: Vec<Setting> = described.configs.into_iter().map(setting).filter(is_shown).collect();
    print_as(args.output, &settings, |settings| {
        let mut table = Table::new(&["NAME", "VALUE", "SOURCE"]);
        for setting in settings {
            table.row([setting.name.clone(), setting.value.clone().unwrap_or_default(), setting.source.to_string()]);
        }
        table.to_string()
    })
}

async fn alter(cluster: &Cluster, entity: &EntityArgs, changes: Vec<Change>) -> Outcome {
    let (kind, name, text) = entity.entity();
    configs::alter(cluster, kind, name, changes, false).await?;
    say(&format!("changed the settings of {text}\n"))
}
