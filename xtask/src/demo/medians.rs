//! Of several demos the median of each figure: one run on a shared machine proves little.

use super::report::{Report, aligned, ms};
use super::statistics::Figures;

/// The figures of all runs beside each other, and their medians.
pub(crate) fn table(reports: &[Report]) -> String {
    let names = [
        "failed", "gap", "session", "p50", "p99", "p99.9", "max", "duration",
    ];
    let mut rows = vec![std::array::from_fn::<String, 9, _>(|column| {
        let name = column.checked_sub(1).map_or("", |at| names[at]);
        name.to_owned()
    })];
    let steady = reports.iter().map(|report| (report.steady, None));
    rows.push(row("steady", &steady.collect::<Vec<_>>()));
    let upgrades = reports.iter().map(|report| report.upgrades.len()).max();
    for index in 0..upgrades.unwrap_or(0) {
        let mut made = reports
            .iter()
            .filter_map(|report| report.upgrades.get(index));
        let seen = made.clone().map(|upgrade| {
            let took = upgrade.window.to_us - upgrade.window.from_us;
            (upgrade.figures, Some(took))
        });
        let name = made.next().map_or_else(String::new, |upgrade| {
            format!("upgrade {} -> {}", upgrade.from, upgrade.to)
        });
        rows.push(row(&name, &seen.collect::<Vec<_>>()));
    }
    let replacements = reports.iter().flat_map(|report| &report.upgrades);
    let replacements = replacements.flat_map(|upgrade| &upgrade.replacements);
    let durations = replacements.map(|replacement| replacement.ended_us - replacement.began_us);
    let replaced = ms(median(durations.collect()));
    let count = reports.len();
    let rows = aligned(&rows);
    format!("Medians of {count} runs (ms)\n{rows}  each replacement: {replaced:.0} ms\n")
}

fn row(name: &str, seen: &[(Figures, Option<u64>)]) -> [String; 9] {
    let of = |figure: fn(&Figures) -> u64| {
        let all = seen.iter().map(|(figures, _)| figure(figures)).collect();
        format!("{:.2}", ms(median(all)))
    };
    let failed = seen.iter().map(|(figures, _)| figures.failed as u64);
    let durations: Vec<u64> = seen.iter().filter_map(|(_, took)| *took).collect();
    let duration = if durations.is_empty() {
        String::new()
    } else {
        format!("{:.0}", ms(median(durations)))
    };
    [
        name.to_owned(),
        median(failed.collect()).to_string(),
        of(|figures| figures.longest_gap_us),
        of(|figures| figures.longest_session_gap_us),
        of(|figures| figures.p50_us),
        of(|figures| figures.p99_us),
        of(|figures| figures.p999_us),
        of(|figures| figures.max_us),
        duration,
    ]
}

/// The middle value; of an even number the upper one of the two, so that it never flatters.
fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::green;
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_never_flatters() {
        assert_eq!(median(vec![9, 1, 5]), 5);
        assert_eq!(median(vec![4, 1]), 4);
        assert_eq!(median(Vec::new()), 0);
    }

    #[test]
    fn steady_state_and_upgrades_stand_beside_each_other() {
        let table = table(&[green(), green(), green()]);
        for told in [
            "Medians of 3 runs",
            "upgrade 1.0.0 -> 2.0.0",
            "each replacement: 180 ms",
        ] {
            assert!(table.contains(told), "{told:?} is missing in\n{table}");
        }
    }
}
