//! The picture of a run: latency and throughput over time, as one SVG file that needs nothing else.
//!
//! Above the whole run in slices of 100 ms; below each upgrade enlarged, every request a dot, with
//! numbered marks for what happened to the membership and a list of what the numbers mean. Colours
//! are style classes with a second set for dark surroundings.

mod scale;
mod svg;

use std::collections::BTreeMap;

use super::record::{Kind, Record, Request};
use super::report::{Report, Upgrade, View, ms, seconds};
use super::statistics::{Window, charged_us, percentile};
use scale::{Linear, Logarithmic, Scale};
use svg::{Area, Svg};

/// The picture's width; its height follows from what there is to show.
const WIDTH: f64 = 1200.0;
/// Space for the labels of the vertical axes.
const LEFT: f64 = 70.0;
/// Space at the right edge.
const RIGHT: f64 = 24.0;
/// How much time one point of the overview stands for: at 2,000 requests per second its p99 is the
/// second slowest of 200.
const SLICE_US: u64 = 100_000;
/// What is shown of the time around an upgrade.
const AROUND_US: u64 = 150_000;
/// The height of a line of text.
const LINE: f64 = 17.0;

/// Draws a run.
pub(crate) fn draw(record: &Record, report: &Report) -> String {
    let mut picture = Picture {
        svg: Svg::new(WIDTH),
        record,
        report,
        slices: Slice::all(record),
        y: 0.0,
    };
    picture.head();
    picture.latencies();
    picture.throughput();
    for upgrade in &report.upgrades {
        picture.enlarged(upgrade);
    }
    picture.svg.finish(picture.y + 8.0)
}

/// One point of the overview.
#[derive(Clone, Debug, Default)]
struct Slice {
    /// Sorted latencies of the requests that were meant to start in it.
    latencies: Vec<u64>,
    failed: usize,
}

impl Slice {
    fn all(record: &Record) -> Vec<Slice> {
        let limit_us = record.limit_us();
        let mut slices = Vec::new();
        for request in &record.requests {
            let index = usize::try_from(request.at / SLICE_US).expect("a run lasts minutes");
            if slices.len() <= index {
                slices.resize(index + 1, Slice::default());
            }
            let slice = &mut slices[index];
            slice.latencies.push(charged_us(request, limit_us));
            slice.failed += usize::from(request.failed(limit_us));
        }
        for slice in &mut slices {
            slice.latencies.sort_unstable();
        }
        slices
    }

    /// Per second.
    fn rate(&self) -> f64 {
        self.latencies.len() as f64 * (1_000_000 / SLICE_US) as f64
    }
}

struct Picture<'a> {
    svg: Svg,
    record: &'a Record,
    report: &'a Report,
    slices: Vec<Slice>,
    /// Where the next part begins.
    y: f64,
}

