//! What a file holds, and how much of it is durable.

use std::ops::Range;

use fastrand::Rng;

/// What a disk writes as a whole: old disks, and new ones.
const SECTORS: [usize; 2] = [512, 4096];
/// Sectors of removed and truncated files that are remembered, at most this many files' and…
const LEFTOVER_FILES: usize = 16;
/// …this many bytes of each.
const LEFTOVER_BYTES: usize = 16 * 1024;

/// A change that no fsync has covered.
#[derive(Clone, Debug)]
enum Effect {
    Write { position: usize, bytes: Vec<u8> },
    Truncate(usize),
    Reserve(usize),
}

/// A file's bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Room up to there reads as zeros where it was not written to, and as nothing else.
    reserved: usize,
    unsynced: Vec<Effect>,
}

impl Content {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.now
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.now
    }

    pub(crate) fn write(&mut self, position: usize, bytes: &[u8]) {
        self.change(Effect::Write { position, bytes: bytes.to_vec() });
    }

    pub(crate) fn truncate(&mut self, length: usize) {
        self.change(Effect::Truncate(length));
    }

    pub(crate) fn reserve(&mut self, end: usize) {
        self.change(Effect::Reserve(end));
    }

    fn change(&mut self, effect: Effect) {
        apply(&mut self.now, &effect);
        self.unsynced.push(effect);
    }

    pub(crate) fn sync(&mut self) {
        for effect in self.unsynced.drain(..) {
            apply(&mut self.durable, &effect);
            match effect {
                Effect::Reserve(end) => self.reserved = self.reserved.max(end),
                Effect::Truncate(length) => self.reserved = self.reserved.min(length),
                Effect::Write { .. } => {}
            }
        }
    }

    /// Becomes what the disk has of it: see the crate.
    pub(crate) fn lose_power(&mut self, rng: &mut Rng, weather: &Weather, leftovers: &Leftovers) {
        if self.unsynced.is_empty() {
            return;
        }
        let effects = std::mem::take(&mut self.unsynced);
        let lengths = lengths(self.durable.len(), &effects);
        let (most, count) = (lengths.iter().copied().max().unwrap_or_default(), effects.len());
        let kept = rng.usize(..=count);
        let (order, length) = match rng.u32(..8) {
            0 => (Order::Through(0), self.durable.len()),
            1 => (Order::Through(count), self.now.len()),
            2 | 3 => (Order::Through(kept), lengths[kept]),
            4 => (Order::Through(kept), any_length(rng, &lengths)),
            // Longer, and nothing that was written is there.
            5 => (Order::Through(0), any_length(rng, &lengths)),
            _ => (Order::Scattered, any_length(rng, &lengths)),
        };
        let touched = effects.iter().filter_map(Effect::begins).min().unwrap_or(most).min(self.durable.len());
        let mut sectors = Sectors::new(touched..most, weather.sector_bytes, order, count, rng);
        let held = self.durable.len();
        let mut bytes = std::mem::take(&mut self.durable);
        bytes.resize(most, 0);
        for (i, effect) in effects.iter().enumerate() {
            sectors.keep(i, effect, &mut bytes);
        }
        if weather.shows_leftovers {
            let fresh = held.max(self.reserved).next_multiple_of(weather.sector_bytes);
            sectors.fill_unwritten(fresh, leftovers, &mut bytes, rng);
        }
        bytes.truncate(length);
        bytes.resize(length, 0);
        self.reserved = length;
        self.now.clone_from(&bytes);
        self.durable = bytes;
    }
}

impl Effect {
    /// Where it first changes bytes, if it does.
    fn begins(&self) -> Option<usize> {
        match self {
            Effect::Write { position, .. } => Some(*position),
            Effect::Truncate(length) => Some(*length),
            Effect::Reserve(_) => None,
        }
    }
}

fn apply(bytes: &mut Vec<u8>, effect: &Effect) {
    match effect {
        Effect::Write { position, bytes: written } => {
            let end = position + written.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[*position..end].copy_from_slice(written);
        }
        Effect::Truncate(length) => bytes.resize(*length, 0),
        Effect::Reserve(_) => {}
    }
}

