//! The one program: a broker, and the tools that talk to it. What it was asked to do is in the `cli` crate.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use broker::config::ConfigInput;
use cli::Invocation;

/// Gives memory back after load; the C library's allocator, and musl's above all, keeps it or takes a lock for it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Two arenas are enough for the threads we have and waste little. A thread keeps what it freed for itself only up to 4 KB:
/// a batch is allocated by one thread and freed by another, and each would keep dozens of each size. A thread in the
/// background returns unused pages after a second, where the default waits ten and only while somebody allocates.
//
// jemalloc reads this symbol, a C string, when it starts. Exporting one is the whole of the unsafety: nothing else may
// define the name, and the text must end in a zero.
#[allow(unsafe_code)]
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: &[u8; 86] =
    b"narenas:2,tcache_max:4096,background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0\0";

fn main() -> ExitCode {
    match cli::parse() {
        Invocation::Broker { config, set } => broker::run(ConfigInput::of_process(set, config)),
        Invocation::Healthcheck { address, config } => {
            broker::healthcheck(address.as_deref(), &ConfigInput::of_process(Vec::new(), config))
        }
        Invocation::Tool(tool) => cli::run(tool),
        Invocation::Face(call) => cli::run_face(&call, broker_settings),
        Invocation::Completion(shell) => cli::print_completion(shell),
        Invocation::FaceNames(names) => cli::print_lines(&names),
    }
}

/// What a tool that prepares something for a broker has to know of it.
fn broker_settings(file: PathBuf) -> Result<BTreeMap<String, String>, String> {
    ConfigInput::of_process(Vec::new(), Some(file)).settings().map_err(|error| error.to_string())
}