impl Picture<'_> {
    fn head(&mut self) {
        let total = &self.report.total;
        let title = format!(
            "remex demo: {} requests at {} per second, {} failed",
            total.requests, self.record.head.rate, total.failed
        );
        self.svg.text("title", LEFT, 30.0, &title);
        let upgrade = |upgrade: &Upgrade| {
            format!(
                "{} to {}: {:.0} ms, longest gap {:.1} ms, p99.9 {:.1} ms",
                upgrade.from,
                upgrade.to,
                ms(upgrade.window.to_us - upgrade.window.from_us),
                ms(upgrade.figures.longest_gap_us),
                ms(upgrade.figures.p999_us),
            )
        };
        let steady = format!(
            "steady: longest gap {:.1} ms, p99.9 {:.1} ms",
            ms(self.report.steady.longest_gap_us),
            ms(self.report.steady.p999_us)
        );
        let parts: Vec<String> = self.report.upgrades.iter().map(upgrade).collect();
        let subtitle = [vec![steady], parts].concat().join("  ·  ");
        self.svg.text("label", LEFT, 52.0, &subtitle);
        self.y = 72.0;
    }

    fn end_us(&self) -> u64 {
        (self.slices.len() as u64).max(1) * SLICE_US
    }

    /// Where a time of the overview stands.
    fn overview(&self, y: f64, height: f64) -> (Area, Linear) {
        let area = Area {
            x: LEFT,
            y,
            width: WIDTH - LEFT - RIGHT,
            height,
        };
        let time = Linear::new((0.0, self.end_us() as f64), (area.x, area.right()));
        (area, time)
    }

    fn latencies(&mut self) {
        let (area, time) = self.overview(self.y + 34.0, 240.0);
        let slowest = self
            .slices
            .iter()
            .filter_map(|slice| slice.latencies.last());
        let latency = latency_scale(slowest.copied().max(), area);
        self.svg.text("heading", LEFT, self.y + 14.0, "Latency");
        let lines: [(&str, &str, usize); 3] = [
            ("max", "slowest", 1000),
            ("p99", "p99", 990),
            ("p50", "p50", 500),
        ];
        let keys = lines.map(|(class, name, _)| (class, name));
        let note = "per 100 ms, from the intended start, logarithmic";
        self.legend(LEFT + 80.0, self.y + 14.0, &keys, note);
        self.bands(area, time);
        self.svg.grid(area, &latency, &latency.ticks(), "ms");
        for (class, _, per_mille) in lines {
            let points = self.slices.iter().enumerate().map(|(index, slice)| {
                let middle = (index as u64 * SLICE_US + SLICE_US / 2) as f64;
                let value = percentile(&slice.latencies, per_mille);
                (!slice.latencies.is_empty())
                    .then(|| (time.place(middle), latency.place(value as f64)))
            });
            let points: Vec<_> = points.collect();
            self.svg.line(class, &points);
        }
        self.marks(
            area,
            time,
            Window {
                from_us: 0,
                to_us: self.end_us(),
            },
        );
        self.svg.time_axis(area, time, 1e6, "s");
        self.y = area.bottom() + 44.0;
    }

    fn throughput(&mut self) {
        let (area, time) = self.overview(self.y + 34.0, 110.0);
        let highest = self.slices.iter().map(Slice::rate).fold(1.0, f64::max);
        let rate = Linear::rounded(highest, (area.bottom(), area.y));
        self.svg.text("heading", LEFT, self.y + 14.0, "Throughput");
        let keys = [("answered", "answered"), ("failed", "failed")];
        let note = "requests per second, by intended start";
        self.legend(LEFT + 106.0, self.y + 14.0, &keys, note);
        self.bands(area, time);
        self.svg.grid(area, &rate, &rate.ticks(4), "/s");
        for (index, slice) in self.slices.iter().enumerate() {
            let from = time.place((index as u64 * SLICE_US) as f64);
            let to = time.place(((index + 1) as u64 * SLICE_US) as f64);
            let all = slice.rate();
            let failed = all * slice.failed as f64 / slice.latencies.len().max(1) as f64;
            let top = rate.place(all);
            let border = rate.place(all - failed);
            let width = to - from;
            self.svg
                .rectangle("answered", from, border, width, area.bottom() - border);
            if slice.failed > 0 {
                self.svg.rectangle("failed", from, top, width, border - top);
            }
        }
        self.svg
            .time_axis(area, time, 1e6, "s since the load began");
        self.y = area.bottom() + 56.0;
    }

    /// One upgrade with every request, and what its marks mean.
    fn enlarged(&mut self, upgrade: &Upgrade) {
        let window = Window {
            from_us: upgrade.window.from_us.saturating_sub(AROUND_US),
            to_us: upgrade.window.to_us + AROUND_US,
        };
        let area = Area {
            x: LEFT,
            y: self.y + 34.0,
            width: WIDTH - LEFT - RIGHT,
            height: 200.0,
        };
        let time = Linear::new(
            (window.from_us as f64, window.to_us as f64),
            (area.x, area.right()),
        );
        let limit_us = self.record.limit_us();
        let here: Vec<&Request> = self.record.requests.iter().collect();
        let here = here.into_iter().filter(|r| window.holds(r.at));
        let here: Vec<&Request> = here.collect();
        let slowest = here.iter().map(|r| charged_us(r, limit_us)).max();
        let latency = latency_scale(slowest, area);
        let heading = format!("Upgrade {} to {}", upgrade.from, upgrade.to);
        self.svg.text("heading", LEFT, self.y + 14.0, &heading);
        let keys = [
            ("write", "write"),
            ("read", "read"),
            ("failed", "failed"),
            ("mark", "change of membership"),
            ("kill", "process killed"),
        ];
        self.legend(LEFT + 200.0, self.y + 14.0, &keys, "every request is a dot");
        self.bands(area, time);
        self.svg.grid(area, &latency, &latency.ticks(), "ms");
        let mut dots: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
        for request in here {
            let class = if request.failed(limit_us) {
                "failed"
            } else {
                match request.kind {
                    Kind::Write => "write",
                    Kind::Read => "read",
                }
            };
            let x = time.place(request.at as f64);
            let y = latency.place(charged_us(request, limit_us) as f64);
            dots.entry(class).or_default().push((x, y));
        }
        // Writes are the many; what is drawn later stays visible among them.
        for class in ["write", "read", "failed"] {
            if let Some(dots) = dots.get(class) {
                self.svg.dots(class, dots);
            }
        }
        let marks = self.marks(area, time, window);
        self.svg.time_axis(
            area,
            time.shifted(upgrade.window.from_us as f64),
            1e3,
            "ms since the command",
        );
        self.y = area.bottom() + 50.0;
        for (number, mark) in marks.iter().enumerate() {
            let text = format!("{}  {}  {}", number + 1, seconds(mark.at_us), mark.what);
            self.svg.text("label", LEFT, self.y, &text);
            self.y += LINE;
        }
        self.y += 24.0;
    }

    /// The upgrades as shaded stretches, and the kills.
    fn bands(&mut self, area: Area, time: Linear) {
        for upgrade in &self.report.upgrades {
            let Window { from_us, to_us } = upgrade.window;
            let from = time.place(from_us as f64).clamp(area.x, area.right());
            let to = time.place(to_us as f64).clamp(area.x, area.right());
            if to > from {
                self.svg
                    .rectangle("band", from, area.y, to - from, area.height);
            }
        }
    }

    /// Marks what happened to the membership in the window; returns what was marked, in order.
    fn marks(&mut self, area: Area, time: Linear, window: Window) -> Vec<View> {
        let shown = |view: &&View| u64::try_from(view.at_us).is_ok_and(|at| window.holds(at));
        let views: Vec<View> = self.report.views.iter().filter(shown).cloned().collect();
        // Numbers need room; where marks stand closer than that, a number covers its neighbours.
        let room = 14.0;
        let mut free = f64::MIN;
        for (number, view) in views.iter().enumerate() {
            let x = time.place(view.at_us as f64);
            self.svg.mark("mark", x, area, &view.what);
            if x >= free {
                let text = (number + 1).to_string();
                self.svg.text("number", x, area.y - 5.0, &text);
                free = x + room;
            }
        }
        for kill in self
            .report
            .upgrades
            .iter()
            .filter_map(|u| u.killed.as_ref())
        {
            if window.holds(kill.at_us) {
                let what = format!("{} killed: {}", kill.role, kill.who);
                self.svg
                    .mark("kill", time.place(kill.at_us as f64), area, &what);
            }
        }
        views
    }

    fn legend(&mut self, x: f64, y: f64, keys: &[(&str, &str)], note: &str) {
        let mut x = x;
        for (class, name) in keys {
            self.svg.key(class, x, y);
            self.svg.text("label", x + 20.0, y, name);
            x += 36.0 + 7.0 * name.chars().count() as f64;
        }
        self.svg.text("note", x + 8.0, y, note);
    }
}

