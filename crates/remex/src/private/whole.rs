//! Whether MessagePack is all there and no deeper than values are, looked at before it is decoded.
//!
//! A list says how many elements follow, and whoever decodes it makes room for them at once: up to a
//! mebibyte for five bytes that only announce, and again for each list that stands in another. And a
//! type that holds itself is followed as deep as its bytes go: a request of a few hundred kilobytes
//! would exhaust the stack of all members alike. So bytes that do not hold what they announce, or
//! hold it too deep, are refused first.

/// How deep lists and maps may stand in each other: as deep as in JSON, whose reader has this limit.
const DEPTH_MAX: usize = 128;

/// Whether these bytes begin with one value, all of which is in them.
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    // What is still to come on each level, and how many levels there are.
    let mut left = [0_u64; DEPTH_MAX];
    let mut depth = 0;
    loop {
        let Some((content, values)) = head(&mut rest) else {
            return false;
        };
        let Some(behind) = usize::try_from(content)
            .ok()
            .and_then(|content| rest.get(content..))
        else {
            return false;
        };
        rest = behind;
        if values > 0 {
            if depth == DEPTH_MAX {
                return false;
            }
            left[depth] = values;
            depth += 1;
            continue;
        }
        // A value is over, and with it perhaps those that it stands in.
        while depth > 0 {
            left[depth - 1] -= 1;
            if left[depth - 1] > 0 {
                break;
            }
            depth -= 1;
        }
        if depth == 0 {
            return true;
        }
    }
}

/// Cuts what a value begins with; how many bytes and how many values belong to it. `None` if it is
/// not there, or is no beginning.
fn head(rest: &mut &[u8]) -> Option<(u64, u64)> {
    let first = number(rest, 1)?;
    Some(match first {
        0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => (0, 0),
        0x80..=0x8f => (0, (first & 0x0f) * 2),
        0x90..=0x9f => (0, first & 0x0f),
        0xa0..=0xbf => (first & 0x1f, 0),
        // Byte strings and texts, then extensions with the byte of their type.
        0xc4 | 0xd9 => (number(rest, 1)?, 0),
        0xc5 | 0xda => (number(rest, 2)?, 0),
        0xc6 | 0xdb => (number(rest, 4)?, 0),
        0xc7 => (number(rest, 1)? + 1, 0),
        0xc8 => (number(rest, 2)? + 1, 0),
        0xc9 => (number(rest, 4)? + 1, 0),
        0xca | 0xce | 0xd2 => (4, 0),
        0xcb | 0xcf | 0xd3 => (8, 0),
        0xcc | 0xd0 => (1, 0),
        0xcd | 0xd1 => (2, 0),
        0xd4..=0xd8 => ((1 << (first - 0xd4)) + 1, 0),
        0xdc => (0, number(rest, 2)?),
        0xdd => (0, number(rest, 4)?),
        0xde => (0, number(rest, 2)? * 2),
        0xdf => (0, number(rest, 4)? * 2),
        _ => return None,
    })
}

/// Cuts a number of so many bytes, the highest first.
fn number(rest: &mut &[u8], bytes: usize) -> Option<u64> {
    let (digits, behind) = rest.split_at_checked(bytes)?;
    *rest = behind;
    let number = digits
        .iter()
        .fold(0, |number, &digit| number << 8 | u64::from(digit));
    Some(number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use serde_json::{Value, json};

    use super::*;

    /// Every form of every length.
    fn values() -> Vec<Value> {
        let text = |length| json!("x".repeat(length));
        let list = |length: usize| json!(vec![json!(null); length]);
        let map = |length: u32| {
            let entries = (0..length).map(|key| (key.to_string(), json!([key])));
            Value::Object(entries.collect())
        };
        let numbers = [0, 127, 128, 255, 256, 65_535, 65_536, u64::MAX].map(|number| json!(number));
        let negative = [-1, -32, -33, -129, -32_769, i64::MIN].map(|number| json!(number));
        let texts = [0, 31, 32, 255, 256, 65_536].map(text);
        let lists = [0, 15, 16, 65_536].map(list);
        let maps = [0, 15, 16, 65_536].map(map);
        let others = [json!(1.5), json!(true), json!({"a": [{"b": [[], {}]}]})];
        [&numbers[..], &negative, &texts, &lists, &maps, &others].concat()
    }

    #[test]
    fn what_is_written_is_whole_and_what_is_cut_is_not() {
        for value in values() {
            let bytes = rmp_serde::to_vec_named(&value).unwrap();
            assert!(is_whole(&bytes));
            assert!(is_whole(&[&bytes[..], b"more"].concat()));
            let cuts = 0..bytes.len();
            for cut in cuts.step_by(1 + bytes.len() / 50) {
                assert!(!is_whole(&bytes[..cut]), "{cut} of {} bytes", bytes.len());
            }
        }
    }

    #[test]
    fn lists_and_maps_stand_in_each_other_up_to_the_limit() {
        let nested = |head: &[u8], depth| [head.repeat(depth), vec![0xc0]].concat();
        for head in [
            &b"\x91"[..],
            b"\x81\xa1a",
            b"\xdc\x00\x01",
            b"\xdf\0\0\0\x01\x00",
        ] {
            assert!(is_whole(&nested(head, DEPTH_MAX)), "{head:02x?}");
            assert!(!is_whole(&nested(head, DEPTH_MAX + 1)), "{head:02x?}");
        }
        let (deep, deeper) = (nested(b"\x91", DEPTH_MAX - 1), nested(b"\x91", DEPTH_MAX));
        assert!(is_whole(&[b"\x92", &deep[..], &deep].concat()));
        assert!(!is_whole(&[b"\x92", &deep[..], &deeper].concat()));
    }

    #[test]
    fn byte_strings_and_extensions_are_whole_with_all_their_bytes() {
        for (head, content) in [
            (&b"\xc4\x03"[..], 3),
            (b"\xc5\x00\x03", 3),
            (b"\xc6\x00\x00\x00\x03", 3),
            (b"\xc7\x03", 4),
            (b"\xc8\x00\x03", 4),
            (b"\xc9\x00\x00\x00\x03", 4),
            (b"\xca", 4),
            (b"\xd4", 2),
            (b"\xd8", 17),
        ] {
            let bytes = [head, &vec![0xc1; content]].concat();
            assert!(is_whole(&bytes), "{head:02x?}");
            assert!(!is_whole(&bytes[..bytes.len() - 1]), "{head:02x?}");
        }
        assert!(!is_whole(b"\xc1"), "nothing begins so");
    }
}
