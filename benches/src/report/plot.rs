//! Plots as SVG, drawn by hand: bars of who is how fast, and lines over a growing number of partitions or connections.

use std::fmt::Write as _;

use super::Picture;
use super::markdown::{count, number};
use crate::contender::Contender;
use crate::measure::{Measure, Table};

const WIDTH: f64 = 860.0;
const LABEL: f64 = 390.0;
const BAR: f64 = 14.0;
const GAP: f64 = 14.0;
const HEAD: f64 = 34.0;
/// Of the lines' plot, inside its axes.
const PLOT: (f64, f64) = (620.0, 280.0);

/// What grows, as the end of a workload's name says it: "produce 16 KB, 100 partitions".
const AXES: [&str; 2] = ["partitions", "connections"];
/// What is drawn over them.
const GROWING: [(&str, Measure); 3] =
    [("throughput", Measure::MbPerSecond), ("memory", Measure::AnonymousMb), ("rss", Measure::ResidentMb)];

/// Measures that no workload has give none.
pub(super) fn plots(table: &Table) -> Vec<Picture> {
    let mut plots = Vec::new();
    for (name, measure) in [("throughput", Measure::MbPerSecond), ("cpu", Measure::CpuSecondsPerGb)] {
        let workloads: Vec<&String> =
            table.workloads().iter().filter(|workload| table.measures(workload).contains(&measure)).collect();
        if !workloads.is_empty() {
            let (file, title) = (format!("{name}.svg"), measure.title().to_owned());
            plots.push(Picture { file, title, svg: bars(table, measure, &workloads) });
        }
    }
    for axis in AXES {
        for (name, measure) in GROWING {
            let points = growing(table, axis);
            if points.len() > 2 {
                let (file, title) = (format!("{name}-over-{axis}.svg"), format!("{} over {axis}", measure.title()));
                plots.push(Picture { file, svg: lines(table, measure, &title, &points), title });
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

/// Text as it may stand in an SVG.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
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
        let _ = writeln!(svg, "<text x=\"8\" y=\"{}\">{}</text>", top + BAR, escaped(workload));
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

/// Medians over a count that grows, both on logarithmic scales: a count goes from one to thousands, and what is told
/// apart are orders of magnitude.
fn lines(table: &Table, measure: Measure, title: &str, points: &[(f64, &str)]) -> String {
    let contenders = table.contenders();
    let median = |workload, contender| table.spread(workload, measure, contender).map(|spread| spread.median);
    let all = points.iter().flat_map(|(_, workload)| contenders.iter().filter_map(|who| median(workload, *who)));
    let (across, up) = (Scale::over(points.iter().map(|(count, _)| *count)), Scale::of_decades(all));
    let (left, top) = (70.0, HEAD + 8.0);
    let x = |count: f64| left + PLOT.0 * across.at(count);
    let y = |value: f64| top + PLOT.1 * (1.0 - up.at(value));
    let (width, height) = (left + PLOT.0 + 40.0, top + PLOT.1 + 40.0);
    let mut svg = frame(width, height, title);
    legend(&mut svg, &contenders, width);
    for value in up.ticks() {
        let (at, right) = (y(value), left + PLOT.0);
        let _ = writeln!(
            svg,
            "<line x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 6.0,
            at + 4.0,
            number(value)
        );
    }
    for (steps, _) in points {
        let (x, y) = (x(*steps), top + PLOT.1 + 18.0);
        let _ =
            writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{}</text>", count(*steps as usize));
    }
    for contender in contenders {
        let known = points.iter().filter_map(|(count, workload)| Some((x(*count), y(median(workload, contender)?))));
        let (known, colour): (Vec<(f64, f64)>, _) = (known.collect(), colour(contender));
        let path: Vec<String> = known.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let path = path.join(" ");
        let _ = writeln!(svg, "<polyline points=\"{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
        for (x, y) in known {
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
    }
    svg + "</svg>\n"
}

/// A logarithmic scale.
struct Scale {
    least: f64,
    most: f64,
}

impl Scale {
    /// From the least to the most.
    fn over(values: impl Iterator<Item = f64>) -> Scale {
        let (least, most) = values.fold((f64::MAX, f64::MIN_POSITIVE), |(low, high), v| (low.min(v), high.max(v)));
        Scale { least: least.min(most), most }
    }

    /// Over whole powers of ten.
    fn of_decades(values: impl Iterator<Item = f64>) -> Scale {
        let Scale { least, most } = Scale::over(values.filter(|value| *value > 0.0));
        let least = 10_f64.powf(least.log10().floor());
        Scale { least, most: 10_f64.powf(most.log10().ceil()).max(10.0 * least) }
    }

    /// From 0 to 1.
    fn at(&self, value: f64) -> f64 {
        let (value, whole) = (value.max(self.least) / self.least, self.most / self.least);
        value.ln() / whole.ln().max(f64::MIN_POSITIVE)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let decades = (self.most / self.least).log10().round() as i32;
        (0..=decades).map(|decade| self.least * 10_f64.powi(decade))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Numbers;

    #[test]
    fn a_series_grows_by_the_number_before_its_axis() {
        let mut table = Table::default();
        for count in ["1,000", "1", "12"] {
            let measures = [(Measure::MbPerSecond, 5.0), (Measure::AnonymousMb, 3.0), (Measure::ResidentMb, 8.0)];
            let numbers = Numbers::from(measures);
            table.add(0, &format!("produce 16 KB, {count} partitions"), Contender::Ottla, &numbers);
        }
        let counts: Vec<f64> = growing(&table, "partitions").into_iter().map(|(count, _)| count).collect();
        assert_eq!(counts, [1.0, 12.0, 1000.0]);
        let plots = plots(&table);
        let files: Vec<&str> = plots.iter().map(|plot| plot.file.as_str()).collect();
        assert_eq!(
            files,
            [
                "throughput.svg",
                "throughput-over-partitions.svg",
                "memory-over-partitions.svg",
                "rss-over-partitions.svg"
            ]
        );
        for Picture { svg, .. } in &plots {
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        // One point for each count, the least at the left and the most at the right.
        assert_eq!(plots[1].svg.matches("<circle").count(), 3);
        assert!(plots[1].svg.contains("cx=\"70.0\"") && plots[1].svg.contains("cx=\"690.0\""), "{}", plots[1].svg);
    }

    #[test]
    fn a_scale_has_whole_decades_and_its_ticks() {
        let scale = Scale::of_decades([25.0, 900.0].into_iter());
        assert_eq!(scale.ticks().map(f64::round).collect::<Vec<_>>(), [10.0, 100.0, 1000.0]);
        assert_eq!((scale.at(10.0), scale.at(1000.0)), (0.0, 1.0));
        assert!((scale.at(100.0) - 0.5).abs() < 1e-9 && scale.at(1.0) == 0.0);
        // All the same, and nothing at all.
        assert_eq!(Scale::of_decades([10.0].into_iter()).at(10.0), 0.0);
        assert!(Scale::of_decades([].into_iter()).ticks().all(f64::is_finite));
    }
}
