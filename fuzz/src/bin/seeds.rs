//! Writes the frames of the protocol's golden files as files that the fuzzer starts from, one directory a target.

use std::path::Path;
use std::{fs, io};

#[allow(dead_code)]
#[path = "../../../protocol/tests/golden/mod.rs"]
mod golden;

use golden::corpus;

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    write_all(&root.join("request"), corpus::requests())?;
    write_all(&root.join("response"), corpus::responses())?;
    write_all(&root.join("batch"), corpus::batches())?;
    write_all(&root.join("message_set"), corpus::message_sets())
}

fn write_all(dir: &Path, inputs: Vec<Vec<u8>>) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    println!("{} in {}", inputs.len(), dir.display());
    inputs.iter().enumerate().try_for_each(|(index, input)| fs::write(dir.join(format!("golden-{index:04}")), input))
}
