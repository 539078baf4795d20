//! Names that Kafka, its images or its ancestors know, and nothing here acts on.
//!
//! A name without consequence is accepted with one warning that says why it does nothing. A name whose meaning people
//! rely on (encryption, authentication, several nodes) stops the start: a broker that ignored it would look as
//! if it obeyed.

/// What setting such a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing would be different; the text says why.
    NoEffect(&'static str),
    /// Something would be different; the text says what to do instead.
    Refused(&'static str),
    /// As `Refused`, except for these values, which say what is so anyway.
    RefusedUnless(&'static [&'static str], &'static str),
}

use Verdict::{NoEffect, Refused, RefusedUnless};

const TLS: &str = "encryption is not supported yet; remove it, and let a proxy or the network encrypt";
const SASL: &str = "authentication is not supported yet; remove it, and keep strangers out by the network";
const REMOVED_ADDRESS: &str = "Kafka 3.0 removed it; set `listeners` and `advertised.listeners` instead";
const THREADS: &str = "threads are sized from the CPUs the process may use";
const METRICS: &str = "there is no JMX and no metrics reporter";
const ZOOKEEPER: &str = "there is no ZooKeeper";
const CLEANER: &str = "compaction is one thread that streams; it has no such thing";
const QUORUM: &str = "the metadata quorum has one voter";
const REPLICATION: &str = "nothing is replicated on one node";
const KIP_848: &str = "groups have no settings of their own, and patterns are resolved when topics change";
const SHARE: &str = "share groups are not built";
const QUOTA_DEFAULTS: &str =
    "Kafka 3.0 removed it; set a default quota with kafka-configs --entity-type clients --entity-default";
const PLUGIN: &str = "Java plug-ins cannot be loaded; remove it";
const TIERED: &str = "there is no tiered storage";
const PURGATORY: &str = "waiting requests are woken one by one; there is no purgatory to purge";

/// Exact names, then prefixes that end with a dot or stand for a family. The first that fits decides.
const KNOWN: &[(&str, Verdict)] = &[
    // Who takes part.
    (
        "process.roles",
        RefusedUnless(
            &["broker", "broker,controller", "controller,broker"],
            "a node that is only a \
        controller is not built; use broker,controller",
        ),
    ),
    (
        "controller.listener.names",
        NoEffect(
            "the metadata quorum of one node needs no listener; listeners of these names \
        are not opened",
        ),
    ),
    ("controller.quorum.bootstrap.servers", NoEffect(QUORUM)),
    ("inter.broker.listener.name", NoEffect(REPLICATION)),
    ("control.plane.listener.name", Refused("Kafka 4.0 removed it; remove it")),
    ("security.inter.broker.protocol", RefusedUnless(&["PLAINTEXT"], TLS)),
    ("inter.broker.protocol.version", NoEffect("every released protocol version is always served")),
    ("broker.heartbeat.interval.ms", NoEffect(QUORUM)),
    ("broker.session.timeout.ms", NoEffect(QUORUM)),
    ("broker.id.generation.enable", NoEffect(ZOOKEEPER)),
    ("reserved.broker.max.id", NoEffect(ZOOKEEPER)),
    ("initial.broker.registration.timeout.ms", NoEffect(QUORUM)),
    ("initial.controllers", NoEffect(QUORUM)),
    ("metadata.log.dir", Refused("the metadata log lies in the data directory; remove it")),
    ("metadata.*", NoEffect("the metadata log sizes itself")),
    ("zookeeper.*", NoEffect(ZOOKEEPER)),
    ("kraft.mode", NoEffect("there is no other mode")),
    ("enable.kraft", NoEffect("there is no other mode")),
    ("kraft.bootstrap.scram.users", Refused(SASL)),
    ("skip.kraft.storage.init", NoEffect("the data directory needs no formatting")),
    ("leader.imbalance.*", NoEffect(REPLICATION)),
    ("auto.leader.rebalance.enable", NoEffect(REPLICATION)),
    ("controlled.shutdown.*", NoEffect("a clean stop is always controlled")),
    ("replica.selector.class", Refused(PLUGIN)),
    ("replica.*", NoEffect(REPLICATION)),
    ("num.replica.fetchers", NoEffect(REPLICATION)),
    ("num.replica.alter.log.dirs.threads", NoEffect("there is one data directory")),
    ("alter.log.dirs.*", NoEffect("there is one data directory")),
    ("log.dir.failure.timeout.ms", NoEffect("there is one data directory")),
    ("cordoned.log.dirs", RefusedUnless(&[""], "there is one data directory; remove it")),
    // Security.
    ("ssl.*", Refused(TLS)),
    ("tls.*", Refused(TLS)),
    ("certificate.*", Refused(TLS)),
    ("sasl.*", Refused(SASL)),
    ("client.users", Refused(SASL)),
    ("client.passwords", Refused(SASL)),
    ("inter.broker.user", Refused(SASL)),
    ("inter.broker.password", Refused(SASL)),
    ("controller.user", Refused(SASL)),
    ("controller.password", Refused(SASL)),
    ("super.users", Refused(SASL)),
    ("allow.everyone.if.no.acl.found", RefusedUnless(&["true"], SASL)),
    (
        "authorizer.*",
        RefusedUnless(
            &[""],
            "authorization is not supported yet; remove it, and keep strangers out by the \
        network",
        ),
    ),
    ("delegation.token.*", Refused(SASL)),
    ("connections.max.reauth.ms", RefusedUnless(&["0"], SASL)),
    ("connection.failed.authentication.delay.ms", NoEffect("nobody authenticates")),
    ("principal.builder.class", Refused(PLUGIN)),
    ("security.providers", Refused(PLUGIN)),
    ("config.providers", RefusedUnless(&[""], PLUGIN)),
    ("listener.name.*", Refused("settings for one listener are not supported yet; set the key for all of them")),
    ("early.start.listeners", NoEffect("nobody authorizes")),
    // Plug-ins and policies.
    ("alter.config.policy.class.name", Refused(PLUGIN)),
    ("create.topic.policy.class.name", Refused(PLUGIN)),
    ("client.quota.callback.class", Refused(PLUGIN)),
    ("quota.producer.default", Refused(QUOTA_DEFAULTS)),
    ("quota.consumer.default", Refused(QUOTA_DEFAULTS)),
    (
        "max.connection.creation.rate",
        RefusedUnless(
            &["2147483647"],
            "the rate of a whole listener is not limited; remove it, and give addresses the quota \
        connection_creation_rate",
        ),
    ),
    (
        "max.connections.per.ip.overrides",
        RefusedUnless(
            &[""],
            "limits for single addresses are not built yet; use \
        max.connections.per.ip",
        ),
    ),
    ("replication.quota.*", NoEffect(REPLICATION)),
    ("controller.*", NoEffect(QUORUM)),
    // Addresses of old.
    ("advertised.host.name", Refused(REMOVED_ADDRESS)),
    ("advertised.port", Refused(REMOVED_ADDRESS)),
    ("host.name", Refused(REMOVED_ADDRESS)),
    ("port", Refused(REMOVED_ADDRESS)),
    // Sizes that follow from the machine.
    ("num.io.threads", NoEffect(THREADS)),
    ("num.network.threads", NoEffect(THREADS)),
    ("num.recovery.threads.per.data.dir", NoEffect(THREADS)),
    ("background.threads", NoEffect(THREADS)),
    ("group.coordinator.*", NoEffect(THREADS)),
    ("queued.max.requests", NoEffect("requests in memory are bounded by their bytes: queued.max.request.bytes")),
    ("socket.receive.buffer.bytes", NoEffect("the kernel sizes the buffers of what arrives")),
    ("socket.listen.backlog.size", NoEffect("the backlog is 1024")),
    ("socket.connection.setup.*", NoEffect(REPLICATION)),
    ("request.timeout.ms", NoEffect(REPLICATION)),
    ("fetch.purgatory.purge.interval.requests", NoEffect(PURGATORY)),
    ("producer.purgatory.purge.interval.requests", NoEffect(PURGATORY)),
    ("delete.records.purgatory.purge.interval.requests", NoEffect(PURGATORY)),
    // Logs.
    ("log.cleaner.*", NoEffect(CLEANER)),
    ("log.flush.offset.checkpoint.interval.ms", NoEffect("checkpoints are written when they are worth it")),
    ("log.flush.start.offset.checkpoint.interval.ms", NoEffect("checkpoints are written when they are worth it")),
    ("log.local.retention.*", RefusedUnless(&["-2"], "there is no tiered storage; remove it")),
    ("log.message.format.version", NoEffect("records are stored in format v2")),
    ("log.message.downconversion.enable", NoEffect("old consumers are always served")),
    (
        "log.message.timestamp.difference.max.ms",
        Refused(
            "Kafka 4.0 removed it; use \
        log.message.timestamp.before.max.ms and log.message.timestamp.after.max.ms",
        ),
    ),
    ("remote.log.storage.system.enable", RefusedUnless(&["false"], "there is no tiered storage; remove it")),
    ("remote.*", NoEffect(TIERED)),
    ("rlmm.*", NoEffect(TIERED)),
    ("rsm.*", NoEffect(TIERED)),
    ("follower.fetch.last.tiered.offset.enable", NoEffect(TIERED)),
    // Groups and transactions.
    ("offsets.topic.compression.codec", RefusedUnless(&["0"], "offsets are stored uncompressed; remove it")),
    ("offsets.load.buffer.size", NoEffect("offsets are loaded in pieces of fixed size")),
    ("offsets.commit.timeout.ms", NoEffect("a commit is answered when it is durable")),
    ("offsets.commit.required.acks", NoEffect("a commit is answered when it is durable")),
    ("group.consumer.*", NoEffect(KIP_848)),
    ("group.share.*", NoEffect(SHARE)),
    ("share.*", NoEffect(SHARE)),
    ("group.streams.*", NoEffect("the streams rebalance protocol of KIP-1071 is not built")),
    ("transaction.state.log.load.buffer.size", NoEffect("transactions are loaded in pieces of fixed size")),
    (
        "transaction.two.phase.commit.enable",
        RefusedUnless(&["false"], "two-phase commit of KIP-939 is not built; remove it"),
    ),
    ("producer.id.expiration.check.interval.ms", NoEffect("expired producers are forgotten with retention")),
    ("max.request.partition.size.limit", NoEffect("DescribeTopicPartitions answers at most 2000 partitions at a time")),
    // Metrics and what belongs to a JVM or an image.
    ("metric.reporters", NoEffect(METRICS)),
    ("metrics.*", NoEffect(METRICS)),
    ("auto.include.jmx.reporter", NoEffect(METRICS)),
    ("kafka.metrics.*", NoEffect(METRICS)),
    ("confluent.*", NoEffect("it belongs to Confluent's distribution")),
    ("log4j.*", NoEffect("there is no log4j; set ottla.log.level")),
    ("unstable.*", NoEffect("only released versions are served")),
];

/// What is known of `name` when it is set to `value`, or `None` when nobody has heard of it.
pub(crate) fn verdict(name: &str, value: &str) -> Option<Verdict> {
    let members = matches!(name, "controller.quorum.voters" | "controller.quorum.bootstrap.servers");
    if members && value.contains(',') {
        return Some(Refused("this release runs one node; name this node only"));
    }

    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    };
    KNOWN.iter().find(|(pattern, _)| fits(pattern)).map(|(_, verdict)| *verdict)
}

