//! What a joiner says of itself: its daemon keeps it, with the time of day of each line.

use wire::MemberId;

/// A transfer as the joiner tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// When it was admitted, in milliseconds since midnight (UTC).
    pub(super) admitted_ms: u64,
    /// Who gave it the state.
    pub(super) donor: MemberId,
    /// When it had the state, mapped and ready to execute requests, in milliseconds since midnight.
    pub(super) has_state_ms: u64,
    /// Bytes that came.
    pub(super) bytes: u64,
}

/// Reads the transfer off the joiner's lines: the last one, if donors died on the way.
pub(super) fn told(lines: &[String]) -> Option<Told> {
    let mut admitted = None;
    let mut told = None;
    for line in lines {
        let (time, words) = line.split_once(' ')?;
        let at_ms = time_of_day(time);
        if let Some(rest) = words.strip_prefix("admitted as ") {
            let (_, donor) = rest.rsplit_once(" from m")?;
            let donor = MemberId::new(donor.parse().ok()?)?;
            // The joiner waits from its first admission, also for a second donor.
            admitted = Some((admitted.map_or(at_ms?, |(first, _)| first), donor));
        } else if let Some(rest) = words.strip_prefix("has the state of ") {
            let (_, bytes) = rest.split_once(": ")?;
            let (admitted_ms, donor) = admitted?;
            told = Some(Told {
                admitted_ms,
                donor,
                has_state_ms: at_ms?,
                bytes: bytes.strip_suffix(" bytes came")?.parse().ok()?,
            });
        }
    }
    told
}

/// `HH:MM:SS.mmm` in milliseconds.
fn time_of_day(text: &str) -> Option<u64> {
    let (clock, ms) = text.split_once('.')?;
    let mut seconds = 0;
    for part in clock.split(':') {
        seconds = seconds * 60 + part.parse::<u64>().ok()?;
    }
    Some(seconds * 1000 + ms.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[&str]) -> Vec<String> {
        text.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn the_last_transfer_counts_from_the_first_admission() {
        let told = told(&lines(&[
            "10:00:00.000 something else",
            "10:00:00.250 admitted as m4, fetches the state of p77 from m2",
            "10:00:01.000 the state did not come: the connection: reset",
            "10:00:01.100 admitted as m4, fetches the state of p90 from m3",
            "10:00:02.500 has the state of p90: 1048576 bytes came",
        ]));
        let expected = Told {
            admitted_ms: 36_000_250,
            donor: MemberId::new(3).expect("not zero"),
            has_state_ms: 36_002_500,
            bytes: 1 << 20,
        };
        assert_eq!(told, Some(expected));
    }

    #[test]
    fn who_has_no_state_tells_nothing() {
        let admitted = "10:00:00.250 admitted as m4, fetches the state of p77 from m2";
        assert_eq!(told(&lines(&[admitted])), None);
        assert_eq!(told(&[]), None);
    }
}
