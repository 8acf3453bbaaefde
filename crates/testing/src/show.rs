//! Values for people: what the bytes of arguments, replies and states say, whatever types they had.

use std::fmt::{self, Formatter};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// So many characters of a value are shown around the place where another one differs.
const AROUND: usize = 200;

/// The value in bytes that are MessagePack; the bytes themselves if they are something else.
pub(crate) fn value(bytes: &[u8]) -> String {
    let mut rest = bytes;
    match rmp_serde::from_read::<_, Shown>(&mut rest) {
        Ok(Shown(text)) if rest.is_empty() => text,
        Ok(_) | Err(_) => format!("{bytes:02x?}"),
    }
}

/// Two texts that differ, each cut down to what stands around the first difference.
pub(crate) fn around(first: &str, second: &str) -> (String, String) {
    let same = first
        .chars()
        .zip(second.chars())
        .take_while(|(one, other)| one == other)
        .count();
    let cut = |text: &str| {
        let from = same.saturating_sub(AROUND);
        let part: String = text.chars().skip(from).take(2 * AROUND).collect();
        let before = if from > 0 { ".." } else { "" };
        let after = if text.chars().count() > from + 2 * AROUND {
            ".."
        } else {
            ""
        };
        format!("{before}{part}{after}")
    };
    (cut(first), cut(second))
}

struct Shown(String);

impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(decoder: D) -> Result<Shown, D::Error> {
        decoder.deserialize_any(Anything).map(Shown)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = String;

    fn expecting(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<String, E> {
        Ok(format!("{value:?}"))
    }

    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<String, E> {
        Ok(format!("{value:02x?}"))
    }

    fn visit_unit<E: Error>(self) -> Result<String, E> {
        Ok("null".to_owned())
    }

    fn visit_none<E: Error>(self) -> Result<String, E> {
        Ok("null".to_owned())
    }

    fn visit_some<D: Deserializer<'de>>(self, decoder: D) -> Result<String, D::Error> {
        decoder.deserialize_any(Anything)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<String, A::Error> {
        let mut parts = Vec::new();
        while let Some(Shown(value)) = values.next_element()? {
            parts.push(value);
        }
        Ok(format!("[{}]", parts.join(", ")))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut values: A) -> Result<String, A::Error> {
        let mut parts = Vec::new();
        while let Some((Shown(key), Shown(value))) = values.next_entry()? {
            parts.push(format!("{key}: {value}"));
        }
        Ok(format!("{{{}}}", parts.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::*;

    fn check(value: &impl Serialize, shown: &str) {
        let bytes = rmp_serde::to_vec_named(value).expect("plain values encode");
        assert_eq!(super::value(&bytes), shown);
    }

    #[test]
    fn values_are_shown_as_people_write_them() {
        check(&(1, -2, "a\"b", None::<u8>), r#"[1, -2, "a\"b", null]"#);
        check(&BTreeMap::from([(3, Some(true))]), "{3: true}");
        check(&Err::<(), _>(1.5), r#"{"Err": 1.5}"#);
    }

    #[test]
    fn what_is_no_value_is_shown_as_bytes() {
        assert_eq!(value(&[0xc1]), "[c1]");
        assert_eq!(value(&[1, 1]), "[01, 01]");
    }

    #[test]
    fn long_values_are_cut_around_their_difference() {
        let long = "x".repeat(1_000);
        let (first, second) = around(&format!("{long}a{long}"), &format!("{long}b{long}"));
        assert!(
            first.starts_with("..x") && first.ends_with("x.."),
            "{first}"
        );
        assert!(first.contains('a') && second.contains('b'));
        assert_eq!(around("ab", "ac"), ("ab".to_owned(), "ac".to_owned()));
    }
}
