//! What is run: the checks of the workspace as a table, and one check for each script that says itself what it needs:
//! `k8s/run`, and those of the folders in `tests/clients`.

use crate::paths;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The check that builds the broker which the client suites talk to.
pub(crate) const BUILD: &str = "build";

#[derive(Clone)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) command: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    /// Programs without which it cannot run.
    pub(crate) needs: Vec<String>,
    pub(crate) timeout: Duration,
    /// A script that says itself what it needs, and not one of cargo's commands.
    pub(crate) is_script: bool,
    pub(crate) is_client: bool,
}

struct Row {
    name: &'static str,
    command: &'static [&'static str],
    needs: &'static [&'static str],
    timeout_s: u64,
    quick: bool,
}

const TABLE: &[Row] = &[
    Row {
        name: "fmt",
        command: &["cargo", "fmt", "--all", "--check"],
        needs: &["rustfmt"],
        timeout_s: 120,
        quick: true,
    },
    Row { name: "tidy", command: &["cargo", "xtask", "tidy"], needs: &["git"], timeout_s: 120, quick: true },
    Row {
        name: "clippy",
        command: &["cargo", "clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"],
        needs: &["cargo-clippy"],
        timeout_s: 900,
        quick: true,
    },
    Row {
        name: "unit",
        command: &["cargo", "test", "--locked", "--workspace", "--no-fail-fast", "--lib", "--bins"],
        needs: &[],
        timeout_s: 1200,
        quick: true,
    },
    // A share of them; `cargo xtask mutants` tries all.
    Row {
        name: "mutants",
        command: &["cargo", "xtask", "mutants", "--of-commit"],
        needs: &["git"],
        timeout_s: 1800,
        quick: false,
    },
    Row {
        name: "schemas",
        command: &["cargo", "xtask", "oracle", "schemas"],
        needs: &["mvn", "jar"],
        timeout_s: 600,
        quick: false,
    },
    Row {
        name: "integration",
        command: &["cargo", "test", "--locked", "--workspace", "--no-fail-fast", "--test", "*"],
        needs: &["java"],
        timeout_s: 1500,
        quick: false,
    },
    Row { name: "alerts", command: &["k8s/alerts/run"], needs: &["dpkg-deb"], timeout_s: 180, quick: false },
    Row {
        name: "image",
        command: &["cargo", "xtask", "image", "test"],
        needs: &["musl-gcc", "apt-get", "podman", "runc"],
        timeout_s: 1800,
        quick: false,
    },
    Row {
        name: "image-arm",
        command: &["cargo", "xtask", "image", "test", "--target", "aarch64", "--profile", "fast"],
        needs: &["aarch64-linux-gnu-gcc", "apt-get", "qemu-aarch64-static"],
        timeout_s: 1800,
        quick: false,
    },
    Row {
        name: "doc",
        command: &["cargo", "test", "--locked", "--workspace", "--doc"],
        needs: &[],
        timeout_s: 600,
        quick: false,
    },
    Row {
        name: BUILD,
        command: &["cargo", "build", "--locked", "--profile", "fast", "--bin", "ottla"],
        needs: &[],
        timeout_s: 1200,
        quick: false,
    },
    // Beside the count of allocations, which the integration tests hold: what a request costs, as a ratio.
    Row {
        name: "gate",
        command: &["cargo", "run", "--locked", "--profile", "fast", "-p", "benches", "--", "gate"],
        needs: &[],
        timeout_s: 900,
        quick: false,
    },
];

/// The checks to run, in order. With `wanted`, those whose name, or its last part, starts with one of the words;
/// client suites then bring the build with them.
pub(crate) fn checks(quick: bool, wanted: &[String]) -> Result<Vec<Check>, String> {
    let mut checks: Vec<Check> = TABLE.iter().filter(|row| row.quick || !quick).map(from_row).collect();
    if !quick {
        checks.push(scripted("k8s".to_owned(), &paths::root().join("k8s/run"))?);
        checks.extend(clients(&paths::root().join("tests/clients"))?);
    }
    if !wanted.is_empty() {
        let is_wanted = |check: &Check| wanted.iter().any(|word| answers_to(&check.name, word));
        let any_client = checks.iter().any(|check| check.is_client && is_wanted(check));
        checks.retain(|check| is_wanted(check) || (any_client && check.name == BUILD));
    }
    Ok(checks)
}

fn answers_to(name: &str, word: &str) -> bool {
    name.starts_with(word) || name.rsplit('/').next().is_some_and(|last| last.starts_with(word))
}

fn from_row(row: &Row) -> Check {
    let schemas = paths::target().join("oracle/schemas");
    Check {
        name: row.name.to_owned(),
        command: row.command.iter().map(|&word| word.to_owned()).collect(),
        env: vec![("OTTLA_SCHEMAS".to_owned(), schemas.display().to_string())],
        needs: row.needs.iter().map(|&program| program.to_owned()).collect(),
        timeout: Duration::from_secs(row.timeout_s),
        is_script: false,
        is_client: false,
    }
}

/// One check for each `tests/clients/<name>/run`.
fn clients(dir: &Path) -> Result<Vec<Check>, String> {
    let failed = |e: std::io::Error| format!("{}: {e}", dir.display());
    let mut found = Vec::new();
    for folder in fs::read_dir(dir).map_err(failed)?.flatten() {
        let script = folder.path().join("run");
        if script.is_file() {
            let name = format!("clients/{}", folder.file_name().to_string_lossy());
            let env = vec![("OTTLA_BIN".to_owned(), paths::target().join("fast/ottla").display().to_string())];
            found.push(Check { env, is_client: true, ..scripted(name, &script)? });
        }
    }
    found.sort_by_key(|check| (std::cmp::Reverse(check.timeout), check.name.clone()));
    Ok(found)
}

/// A script's second and third line say what it needs and how long it may take: `# needs: go git` and `# timeout: 600`.
fn scripted(name: String, script: &Path) -> Result<Check, String> {
    let text = fs::read_to_string(script).map_err(|e| format!("{}: {e}", script.display()))?;
    let header = |key: &str| text.lines().take(5).find_map(|line| line.strip_prefix("# ")?.strip_prefix(key));
    let needs = header("needs:").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let timeout_s = header("timeout:").and_then(|seconds| seconds.trim().parse().ok());
    let timeout_s = timeout_s.ok_or_else(|| format!("{}: no line \"# timeout: SECONDS\"", script.display()))?;
    Ok(Check {
        name,
        command: vec![script.display().to_string()],
        env: Vec::new(),
        needs,
        timeout: Duration::from_secs(timeout_s),
        is_script: true,
        is_client: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_answers_to_its_folder() {
        assert!(answers_to("clients/sarama", "sarama"));
        assert!(answers_to("clients/sarama", "clients"));
        assert!(!answers_to("clients/sarama", "ama"));
    }

    #[test]
    fn every_client_folder_says_how_long_it_may_take() {
        let found = clients(&paths::root().join("tests/clients")).expect("every run script has a header");
        assert!(!found.is_empty());
    }
}
