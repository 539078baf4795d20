//! A real Apache Kafka, from Maven Central: the oracle of schema, differential and client tests.
//!
//! The jars are resolved once per release into `target/oracle/<version>`; `KAFKA_VERSION` picks the release. The
//! oracle knows nothing of the broker that is compared with it.

mod cluster;
mod jars;
mod schemas;
mod tools;

use std::path::PathBuf;

const USAGE: &str = "\
usage: cargo xtask oracle <command>            (KAFKA_VERSION picks the release, default 4.3.1)

  fetch                                        resolve the jars (about 100 MB, once), print where they are
  schemas [DIR]                                write Kafka's message schemas: DIR/4.3.1/*.json and DIR/3.9.1/*.json
                                               (DIR defaults to target/oracle/schemas)
  start DIR [--port N] [--nodes N] [--heap 1g] [key=value...]
                                               start a cluster on loopback, state in DIR; prints host:port when it
                                               serves. Node i listens on N+2(i-1), its controller on the port after;
                                               port 0 (the default) takes free ones
  stop DIR                                     SIGTERM, then SIGKILL after 15 s; DIR stays
  kill DIR NODE                                SIGKILL one node
  tool NAME ARGS...                            run kafka-NAME.sh as shipped: topics, console-producer, dump-log...
                                               (run-class CLASS ARGS... runs any class of the release)
";

/// What went wrong, as one line for a person.
type Outcome<T> = Result<T, String>;

pub(crate) fn run(args: &[String]) -> Outcome<()> {
    let Some((command, rest)) = args.split_first() else {
        return Err(format!("oracle: no command\n{USAGE}"));
    };
    let path = |index: usize| {
        rest.get(index).map(PathBuf::from).ok_or_else(|| format!("oracle {command}: missing argument\n{USAGE}"))
    };
    match command.as_str() {
        "fetch" => {
            println!("{}", jars::fetch(&jars::wanted_version())?.display());
            Ok(())
        }
        "schemas" => schemas::write(rest.first().map(PathBuf::from)),
        "start" => cluster::start(&path(0)?, &rest[1..]),
        "stop" => cluster::stop(&path(0)?),
        "kill" => {
            let node = path(1)?;
            cluster::kill(&path(0)?.join(node))
        }
        "tool" => tools::run(rest),
        other => Err(format!("oracle: no command named {other}\n{USAGE}")),
    }
}
