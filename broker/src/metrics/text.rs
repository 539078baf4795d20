//! Prometheus's text format, version 0.0.4, written in chunks.

use std::fmt::{Display, Write};

use bytes::Bytes;

use super::instruments::{Counts, Histogram};

/// A chunk leaves when it is this long, bytes.
const CHUNK_BYTES: usize = 16 * 1024;
/// Room for the line that fills a chunk.
const LINE_BYTES: usize = 1024;
/// Powers of two of microseconds that are told as buckets: 64 us to 67 s.
const TIME_POWERS: [usize; 11] = [6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26];
/// Powers of two that are told of plain numbers.
const NUMBER_POWERS: [usize; 10] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
/// Kafka's percentiles.
const QUANTILES: [(&str, f64); 6] =
    [("0.50", 0.5), ("0.75", 0.75), ("0.95", 0.95), ("0.98", 0.98), ("0.99", 0.99), ("0.999", 0.999)];

/// What a family is, in the words of its TYPE line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Summary,
    Histogram,
    /// Counters under names that do not end in `_total`, as one of the conventions wants them.
    Untyped,
}

/// The value of a label.
#[derive(Clone, Copy)]
pub(super) enum Label<'a> {
    Text(&'a str),
    Number(i64),
}

pub(super) type Labels<'a> = &'a [(&'static str, Label<'a>)];

/// The text as it is written.
pub(super) struct Exposition<'a> {
    text: String,
    send: Box<dyn FnMut(Bytes) -> bool + 'a>,
    /// Whether anybody still reads.
    is_read: bool,
}

impl<'a> Exposition<'a> {
    /// `send` takes a chunk and says whether it wants more.
    pub(super) fn new(send: impl FnMut(Bytes) -> bool + 'a) -> Exposition<'a> {
        Exposition { text: String::with_capacity(CHUNK_BYTES + LINE_BYTES), send: Box::new(send), is_read: true }
    }

    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Summary => "summary",
            Kind::Histogram => "histogram",
            Kind::Untyped => "untyped",
        };
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A sample of the family that was begun.
    pub(super) fn sample(&mut self, name: &str, labels: Labels<'_>, value: impl Display) {
        self.line(name, "", labels, None, value);
    }

    /// A sample whose labels are text already, as they are written; either part may be empty.
    pub(super) fn pushed_sample(&mut self, name: &str, labels: [&str; 2], value: f64) {
        if !self.is_read {
            return;
        }
        let comma = if labels.iter().any(|part| part.is_empty()) { "" } else { "," };
        let _ = writeln!(self.text, "{name}{{{}{comma}{}}} {value}", labels[0], labels[1]);
        self.send_full();
    }

    /// A family of one sample without labels.
    pub(super) fn single(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    /// Percentiles of the last minute, sum and count since the start, of times in microseconds, in milliseconds.
    pub(super) fn summary_ms(&mut self, name: &str, labels: Labels<'_>, histogram: &Histogram) {
        let recent = histogram.recent();
        for (text, share) in QUANTILES {
            let quantile = ("quantile", Label::Text(text));
            self.line(name, "", labels, Some(quantile), recent.quantile(share) / 1e3);
        }
        let counts = histogram.counts();
        self.line(name, "_sum", labels, None, counts.sum as f64 / 1e3);
        self.line(name, "_count", labels, None, counts.total());
    }

    /// Buckets of times in microseconds, in seconds.
    pub(super) fn histogram_seconds(&mut self, name: &str, labels: Labels<'_>, histogram: &Histogram) {
        self.histogram(name, labels, &histogram.counts(), &TIME_POWERS, 1e6);
    }

    /// Buckets of several histograms together.
    pub(super) fn histogram_seconds_of_all<'h>(
        &mut self,
        name: &str,
        labels: Labels<'_>,
        histograms: impl Iterator<Item = &'h Histogram>,
    ) {
        let all = histograms.map(Histogram::counts).fold(Histogram::new().counts(), Counts::plus);
        self.histogram(name, labels, &all, &TIME_POWERS, 1e6);
    }

    /// Buckets of plain numbers.
    pub(super) fn histogram_numbers(&mut self, name: &str, labels: Labels<'_>, histogram: &Histogram) {
        self.histogram(name, labels, &histogram.counts(), &NUMBER_POWERS, 1.0);
    }

