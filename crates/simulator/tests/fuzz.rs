//! Any text is a plan, or is refused with the line that is none.

use fuzz::Decoder;
use simulator::Plan;

const PLAN: &str = "\
group 3 hosts 4 minimal 1
load bursts 2 of 32 every 64 ms singles 2
upgrade to 2.0.0 after 300 ms attempts 4 patience 2000 ms
at 120 ms pause leader 400 ms
on turn-transfer crash donor
";

#[test]
fn any_text_is_a_plan_or_is_refused() {
    let lines = PLAN.lines().map(str::to_owned);
    let valid = lines.chain([PLAN.to_owned(), String::new()]);
    Decoder::of("plan", valid.map(String::into_bytes))
        // A line of nine bytes is a strike or an upgrade of a few words, in a list that grows.
        .times(34)
        .survives(|bytes| std::str::from_utf8(bytes).is_ok_and(|text| text.parse::<Plan>().is_ok()));
}