/// Whether `value` is one of `accepted`, spaces aside.
pub(crate) fn is_accepted(accepted: &[&str], value: &str) -> bool {
    let value: String = value.chars().filter(|c| !c.is_whitespace()).collect();
    accepted.contains(&value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::table;

    #[test]
    fn a_key_is_either_acted_on_or_not() {
        for key in table::broker_keys() {
            let exact = KNOWN.iter().any(|(pattern, _)| *pattern == key.name);
            assert!(!exact, "{} is in both lists", key.name);
        }
    }

    #[test]
    fn no_pattern_hides_behind_an_earlier_one() {
        for (i, (pattern, _)) in KNOWN.iter().enumerate() {
            let probe = pattern.replace('*', "x");
            let first = KNOWN.iter().position(|(p, _)| match p.strip_suffix('*') {
                Some(prefix) => probe.starts_with(prefix),
                None => probe == *p,
            });
            assert_eq!(first, Some(i), "{pattern} is never reached");
        }
    }

    #[test]
    fn security_is_refused_and_sizing_is_not() {
        for name in ["ssl.keystore.location", "sasl.enabled.mechanisms", "super.users", "listener.name.x.ssl.key"] {
            assert!(matches!(verdict(name, "x"), Some(Verdict::Refused(_))), "{name}");
        }
        for name in ["num.io.threads", "zookeeper.connect", "transaction.state.log.load.buffer.size"] {
            assert!(matches!(verdict(name, "x"), Some(Verdict::NoEffect(_))), "{name}");
        }
        assert_eq!(verdict("no.such.key", ""), None);
        assert!(matches!(verdict("controller.quorum.voters", "1@a:9093"), Some(Verdict::NoEffect(_))));
        assert!(matches!(verdict("controller.quorum.voters", "1@a:9093,2@b:9093"), Some(Verdict::Refused(_))));
        assert!(is_accepted(&["broker,controller"], " broker, controller "));
    }
}