/// From 0.05 ms, below which nothing that crosses processes gets, to the decade above the slowest.
fn latency_scale(slowest_us: Option<u64>, area: Area) -> Logarithmic {
    let slowest = slowest_us.unwrap_or(0).max(1000) as f64;
    Logarithmic::new((50.0, slowest), (area.bottom(), area.y))
}

#[cfg(test)]
mod tests {
    use super::super::record::{Head, Outcome};
    use super::super::report::tests::green;
    use super::*;

    fn record(failed_at: Option<u64>) -> Record {
        let request = |number: u64| Request {
            at: number * 500,
            done: number * 500 + 300 + number % 7 * 40,
            kind: if number.is_multiple_of(3) {
                Kind::Read
            } else {
                Kind::Write
            },
            session: u32::try_from(number % 64).unwrap_or(0),
            outcome: if failed_at == Some(number) {
                Outcome::Refused
            } else {
                Outcome::Answered
            },
        };
        Record {
            head: Head {
                schema: 1,
                began_us: 0,
                sessions: 64,
                rate: 2000,
                limit_ms: 1000,
            },
            requests: (0..24_000).map(request).collect(),
            resent: Vec::new(),
        }
    }

    /// Elements are closed, and every text is escaped: enough for a browser to show it.
    fn well_formed(svg: &str) -> bool {
        let mut open = Vec::new();
        for tag in svg.split('<').skip(1) {
            let Some((tag, _)) = tag.split_once('>') else {
                return false;
            };
            if let Some(name) = tag.strip_prefix('/') {
                if open.pop() != Some(name) {
                    return false;
                }
            } else if !tag.ends_with('/') {
                open.push(tag.split(' ').next().unwrap_or(tag));
            }
        }
        open.is_empty() && !svg.contains("NaN") && !svg.contains("inf")
    }

    #[test]
    fn a_run_is_drawn_with_axes_units_legend_and_marks() {
        let drawn = draw(&record(None), &green());
        assert!(well_formed(&drawn));
        for told in [
            "<title>",
            "Latency",
            "Throughput",
            "Upgrade 1.0.0 to 2.0.0",
            "10 ms",
            "2,000 /s",
            "class=\"band\"",
            "class=\"mark\"",
            "class=\"kill\"",
            "1  10.120 s  m1 died",
            "ms since the command",
        ] {
            assert!(drawn.contains(told), "{told:?} is missing");
        }
    }

    #[test]
    fn a_failed_request_is_visible_in_all_parts() {
        let red = r#"class="failed""#;
        let count = |svg: &str| svg.matches(red).count();
        let without = count(&draw(&record(None), &green()));
        let with = count(&draw(&record(Some(20_100)), &green()));
        assert_eq!(with, without + 2, "in the throughput and in the upgrade");
    }

    #[test]
    fn what_happened_is_escaped() {
        let mut report = green();
        report.views[0].what = "m1 <died> & left".to_owned();
        let drawn = draw(&record(None), &report);
        assert!(well_formed(&drawn));
        assert!(drawn.contains("m1 &lt;died&gt; &amp; left"));
    }

    #[test]
    fn a_run_without_requests_is_still_a_picture() {
        let mut nothing = record(None);
        nothing.requests.clear();
        assert!(well_formed(&draw(&nothing, &green())));
    }
}