    fn histogram(&mut self, name: &str, labels: Labels<'_>, counts: &Counts, powers: &[usize], unit: f64) {
        for power in powers {
            // What is below a power of two is at most one less, which only matters to plain numbers.
            let end = if unit == 1.0 { (1u64 << power) - 1 } else { 1 << power };
            let le = (end as f64 / unit).to_string();
            self.line(name, "_bucket", labels, Some(("le", Label::Text(&le))), counts.below_power(*power));
        }
        self.line(name, "_bucket", labels, Some(("le", Label::Text("+Inf"))), counts.total());
        self.line(name, "_sum", labels, None, counts.sum as f64 / unit);
        self.line(name, "_count", labels, None, counts.total());
    }

    fn line(
        &mut self,
        name: &str,
        suffix: &str,
        labels: Labels<'_>,
        last: Option<(&'static str, Label<'_>)>,
        value: impl Display,
    ) {
        if !self.is_read {
            return;
        }
        self.text.push_str(name);
        self.text.push_str(suffix);
        let mut opening = '{';
        for (name, label) in labels.iter().copied().chain(last) {
            self.text.push(opening);
            opening = ',';
            self.text.push_str(name);
            self.text.push_str("=\"");
            match label {
                Label::Text(text) => self.escape(text),
                Label::Number(number) => {
                    let _ = write!(self.text, "{number}");
                }
            }
            self.text.push('"');
        }
        if opening == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
        self.send_full();
    }

    fn send_full(&mut self) {
        if self.text.len() >= CHUNK_BYTES {
            let full = std::mem::replace(&mut self.text, String::with_capacity(CHUNK_BYTES + LINE_BYTES));
            self.is_read = (self.send)(full.into());
        }
    }

    fn escape(&mut self, text: &str) {
        if !text.contains(['\\', '"', '\n']) {
            return self.text.push_str(text);
        }
        for c in text.chars() {
            match c {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                other => self.text.push(other),
            }
        }
    }

    /// Sends what is left.
    pub(super) fn finish(mut self) {
        if self.is_read && !self.text.is_empty() {
            (self.send)(std::mem::take(&mut self.text).into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Exposition<'_>)) -> (String, usize) {
        let (mut text, mut chunks) = (String::new(), 0);
        let mut out = Exposition::new(|chunk| {
            text.push_str(std::str::from_utf8(&chunk).unwrap());
            chunks += 1;
            true
        });
        write(&mut out);
        out.finish();
        (text, chunks)
    }

    #[test]
    fn samples_as_prometheus_reads_them() {
        let (text, _) = written(|out| {
            out.single("up", Kind::Gauge, "Whether it is.", 1);
            out.sample("g", &[("group", Label::Text("a\"\\\nb")), ("partition", Label::Number(-1))], f64::NAN);
        });
        assert_eq!(
            text,
            "# HELP up Whether it is.\n# TYPE up gauge\nup 1\ng{group=\"a\\\"\\\\\\nb\",partition=\"-1\"} NaN\n"
        );
    }

    #[test]
    fn buckets_are_cumulative_and_end_with_all() {
        let histogram = Histogram::new();
        [1, 1, 2, 3, 900, 5000].into_iter().for_each(|value| histogram.record(value));
        let (text, _) = written(|out| out.histogram_numbers("h", &[], &histogram));
        for line in ["h_bucket{le=\"1\"} 2\n", "h_bucket{le=\"3\"} 4\n", "h_bucket{le=\"+Inf\"} 6\n", "h_count 6\n"] {
            assert!(text.contains(line), "{line} in {text}");
        }
        let (text, _) = written(|out| out.histogram_seconds("h", &[], &histogram));
        assert!(text.contains("h_bucket{le=\"0.001024\"} 5\n") && text.contains("h_sum 0.005907\n"), "{text}");
    }

    #[test]
    fn long_texts_leave_in_chunks_and_stop_when_nobody_reads() {
        let many = |out: &mut Exposition<'_>| (0..10_000).for_each(|i| out.sample("a_name", &[], i));
        let (text, chunks) = written(many);
        assert_eq!(text.lines().count(), 10_000);
        assert!(chunks > 5);
        let mut sent = 0;
        let mut out = Exposition::new(|_| {
            sent += 1;
            false
        });
        many(&mut out);
        out.finish();
        assert_eq!(sent, 1);
    }
}
