//! A fold as SVG: a box for each function, as wide as it was seen often, below those that it called.

use std::fmt::Write as _;

use super::fold::Fold;
use crate::report::escaped;

const WIDTH: f64 = 1400.0;
const ROW: f64 = 16.0;
const HEAD: f64 = 26.0;
/// What is narrower is left out, and what is wider has its name, as far as there is room.
const LEAST: f64 = 0.6;
const NAMED: f64 = 30.0;
const LETTER: f64 = 6.2;
/// Of a name.
const LETTERS_MAX: usize = 200;

pub(super) fn svg(fold: &Fold) -> String {
    let height = HEAD + ROW * (fold.depth() + 1) as f64;
    let mut drawing = Drawing {
        svg: format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"monospace\" \
             font-size=\"10\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<text x=\"8\" y=\"16\">{} samples; \
             orange: the kernel, green: the broker, grey: libraries</text>\n",
            fold.samples
        ),
        height,
        all: fold.samples as f64,
    };
    drawing.draw("all", fold, (0.0, 0));
    drawing.svg + "</svg>\n"
}

struct Drawing {
    svg: String,
    height: f64,
    all: f64,
}

impl Drawing {
    fn draw(&mut self, name: &str, fold: &Fold, (left, level): (f64, usize)) {
        let width = WIDTH * fold.samples as f64 / self.all;
        if width < LEAST {
            return;
        }
        let top = self.height - ROW * (level + 1) as f64;
        let share = 100.0 * fold.samples as f64 / self.all;
        let name: String = name.chars().take(LETTERS_MAX).collect();
        let _ = write!(
            self.svg,
            "<g><title>{}: {} samples, {share:.1} %</title><rect x=\"{left:.1}\" y=\"{top:.0}\" width=\"{:.1}\" \
             height=\"{}\" rx=\"2\" fill=\"{}\"/>",
            escaped(&name),
            fold.samples,
            (width - 0.5).max(0.1),
            ROW - 1.0,
            colour(&name, fold.is_kernel),
        );
        if width >= NAMED {
            let short: String = name.chars().take(((width - 6.0) / LETTER) as usize).collect();
            let _ =
                write!(self.svg, "<text x=\"{:.1}\" y=\"{:.0}\">{}</text>", left + 3.0, top + 11.0, escaped(&short));
        }
        self.svg.push_str("</g>\n");
        let mut at = left;
        for (name, callee) in &fold.callees {
            self.draw(name, callee, (at, level + 1));
            at += WIDTH * callee.samples as f64 / self.all;
        }
    }
}

fn colour(name: &str, is_kernel: bool) -> &'static str {
    const OURS: [&str; 6] = ["broker::", "storage::", "protocol::", "state::", "raft::", "ottla::"];
    if is_kernel {
        "#f2a65a"
    } else if OURS.iter().any(|part| name.contains(part)) {
        "#7fc8a9"
    } else {
        "#d5d8dc"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_is_as_wide_as_it_was_seen_often() {
        let thread = |frame: &str| format!("t\n\t10 {frame}\n\t20 main\n\n");
        let printed = thread("<a as broker::B>").repeat(3) + &thread("c");
        let svg = svg(&Fold::of(&printed));
        assert!(svg.contains("4 samples;"), "{svg}");
        let row = svg.lines().find(|line| line.contains("&lt;a as broker::B&gt;: 3 samples, 75.0 %")).unwrap();
        assert!(row.contains("width=\"1049.5\"") && row.contains("#7fc8a9") && row.contains("x=\"0.0\""), "{row}");
        let other = svg.lines().find(|line| line.contains("<title>c: 1 samples")).unwrap();
        assert!(other.contains("x=\"1050.0\""), "{other}");
    }
}
