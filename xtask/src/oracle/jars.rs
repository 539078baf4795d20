//! Resolves a release of Apache Kafka through Maven, and starts JVMs on it.

use super::Outcome;
use crate::paths;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const DEFAULT_VERSION: &str = "4.3.1";

/// What makes up a Kafka installation: the broker, its tools, Connect with its file connectors, MirrorMaker, and a
/// logging backend. `(group, artifact, version)`; an empty version means Kafka's own.
const ARTIFACTS: &[(&str, &str, &str)] = &[
    ("org.apache.kafka", "kafka_2.13", ""),
    ("org.apache.kafka", "kafka-tools", ""),
    ("org.apache.kafka", "connect-mirror", ""),
    ("org.apache.kafka", "connect-file", ""),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4"),
    ("org.apache.logging.log4j", "log4j-core", "2.25.4"),
];

const LOGGING: &str = "\
rootLogger.level=${sys:oracle.log:-WARN}
rootLogger.appenderRef.stderr.ref=stderr
appender.stderr.type=Console
appender.stderr.name=stderr
appender.stderr.target=SYSTEM_ERR
appender.stderr.layout.type=PatternLayout
appender.stderr.layout.pattern=[%d] %p %m (%c)%n
";

pub(crate) fn wanted_version() -> String {
    std::env::var("KAFKA_VERSION").unwrap_or_else(|_| DEFAULT_VERSION.to_owned())
}

/// The directory with the release's jars, resolved on first use. A marker written last makes an interrupted fetch
/// start again.
pub(crate) fn fetch(version: &str) -> Outcome<PathBuf> {
    let dir = paths::target().join("oracle").join(version);
    let complete = dir.join(".complete");
    if complete.exists() {
        return Ok(dir);
    }
    let work = paths::target().join("oracle").join(format!("pom-{version}-{}", std::process::id()));
    for made in [&dir, &work] {
        fs::create_dir_all(made).map_err(|e| format!("{}: {e}", made.display()))?;
    }
    write(&work.join("pom.xml"), &pom(version))?;
    eprintln!("oracle: resolving Apache Kafka {version} from Maven Central");
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-ntp", "-f"]).arg(work.join("pom.xml")).arg("dependency:copy-dependencies");
    maven.arg("-DincludeScope=runtime").arg(format!("-DoutputDirectory={}", dir.display()));
    let status = maven.status().map_err(|e| format!("mvn: {e} (Maven and a JDK, 17 or newer, are needed)"))?;
    let _ = fs::remove_dir_all(&work);
    if !status.success() {
        return Err(format!("Maven could not resolve Apache Kafka {version}"));
    }
    write(&dir.join("log4j2.properties"), LOGGING)?;
    write(&complete, "")?;
    Ok(dir)
}

/// A JVM with the release on its class path, ready for a class name and arguments. `heap` is written as for -Xmx.
pub(crate) fn java(jars: &Path, heap: &str) -> Command {
    let mut java = Command::new("java");
    java.arg(format!("-Xmx{heap}")).arg(format!("-Xms{heap}"));
    java.args(["-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35"]);
    java.arg("-XX:+ExplicitGCInvokesConcurrent");
    java.arg("-Djava.awt.headless=true");
    if let Ok(extra) = std::env::var("ORACLE_JVM") {
        java.args(extra.split_whitespace());
    }
    java.arg(format!("-Dlog4j2.configurationFile={}", jars.join("log4j2.properties").display()));
    java.arg("-cp").arg(jars.join("*"));
    java
}

fn pom(version: &str) -> String {
    let mut dependencies = String::new();
    for (group, artifact, own) in ARTIFACTS {
        let version = if own.is_empty() { version } else { own };
        dependencies.push_str(&format!(
            "<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>\n"
        ));
    }
    format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n<modelVersion>4.0.0</modelVersion>\n\
         <groupId>ottla.oracle</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>\n\
         <dependencies>\n{dependencies}</dependencies>\n</project>\n"
    )
}

fn write(path: &Path, text: &str) -> Outcome<()> {
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}
