//! The elements that a picture is made of, and their look.

use std::fmt::Write;

use super::scale::{Linear, Scale};

/// Colours and strokes, as plain values that every viewer knows. The hues differ in lightness too,
/// so that they can be told apart without seeing colour.
const STYLE: &str = "
text { font: 12px system-ui, sans-serif; fill: #1d2433; }
.title { font-size: 20px; font-weight: 600; }
.heading { font-size: 15px; font-weight: 600; }
text.label, text.note { fill: #5b6475; }
text.note { font-style: italic; }
text.tick { fill: #5b6475; font-size: 11px; }
text.number { fill: #7a3fb0; font-size: 10px; text-anchor: middle; }
.ground { fill: #ffffff; }
.grid { stroke: #e3e6ec; stroke-width: 1; }
.axis { stroke: #5b6475; stroke-width: 1; }
path { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
path.p50, line.p50 { stroke: #1f6fb5; }
path.p99, line.p99 { stroke: #c4650a; }
path.max, line.max { stroke: #9aa1ad; stroke-width: 1.1; }
path.write, path.read, path.failed { stroke-width: 2.6; stroke-linecap: round; }
path.write, line.write { stroke: #1f6fb5; stroke-opacity: 0.75; }
path.read, line.read { stroke: #3c9a78; stroke-opacity: 0.9; }
path.failed, line.failed { stroke: #c2182b; }
path.failed { stroke-width: 5; }
rect.answered { fill: #1f6fb5; fill-opacity: 0.45; }
line.answered { stroke: #1f6fb5; stroke-opacity: 0.45; }
rect.failed { fill: #c2182b; }
.band { fill: #1f6fb5; fill-opacity: 0.1; }
line.mark { stroke: #7a3fb0; stroke-width: 1; stroke-dasharray: 3 3; }
line.kill { stroke: #c2182b; stroke-width: 2; }
line.key { stroke-width: 4; }
";

/// A rectangle in which something is plotted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Area {
    pub(super) fn right(self) -> f64 {
        self.x + self.width
    }

    pub(super) fn bottom(self) -> f64 {
        self.y + self.height
    }
}

/// A picture in the making.
#[derive(Debug)]
pub(super) struct Svg {
    width: f64,
    body: String,
}

impl Svg {
    pub(super) fn new(width: f64) -> Svg {
        Svg {
            width,
            body: String::new(),
        }
    }

    /// The whole file; the height is known only now.
    pub(super) fn finish(self, height: f64) -> String {
        let Svg { width, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height:.0}\" \
             width=\"{width}\" height=\"{height:.0}\" role=\"img\">\n\
             <title>Latency and throughput of a remex demo</title>\n<style>{STYLE}</style>\n\
             <rect class=\"ground\" width=\"{width}\" height=\"{height:.0}\"/>\n{body}</svg>\n"
        )
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.body, "{element}").expect("writing to memory does not fail");
    }

    pub(super) fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let text = escaped(text);
        self.add(format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{text}</text>"#
        ));
    }

    pub(super) fn rectangle(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        self.add(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.2}" height="{height:.1}"/>"#
        ));
    }

    /// A line through points; it is interrupted where there is none.
    pub(super) fn line(&mut self, class: &str, points: &[Option<(f64, f64)>]) {
        let mut path = String::new();
        let mut pen = 'M';
        for point in points {
            match point {
                Some((x, y)) => {
                    write!(path, "{pen}{x:.1} {y:.1}").expect("writing to memory does not fail");
                    pen = 'L';
                }
                None => pen = 'M',
            }
        }
        self.add(format_args!(r#"<path class="{class}" d="{path}"/>"#));
    }

    /// Dots as one path of strokes without length: thousands of them stay a small file.
    pub(super) fn dots(&mut self, class: &str, dots: &[(f64, f64)]) {
        let mut path = String::new();
        for (x, y) in dots {
            write!(path, "M{x:.1} {y:.1}h0").expect("writing to memory does not fail");
        }
        self.add(format_args!(r#"<path class="{class}" d="{path}"/>"#));
    }

    /// A vertical mark through a plot that says what it stands for when it is pointed at.
    pub(super) fn mark(&mut self, class: &str, x: f64, area: Area, what: &str) {
        let (top, bottom, what) = (area.y, area.bottom(), escaped(what));
        self.add(format_args!(
            r#"<line class="{class}" x1="{x:.1}" x2="{x:.1}" y1="{top:.1}" y2="{bottom:.1}"><title>{what}</title></line>"#
        ));
    }

    /// A sample of a line for the legend.
    pub(super) fn key(&mut self, class: &str, x: f64, y: f64) {
        let (to, y) = (x + 14.0, y - 4.0);
        self.add(format_args!(
            r#"<line class="key {class}" x1="{x:.1}" x2="{to:.1}" y1="{y:.1}" y2="{y:.1}"/>"#
        ));
    }

    fn segment(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.add(format_args!(
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        ));
    }

    fn tick(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        self.add(format_args!(
            r#"<text class="tick" x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#
        ));
    }

    /// Horizontal lines at the ticks, with their values and unit at the left. Values of a scale in
    /// "ms" are microseconds.
    pub(super) fn grid(&mut self, area: Area, scale: &impl Scale, ticks: &[f64], unit: &str) {
        let divisor = if unit == "ms" { 1000.0 } else { 1.0 };
        for tick in ticks {
            let y = scale.place(*tick);
            self.segment("grid", (area.x, y), (area.right(), y));
            let text = format!("{} {unit}", number(tick / divisor));
            self.tick(area.x - 8.0, y + 4.0, "end", &text);
        }
    }

    /// The axis of time under a plot; `unit_us` microseconds are one of the unit.
    pub(super) fn time_axis(&mut self, area: Area, time: Linear, unit_us: f64, unit: &str) {
        let y = area.bottom();
        self.segment("axis", (area.x, y), (area.right(), y));
        for tick in time.ticks(12) {
            let x = time.place(tick);
            self.segment("axis", (x, y), (x, y + 4.0));
            self.tick(x, y + 17.0, "middle", &number(tick / unit_us));
        }
        self.tick(area.right(), y + 31.0, "end", unit);
    }
}

/// A number for people: thousands apart, no needless zeros.
fn number(value: f64) -> String {
    if value.abs() < 1000.0 {
        let text = format!("{value:.2}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        return text.to_owned();
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 {
        text.insert(0, '-');
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(0.1), "0.1");
        assert_eq!(number(0.0), "0");
        assert_eq!(number(100.0), "100");
        assert_eq!(number(2000.0), "2,000");
        assert_eq!(number(-1_234_567.0), "-1,234,567");
    }

    #[test]
    fn a_line_is_interrupted_where_there_is_no_value() {
        let mut svg = Svg::new(10.0);
        svg.line(
            "p50",
            &[Some((1.0, 2.0)), None, Some((3.0, 4.0)), Some((5.0, 6.0))],
        );
        assert!(svg.body.contains("M1.0 2.0M3.0 4.0L5.0 6.0"));
    }
}
