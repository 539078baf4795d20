//! How a line looks.

use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::rate::Rate;

/// Where a line of text, or a text of a JSON line, is cut, bytes. A client id alone may have 32 KiB, and a client can
/// have it written down.
const TEXT_MAX_BYTES: usize = 4096;

/// Writes lines, of which no one is repeated without end.
pub(super) struct Lines {
    text: Format<Full, SystemTime>,
    is_json: bool,
    rate: Rate,
}

impl Lines {
    pub(super) fn new(is_json: bool) -> Lines {
        Lines { text: Format::default().with_target(false), is_json, rate: Rate::default() }
    }

    fn write_left_out(&self, writer: &mut Writer<'_>, count: u64) -> fmt::Result {
        let message = format!("{count} lines like the next one were left out");
        if self.is_json {
            write!(writer, "{{\"time\":\"")?;
            SystemTime.format_time(writer)?;
            return writeln!(
                writer,
                "\",\"level\":\"WARN\",\"target\":\"broker::logging\",\"message\":\"{message}\"}}"
            );
        }
        SystemTime.format_time(writer)?;
        writeln!(writer, "  WARN {message}")
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        // Who asks for more than info wants to see it all.
        if *metadata.level() <= Level::INFO {
            match self.rate.admit(metadata.callsite(), Instant::now()) {
                None => return Ok(()),
                Some(0) => {}
                Some(left_out) => self.write_left_out(&mut writer, left_out)?,
            }
        }
        if !self.is_json {
            let mut line = String::new();
            self.text.format_event(context, Writer::new(&mut line), event)?;
            return writeln!(writer, "{}", cut(line.trim_end_matches('\n')));
        }
        write!(writer, "{{\"time\":\"")?;
        SystemTime.format_time(&mut writer)?;
        write!(writer, "\",\"level\":\"{}\",\"target\":\"{}\"", metadata.level(), metadata.target())?;
        let mut fields = JsonFields { writer: &mut writer, result: Ok(()) };
        event.record(&mut fields);
        fields.result?;
        writeln!(writer, "}}")
    }
}

/// As much of a text as a line has room for.
fn cut(text: &str) -> Cow<'_, str> {
    if text.len() <= TEXT_MAX_BYTES {
        return Cow::Borrowed(text);
    }
    let kept = text.floor_char_boundary(TEXT_MAX_BYTES);
    Cow::Owned(format!("{}… and {} bytes more", &text[..kept], text.len() - kept))
}

/// Fields as members of an object that is open. The message is one of them.
struct JsonFields<'a, 'w> {
    writer: &'a mut Writer<'w>,
    result: fmt::Result,
}

impl JsonFields<'_, '_> {
    fn member(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if self.result.is_ok() {
            self.result = write!(self.writer, ",\"{}\":{value}", field.name());
        }
    }

    fn text(&mut self, field: &Field, text: &str) {
        // A text always has a form in JSON.
        let quoted = serde_json::to_string(&cut(text)).unwrap_or_default();
        self.member(field, format_args!("{quoted}"));
    }
}

impl Visit for JsonFields<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, format_args!("{value}"));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, format_args!("{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, format_args!("{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // Infinity is no number of JSON's.
        if value.is_finite() {
            self.member(field, format_args!("{value}"))
        } else {
            self.text(field, &value.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters_and_says_so() {
        assert_eq!(cut("short"), "short");
        let long = format!("x{}", "ä".repeat(TEXT_MAX_BYTES));
        let cut = cut(&long);
        assert!(cut.len() < TEXT_MAX_BYTES + 40 && cut.ends_with("… and 4098 bytes more"), "{}", cut.len());
    }
}
