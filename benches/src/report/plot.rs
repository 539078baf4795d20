//! Plots as SVG, drawn by hand: bars of who is how fast, and lines over a growing number of partitions or connections.

use std::fmt::Write as _;

use super::markdown::number;
use crate::contender::Contender;
use crate::measure::{Measure, Table};

const WIDTH: f64 = 760.0;
const LABEL: f64 = 300.0;
const BAR: f64 = 14.0;
const GAP: f64 = 14.0;
const HEAD: f64 = 34.0;
/// Of the lines' plot, inside its axes.
const PLOT: (f64, f64) = (620.0, 280.0);

/// What grows, as the end of a workload's name says it: "produce 16 KB, 100 partitions".
const AXES: [&str; 2] = ["partitions", "connections"];

/// Each with the name of its file. Measures that no workload has give none.
pub(super) fn plots(table: &Table) -> Vec<(String, String)> {
    let mut plots = Vec::new();
    for (name, measure) in [("throughput", Measure::MbPerSecond), ("cpu", Measure::CpuSecondsPerGb)] {
        let workloads: Vec<&String> =
            table.workloads().iter().filter(|workload| table.measures(workload).contains(&measure)).collect();
        if !workloads.is_empty() {
            plots.push((format!("{name}.svg"), bars(table, measure, &workloads)));
        }
    }
    for axis in AXES {
        for (name, measure) in [("throughput", Measure::MbPerSecond), ("memory", Measure::AnonymousMb)] {
            let points = growing(table, axis);
            if points.len() > 2 {
                plots.push((format!("{name}-over-{axis}.svg"), lines(table, measure, axis, &points)));
            }
        }
    }
    plots
}

/// Workloads that differ in the number before `axis` only, with that number; those of the longest such series.
fn growing<'a>(table: &'a Table, axis: &str) -> Vec<(f64, &'a str)> {
    let mut series: Vec<(&str, Vec<(f64, &str)>)> = Vec::new();
    for workload in table.workloads() {
        let Some((rest, count)) = workload.strip_suffix(axis).and_then(|text| text.trim_end().rsplit_once(' ')) else {
            continue;
        };
        let Ok(count) = count.replace(',', "").parse() else { continue };
        match series.iter_mut().find(|(name, _)| *name == rest) {
            Some((_, points)) => points.push((count, workload.as_str())),
            None => series.push((rest, vec![(count, workload.as_str())])),
        }
    }
    let mut points = series.into_iter().map(|(_, points)| points).max_by_key(Vec::len).unwrap_or_default();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

fn colour(contender: Contender) -> &'static str {
    match contender {
        Contender::Ottla => "#0b6e4f",
        Contender::OttlaKafkaMode => "#3fb68b",
        Contender::Kafka => "#c1440e",
        Contender::Kafka512m => "#e8a17d",
        Contender::Limit => "#9aa0a6",
    }
}

fn frame(width: f64, height: f64, title: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"8\" y=\"18\" font-size=\"14\" font-weight=\"bold\">{title}</text>\n"
    )
}

fn legend(svg: &mut String, contenders: &[Contender], width: f64) {
    let mut x = width - 110.0 * contenders.len() as f64;
    for contender in contenders {
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"9\" width=\"10\" height=\"10\" fill=\"{}\"/><text x=\"{}\" y=\"18\" font-size=\"10\">{}</text>",
            colour(*contender),
            x + 13.0,
            contender.name()
        );
        x += 110.0;
    }
}

fn bars(table: &Table, measure: Measure, workloads: &[&String]) -> String {
    let contenders = table.contenders();
    let group = BAR * contenders.len() as f64 + GAP;
    let medians = |workload: &str, contender| table.spread(workload, measure, contender).map(|spread| spread.median);
    let all = workloads.iter().flat_map(|workload| contenders.iter().filter_map(|who| medians(workload, *who)));
    let most = all.fold(f64::MIN_POSITIVE, f64::max);
    let mut svg = frame(WIDTH, HEAD + group * workloads.len() as f64, measure.title());
    legend(&mut svg, &contenders, WIDTH);
    for (row, workload) in workloads.iter().enumerate() {
        let top = HEAD + group * row as f64;
        let _ = writeln!(svg, "<text x=\"8\" y=\"{}\">{workload}</text>", top + BAR);
        for (place, contender) in contenders.iter().enumerate() {
            let Some(value) = medians(workload, *contender) else { continue };
            let (y, length) = (top + BAR * place as f64, (WIDTH - LABEL - 70.0) * value / most);
            let _ = writeln!(
                svg,
                "<rect x=\"{LABEL}\" y=\"{y}\" width=\"{length:.1}\" height=\"{}\" fill=\"{}\"/>\
                 <text x=\"{:.1}\" y=\"{}\" font-size=\"10\">{}</text>",
                BAR - 2.0,
                colour(*contender),
                LABEL + length + 4.0,
                y + BAR - 4.0,
                number(value)
            );
        }
    }
    svg + "</svg>\n"
}

fn lines(table: &Table, measure: Measure, axis: &str, points: &[(f64, &str)]) -> String {
    let (left, top) = (70.0, HEAD + 8.0);
    let contenders = table.contenders();
    let median = |workload, contender| table.spread(workload, measure, contender).map(|spread| spread.median);
    let all = points.iter().flat_map(|(_, workload)| contenders.iter().filter_map(|who| median(workload, *who)));
    let most = all.fold(f64::MIN_POSITIVE, f64::max);
    let (first, last) = (points[0].0.ln(), points[points.len() - 1].0.ln());
    // Logarithmic: it goes from one to thousands.
    let x = |count: f64| left + PLOT.0 * (count.ln() - first) / (last - first).max(f64::MIN_POSITIVE);
    let y = |value: f64| top + PLOT.1 * (1.0 - value / most);
    let (width, height) = (left + PLOT.0 + 40.0, top + PLOT.1 + 40.0);
    let mut svg = frame(width, height, &format!("{} over {axis}", measure.title()));
    legend(&mut svg, &contenders, width);
    for part in [0.0, 0.5, 1.0] {
        let (value, at) = (most * part, y(most * part));
        let _ = writeln!(
            svg,
            "<line x1=\"{left}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left + PLOT.0,
            left - 6.0,
            at + 4.0,
            number(value)
        );
    }
    for (count, _) in points {
        let (x, y) = (x(*count), top + PLOT.1 + 18.0);
        let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text>", number(*count));
    }
    for contender in contenders {
        let known = points.iter().filter_map(|(count, workload)| Some((x(*count), y(median(workload, contender)?))));
        let path: Vec<String> = known.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let (path, colour) = (path.join(" "), colour(contender));
        let _ = writeln!(svg, "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Numbers;

    #[test]
    fn a_series_grows_by_the_number_before_its_axis() {
        let mut table = Table::default();
        for count in ["1,000", "1", "12"] {
            let numbers = Numbers::from([(Measure::MbPerSecond, 5.0), (Measure::AnonymousMb, 3.0)]);
            table.add(0, &format!("produce 16 KB, {count} partitions"), Contender::Ottla, &numbers);
        }
        let counts: Vec<f64> = growing(&table, "partitions").into_iter().map(|(count, _)| count).collect();
        assert_eq!(counts, [1.0, 12.0, 1000.0]);
        let names: Vec<String> = plots(&table).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["throughput.svg", "throughput-over-partitions.svg", "memory-over-partitions.svg"]);
        for (_, svg) in plots(&table) {
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
