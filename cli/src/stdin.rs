//! Standard input as bundles of lines.

use std::io::{self, BufRead, BufReader, Read};

use tokio::sync::mpsc;

/// A line may have this many bytes; a broker would refuse a larger record anyway.
const LINE_MAX_BYTES: u64 = 64 << 20;
/// A bundle ends with the line that makes it this large.
const BUNDLE_BYTES: usize = 512 << 10;
const BUNDLE_LINES: usize = 10_000;
/// Bundles that are read ahead.
const BUNDLES_AHEAD: usize = 2;
const READ_BYTES: usize = 64 << 10;

/// Lines without their ends.
pub(crate) type Bundle = io::Result<Vec<Vec<u8>>>;

/// Reads standard input in a thread of its own, since it cannot be waited for in any other way. A bundle holds the lines
/// that are there, so that somebody who types sees each line sent.
pub(crate) fn bundles() -> mpsc::Receiver<Bundle> {
    let (sender, receiver) = mpsc::channel(BUNDLES_AHEAD);
    std::thread::spawn(move || {
        let mut input = BufReader::with_capacity(READ_BYTES, io::stdin());
        loop {
            let bundle = next_bundle(&mut input);
            let is_last = !matches!(&bundle, Ok(lines) if !lines.is_empty());
            if sender.blocking_send(bundle).is_err() || is_last {
                break;
            }
        }
    });
    receiver
}

/// The lines that can be had without waiting once more; none at the end of the input.
fn next_bundle<R: Read>(input: &mut BufReader<R>) -> Bundle {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    while let Some(line) = next_line(input)? {
        bytes += line.len();
        lines.push(line);
        let is_full = bytes >= BUNDLE_BYTES || lines.len() >= BUNDLE_LINES;
        if is_full || !input.buffer().contains(&b'\n') {
            break;
        }
    }
    Ok(lines)
}

fn next_line<R: Read>(input: &mut BufReader<R>) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if input.take(LINE_MAX_BYTES).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.pop_if(|last| *last == b'\n').is_some() {
        line.pop_if(|last| *last == b'\r');
    } else if line.len() as u64 >= LINE_MAX_BYTES {
        return Err(io::Error::other(format!("a line of standard input is longer than {LINE_MAX_BYTES} bytes")));
    }
    Ok(Some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Vec<String>> {
        let mut input = BufReader::new(text.as_bytes());
        let mut bundles = Vec::new();
        loop {
            let bundle = next_bundle(&mut input).unwrap();
            if bundle.is_empty() {
                return bundles;
            }
            bundles.push(bundle.into_iter().map(|line| String::from_utf8(line).unwrap()).collect());
        }
    }

    #[test]
    fn lines_lose_their_ends_and_nothing_else() {
        assert_eq!(read("a\r\n\n b \n"), [["a", "", " b "]]);
        assert_eq!(read("a\nlast"), [["a"], ["last"]]);
        assert!(read("").is_empty());
    }

    #[test]
    fn bundles_are_bounded() {
        let text = "x\n".repeat(BUNDLE_LINES + 1);
        let lengths: Vec<usize> = read(&text).iter().map(Vec::len).collect();
        assert_eq!(lengths.iter().sum::<usize>(), BUNDLE_LINES + 1);
        assert!(lengths.iter().all(|length| *length <= BUNDLE_LINES), "{lengths:?}");
    }
}
