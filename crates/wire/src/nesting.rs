//! How deep values may stand in each other, looked at before anything is decoded.
//!
//! A field that is not known is skipped, and whoever skips it must remember where it is: a byte for
//! each level comes in, many times that is held. So bytes whose values stand deeper in each other
//! than those of any message are refused first, without holding anything. Nearly all else that is
//! wrong with them is the decoder's to say.

use crate::frame::FrameError;

/// Our own values stand eight deep in each other; later ones may add fields that a build of today
/// skips.
pub(crate) const DEPTH_MAX: usize = 32;

/// An indefinite length: its end is a value of its own.
const OPEN: u64 = u64::MAX;

/// Looks whether values stand no deeper in each other than [`DEPTH_MAX`].
///
/// # Errors
/// They do, or an end stands where nothing ends: whoever skips it goes on, so it must go no deeper.
pub(crate) fn check(bytes: &[u8]) -> Result<(), FrameError> {
    let mut rest = bytes;
    // What is still to come on each level, and how many levels there are.
    let mut left = [0_u64; DEPTH_MAX];
    let mut depth = 0;
    loop {
        // Bytes that end early, or are none of the encoding, go no deeper either.
        let Some(head) = Head::cut(&mut rest) else {
            return Ok(());
        };
        let inside = match head {
            Head::Value => 0,
            Head::Bytes(length) => {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let Some(behind) = rest.get(length..) else {
                    return Ok(());
                };
                rest = behind;
                0
            }
            Head::Values(count) => count,
            // Stands before the value that it marks.
            Head::Tag => continue,
            Head::End => {
                if depth == 0 || left[depth - 1] != OPEN {
                    let why = "an end where nothing ends".to_owned();
                    return Err(FrameError::Body { why });
                }
                depth -= 1;
                0
            }
        };
        if inside > 0 {
            if depth == DEPTH_MAX {
                return Err(FrameError::TooDeep);
            }
            left[depth] = inside;
            depth += 1;
            continue;
        }
        // A value is over, and with it perhaps those that it stands in.
        while depth > 0 && left[depth - 1] != OPEN {
            left[depth - 1] -= 1;
            if left[depth - 1] > 0 {
                break;
            }
            depth -= 1;
        }
        if depth == 0 {
            return Ok(());
        }
    }
}

/// What a value begins with.
enum Head {
    /// A number, or another value that ends here.
    Value,
    /// A text or byte string of this length.
    Bytes(u64),
    /// An array or a map, or a text in pieces, with so many values inside.
    Values(u64),
    Tag,
    /// The end of values of indefinite length.
    End,
}

impl Head {
    /// `None` where there is none.
    fn cut(rest: &mut &[u8]) -> Option<Head> {
        let (&first, behind) = rest.split_first()?;
        *rest = behind;
        let (major, short) = (first >> 5, first & 0x1f);
        let number = match short {
            0..=23 => u64::from(short),
            24..=27 => {
                let (digits, behind) = rest.split_at_checked(1 << (short - 24))?;
                *rest = behind;
                digits
                    .iter()
                    .fold(0, |number, &digit| number << 8 | u64::from(digit))
            }
            31 => OPEN,
            _ => return None,
        };
        Some(match (major, number) {
            (2 | 3, OPEN) if short == 31 => Head::Values(OPEN),
            (2 | 3, length) => Head::Bytes(length),
            (4, count) => Head::Values(count),
            (5, OPEN) if short == 31 => Head::Values(OPEN),
            (5, count) => Head::Values(count.saturating_mul(2).min(OPEN - 1)),
            (6, _) => Head::Tag,
            (7, _) if short == 31 => Head::End,
            (_, _) => Head::Value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_shallow(bytes: &[u8]) -> bool {
        check(bytes) != Err(FrameError::TooDeep)
    }

    /// This head so many times, with a number inside.
    fn nested(head: &[u8], depth: usize) -> Vec<u8> {
        [head.repeat(depth), vec![0]].concat()
    }

    #[test]
    fn values_stand_in_each_other_up_to_the_limit() {
        for head in [
            &b"\x81"[..],
            b"\x9f",
            b"\xa1\x00",
            b"\xbf\x00",
            b"\xc1\x81",
            b"\x98\x01",
        ] {
            assert!(is_shallow(&nested(head, DEPTH_MAX)), "{head:02x?}");
            assert!(!is_shallow(&nested(head, DEPTH_MAX + 1)), "{head:02x?}");
        }
    }

    #[test]
    fn values_beside_each_other_are_not_deeper() {
        let pair = b"\x82\x9f\x00\xff\xa1\x00\x81\x00".repeat(1000);
        let beside = [&b"\x9f"[..], &pair, b"\xff"].concat();
        assert!(is_shallow(&beside));
        let texts = [&b"\x9f"[..], &b"\x7f\x61a\x61b\xff".repeat(100), b"\xff"].concat();
        assert!(is_shallow(&texts));
        let deep_behind = [&b"\x82"[..], &pair[..8], &nested(b"\x81", DEPTH_MAX)].concat();
        assert!(!is_shallow(&deep_behind));
    }

    #[test]
    fn what_is_in_a_string_is_no_value() {
        let inside = nested(b"\x81", 20);
        assert!(is_shallow(&[&b"\x82\x55"[..], &inside, b"\x00"].concat()));
        assert!(is_shallow(b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff"));
    }

    #[test]
    fn bytes_that_end_early_are_the_decoders_to_refuse() {
        for bytes in [&b""[..], b"\x9b\x10", b"\x81", b"\x1c", b"\x82\x00"] {
            assert_eq!(check(bytes), Ok(()), "{bytes:02x?}");
        }
    }

    #[test]
    fn an_end_where_nothing_ends_is_refused() {
        for bytes in [
            &b"\xff"[..],
            b"\x82\xff",
            b"\x82\x9f\xff\xff",
            b"\xa1\x00\xff",
        ] {
            let refused = check(bytes).map_err(|error| error.to_string());
            let why = "a body that does not decode: an end where nothing ends";
            assert_eq!(refused, Err(why.to_owned()), "{bytes:02x?}");
        }
    }
}
