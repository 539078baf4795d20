//! Samples of stacks, put together where they are the same.

use std::collections::BTreeMap;

/// Where the kernel's addresses begin.
const KERNEL: u64 = 1 << 63;

/// A function and how often it was seen there, what it called included.
#[derive(Debug, Default)]
pub(super) struct Fold {
    pub(super) samples: u64,
    pub(super) is_kernel: bool,
    /// By name.
    pub(super) callees: BTreeMap<String, Fold>,
}

impl Fold {
    /// Folds what `perf script --fields comm,ip,sym` prints: a line with the name of a thread, then the stack, the
    /// innermost frame first, then an empty line.
    pub(super) fn of(printed: &str) -> Fold {
        let mut all = Fold::default();
        let (mut thread, mut frames) = (None, Vec::new());
        for line in printed.lines().chain([""]) {
            match (line.trim(), thread) {
                ("", Some(name)) => {
                    all.add(name, &frames);
                    (thread, frames) = (None, Vec::new());
                }
                ("", None) => {}
                (name, None) => thread = Some(name),
                (frame, Some(_)) => frames.push(frame),
            }
        }
        all
    }

    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    /// How many frames deep it is, this one not included.
    pub(super) fn depth(&self) -> usize {
        self.callees.values().map(|callee| 1 + callee.depth()).max().unwrap_or(0)
    }

    fn add(&mut self, thread: &str, frames: &[&str]) {
        self.samples += 1;
        let mut at = self.callees.entry(thread.to_owned()).or_default();
        at.samples += 1;
        for frame in frames.iter().rev() {
            let (address, symbol) = frame.split_once(' ').unwrap_or((frame, "[unknown]"));
            at = at.callees.entry(readable(symbol).to_owned()).or_default();
            at.samples += 1;
            at.is_kernel |= u64::from_str_radix(address, 16).is_ok_and(|address| address >= KERNEL);
        }
    }
}

/// A symbol without the hash that the compiler adds and the distance from its beginning.
fn readable(symbol: &str) -> &str {
    let symbol = symbol.trim();
    let symbol = symbol.rsplit_once("+0x").map_or(symbol, |(name, _)| name);
    match symbol.rsplit_once("::h") {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name,
        _ => symbol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "\
tokio-rt-worker 
\tffffffff81a00d10 _raw_spin_unlock_irqrestore
\t    55d0a1b2c3d4 broker::partition::append::h0123456789abcdef
\t    55d0a1b2c000 main

tokio-rt-worker 
\t    55d0a1b2c3d8 broker::partition::append::h0123456789abcdef
\t    55d0a1b2c000 main

flusher 
\t    7f0011223344 [unknown]
";

    #[test]
    fn stacks_are_counted_from_their_outermost_frame() {
        let fold = Fold::of(PRINTED);
        assert_eq!((fold.samples(), fold.depth()), (3, 4));
        let append = &fold.callees["tokio-rt-worker"].callees["main"].callees["broker::partition::append"];
        assert_eq!((append.samples, append.is_kernel), (2, false));
        let kernel = &append.callees["_raw_spin_unlock_irqrestore"];
        assert_eq!((kernel.samples, kernel.is_kernel), (1, true));
        assert_eq!(fold.callees["flusher"].callees["[unknown]"].samples, 1);
        assert_eq!(Fold::of("").samples(), 0);
    }

    #[test]
    fn names_lose_what_only_the_linker_reads() {
        assert_eq!(readable("a::b::h0123456789abcdef+0x1f"), "a::b");
        assert_eq!(readable("a::hash"), "a::hash");
        assert_eq!(readable("<T as core::ops::Fn>::call"), "<T as core::ops::Fn>::call");
    }
}
