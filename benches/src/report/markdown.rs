//! Tables for people.

use std::fmt::Write as _;

use super::{Picture, Setting};
use crate::bars;
use crate::contender::Contender;
use crate::measure::Table;
use crate::statistics::Spread;

/// What is put in relation to what, and how the column is called.
const RATIOS: [(&str, Contender, Contender); 6] = [
    ("ottla ÷ kafka", Contender::Ottla, Contender::Kafka),
    ("kafka mode ÷ kafka", Contender::OttlaKafkaMode, Contender::Kafka),
    ("ottla ÷ kafka 512m", Contender::Ottla, Contender::Kafka512m),
    ("ottla ÷ limit", Contender::Ottla, Contender::Limit),
    ("kafka mode ÷ limit", Contender::OttlaKafkaMode, Contender::Limit),
    ("kafka ÷ limit", Contender::Kafka, Contender::Limit),
];

/// What lies beside the text.
pub(super) struct Pictures<'a> {
    pub(super) plots: &'a [Picture],
    pub(super) flames: &'a [Picture],
}

pub(super) fn report(setting: &Setting, table: &Table, pictures: &Pictures<'_>) -> String {
    let mut text = String::from("# Ottla, Apache Kafka and the machine's limit, side by side\n\n");
    about(&mut text, setting);
    let verdicts = bars::judge(table);
    if !verdicts.is_empty() {
        text.push_str(
            "\n## Bars\n\n| workload | measure | bar | median of rounds | reached |\n|---|---|---|---|---|\n",
        );
    }
    for verdict in verdicts {
        let reached = if verdict.reached { "yes" } else { "**no**" };
        let bars::Verdict { workload, measure, bar, found, .. } = verdict;
        let _ = writeln!(text, "| {workload} | {measure} | {bar} | {found} | {reached} |");
    }
    if !table.failures().is_empty() {
        let _ = writeln!(text, "\nNot measured:\n\n- {}", table.failures().join("\n- "));
    }
    for Picture { file, title, .. } in pictures.plots {
        let _ = writeln!(text, "\n![{title}]({file})");
    }
    for workload in table.workloads() {
        section(&mut text, table, workload);
    }
    if !pictures.flames.is_empty() {
        text.push_str("\n## Flame graphs\n\nStacks of the first round, its warm-up included.\n");
    }
    for Picture { file, title, .. } in pictures.flames {
        let _ = writeln!(text, "\n[{title}]({file})\n\n![{title}]({file})");
    }
    text
}

fn about(text: &mut String, setting: &Setting) {
    let Setting { machine, rounds, seconds, .. } = setting;
    let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
    let memory = &machine.memory;
    let _ = writeln!(
        text,
        "{rounds} rounds, {seconds} s each after a warm-up, in alternating order; clients and brokers share the machine.\n\
         Medians, with the least and the most in brackets. Ratios are taken round by round. Memory is the most seen during\n\
         a workload, on a contender that has done those above it; where partitions or connections grow, and only there,\n\
         each has just been started.\n\n\
         - {} × {}, {}, Linux {}, {}\n- Ottla {}, {}",
        machine.processors,
        machine.processor,
        gigabytes(machine.memory_bytes),
        machine.kernel,
        machine.file_system,
        machine.commit,
        machine.java,
    );
    let _ = writeln!(
        text,
        "- before the first round: {} free, {} in the page cache, {} of swap, huge pages: {}; throw-away data was written at\n  \
         {} MB/s, and again at {} MB/s (the first much slower: memory that nobody had touched before)",
        gigabytes(memory.free_bytes),
        gigabytes(memory.cached_bytes),
        gigabytes(memory.swap_bytes),
        memory.huge_pages,
        number(memory.first_touch_mb_per_second),
        number(memory.again_mb_per_second),
    );
    if setting.has_symbols {
        text.push_str(
            "- Ottla with names and frame pointers, sampled in the first round: it is a little slower for that\n",
        );
    }
}

fn section(text: &mut String, table: &Table, workload: &str) {
    let contenders = table.contenders();
    let measures = table.measures(workload);
    let is_known = |of, to| measures.iter().any(|measure| table.ratio(workload, *measure, (of, to)).is_some());
    let ratios: Vec<_> = RATIOS.into_iter().filter(|(_, of, to)| is_known(*of, *to)).collect();
    let titles = contenders.iter().map(|contender| contender.name()).chain(ratios.iter().map(|ratio| ratio.0));
    let titles: Vec<&str> = titles.collect();
    let _ = writeln!(text, "\n## {workload}\n\n| | {} |\n|---|{}", titles.join(" | "), "---|".repeat(titles.len()));
    for measure in measures {
        let mut cells = Vec::new();
        for contender in &contenders {
            cells.push(table.spread(workload, measure, *contender).map_or_else(|| "-".to_owned(), cell));
        }
        for (_, of, to) in &ratios {
            cells.push(table.ratio(workload, measure, (*of, *to)).map_or_else(|| "-".to_owned(), cell));
        }
        let _ = writeln!(text, "| {} | {} |", measure.title(), cells.join(" | "));
    }
}

fn cell(spread: Spread) -> String {
    format!("{} ({}–{})", number(spread.median), number(spread.min), number(spread.max))
}

/// Three digits that matter, thousands apart.
pub(crate) fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    grouped(&format!("{value:.digits$}"))
}

/// A whole number, thousands apart.
pub(crate) fn count(value: usize) -> String {
    grouped(&value.to_string())
}

fn grouped(text: &str) -> String {
    let whole = text.find('.').unwrap_or(text.len());
    let mut grouped = String::new();
    for (place, digit) in text.chars().enumerate() {
        if place > 0 && place < whole && (whole - place).is_multiple_of(3) && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::{count, number};

    #[test]
    fn numbers_for_people() {
        let shown = [0.01234, 1.234, 12.34, 123.4, 1234.0, 1234567.0].map(number);
        assert_eq!(shown, ["0.012", "1.23", "12.3", "123", "1,234", "1,234,567"]);
        assert_eq!([1, 200, 10_000].map(count), ["1", "200", "10,000"]);
    }
}
