//! How a line looks.

use std::fmt::{self, Debug};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::rate::Rate;

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
            return self.text.format_event(context, writer, event);
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
        let quoted = serde_json::to_string(text).unwrap_or_default();
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