/// How long the file was before the effects, and after each.
fn lengths(durable: usize, effects: &[Effect]) -> Vec<usize> {
    let mut lengths = vec![durable];
    let mut length = durable;
    for effect in effects {
        match effect {
            Effect::Write { position, bytes } => length = length.max(position + bytes.len()),
            Effect::Truncate(to) => length = *to,
            Effect::Reserve(_) => {}
        }
        lengths.push(length);
    }
    lengths
}

/// One of these, or something between two that follow one another.
fn any_length(rng: &mut Rng, lengths: &[usize]) -> usize {
    let at = rng.usize(..lengths.len());
    let (one, next) = (lengths[at], lengths[(at + 1).min(lengths.len() - 1)]);
    match rng.u32(..4) {
        0 => rng.usize(one.min(next)..=one.max(next)),
        _ => one,
    }
}

/// What the failing disk is like.
#[derive(Debug)]
pub(crate) struct Weather {
    sector_bytes: usize,
    /// Whether room that was never written to has what others left there, as where a file system does not care.
    shows_leftovers: bool,
}

impl Weather {
    pub(crate) fn draw(rng: &mut Rng) -> Weather {
        Weather { sector_bytes: SECTORS[rng.usize(..SECTORS.len())], shows_leftovers: rng.u32(..4) == 0 }
    }
}

/// Which writes came to the disk.
enum Order {
    /// The first so many.
    Through(usize),
    /// Each sector has had its own.
    Scattered,
}

/// Sectors that unsynced effects touch: how many of the effects each has seen, and whether any of them wrote to it.
struct Sectors {
    first: usize,
    bytes: usize,
    sectors: Vec<(usize, bool)>,
}

impl Sectors {
    fn new(touched: Range<usize>, bytes: usize, order: Order, effects: usize, rng: &mut Rng) -> Sectors {
        let first = touched.start / bytes;
        let count = touched.end.div_ceil(bytes).saturating_sub(first);
        let mut seen = || match order {
            Order::Through(kept) => kept,
            Order::Scattered => rng.usize(..=effects),
        };
        Sectors { first, bytes, sectors: (0..count).map(|_| (seen(), false)).collect() }
    }

    /// Applies the effect with this number in those sectors that have seen it.
    fn keep(&mut self, number: usize, effect: &Effect, bytes: &mut [u8]) {
        let range = match effect {
            Effect::Write { position, bytes } => *position..position + bytes.len(),
            Effect::Truncate(length) => *length..bytes.len(),
            Effect::Reserve(_) => return,
        };
        let mut at = range.start;
        while at < range.end {
            let sector = at / self.bytes;
            let end = ((sector + 1) * self.bytes).min(range.end);
            let (seen, is_written) = &mut self.sectors[sector - self.first];
            if *seen > number {
                match effect {
                    Effect::Write { bytes: written, .. } => {
                        bytes[at..end].copy_from_slice(&written[at - range.start..end - range.start]);
                        *is_written = true;
                    }
                    _ => bytes[at..end].fill(0),
                }
            }
            at = end;
        }
    }

    /// Sectors from `fresh` on that nothing was written to have what others left there.
    fn fill_unwritten(&self, fresh: usize, leftovers: &Leftovers, bytes: &mut [u8], rng: &mut Rng) {
        for (i, (_, is_written)) in self.sectors.iter().enumerate() {
            let start = (self.first + i) * self.bytes;
            if start >= fresh && !is_written && rng.bool() {
                let end = (start + self.bytes).min(bytes.len());
                leftovers.copy_to(&mut bytes[start..end], self.bytes, rng);
            }
        }
    }
}

/// What stands on the disk where no file is any more.
#[derive(Debug, Default)]
pub(crate) struct Leftovers(Vec<Vec<u8>>);

impl Leftovers {
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.0.len() == LEFTOVER_FILES {
            self.0.remove(0);
        }
        self.0.push(bytes[..bytes.len().min(LEFTOVER_BYTES)].to_vec());
    }

    fn copy_to(&self, sector: &mut [u8], sector_bytes: usize, rng: &mut Rng) {
        if self.0.is_empty() {
            return;
        }
        let file = &self.0[rng.usize(..self.0.len())];
        let start = rng.usize(..file.len().div_ceil(sector_bytes)) * sector_bytes;
        let count = sector.len().min(file.len() - start);
        sector[..count].copy_from_slice(&file[start..start + count]);
    }
}
