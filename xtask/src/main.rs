//! The project's own commands, run as `cargo xtask <command>`.
//!
//! `oracle` starts a real Apache Kafka and its tools, `tidy` checks the rules of the house, `test` is the one
//! command that decides whether a change is good, `image` builds the container image, `crash` kills a broker thousands
//! of times. Everything here is plain std: it compiles in seconds on a new machine, and it must not depend on the crates
//! it judges.
//!
//! Start at [`main`]: one line per command.

mod crash;
mod image;
mod mutants;
mod oracle;
mod paths;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [--quick] [--list] [NAME...]   every check there is, or those whose name starts with NAME
  tidy                                the rules of the house: imports, sizes, names, words
  image [--target x86_64|aarch64]     the container image, as a tar that every engine loads
  image test [--load-seconds N]       and runs it: in containers, or in an emulator if it is another machine's
  image twice                         and builds it in two places, which has to give the same bytes
  crash [KILLS]                       the crash test for as long as that many kills take
  mutants [--times N] [NAME...]       planted bugs, each of which a test has to notice
  oracle <command>                    a real Apache Kafka, its tools and its message schemas
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match args.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    let outcome = match command {
        "crash" => crash::run(rest),
        "image" => image::run(rest),
        "mutants" => mutants::run(rest),
        "oracle" => oracle::run(rest),
        "tidy" => tidy::run(),
        "test" => test::run(rest),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => Err(format!("no command named {other}\n{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("xtask: {reason}");
            ExitCode::FAILURE
        }
    }
}
