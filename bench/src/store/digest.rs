//! A store's digest, a page at a time: a whole large store takes longer than a reply may.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes of values on a page, about: a fraction of a second's work.
const PAGE_BYTES: usize = 32 << 20;

/// The digest of successive entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// SHA-256 of keys and values with their lengths, in hexadecimal digits.
    pub digest: String,
    /// How many entries it covers.
    pub entries: u64,
    /// The last one's key, if others follow.
    pub last: Option<String>,
}

/// The page behind `after`.
pub(crate) fn page<V>(
    entries: &BTreeMap<String, V>,
    after: Option<String>,
    value: impl Fn(&V) -> &str,
) -> Page {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut digest = Sha256::new();
    let (mut covered, mut bytes) = (0, 0);
    let mut last = None;
    for (key, kept) in entries.range::<String, _>((from, Bound::Unbounded)) {
        if bytes >= PAGE_BYTES {
            return finished(digest, covered, last);
        }
        for text in [key, value(kept)] {
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text);
            bytes += text.len();
        }
        covered += 1;
        last = Some(key.clone());
    }
    finished(digest, covered, None)
}

fn finished(digest: Sha256, entries: u64, last: Option<String>) -> Page {
    let digits = digest.finalize();
    Page {
        digest: digits.iter().map(|byte| format!("{byte:02x}")).collect(),
        entries,
        last,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(values: &[(&str, usize)]) -> BTreeMap<String, String> {
        let entry = |(key, length): &(&str, usize)| ((*key).to_owned(), "v".repeat(*length));
        values.iter().map(entry).collect()
    }

    #[test]
    fn pages_cover_all_entries_once() {
        let entries = store(&[("a", PAGE_BYTES), ("b", 1), ("c", PAGE_BYTES), ("d", 2)]);
        let first = page(&entries, None, String::as_str);
        assert_eq!((first.entries, first.last.as_deref()), (1, Some("a")));
        let second = page(&entries, first.last, String::as_str);
        assert_eq!((second.entries, second.last.as_deref()), (2, Some("c")));
        let third = page(&entries, second.last, String::as_str);
        assert_eq!((third.entries, third.last), (1, None));
    }

    #[test]
    fn a_digest_depends_on_every_key_and_value() {
        let digest = |entries| page(&store(entries), None, String::as_str).digest;
        let one = digest(&[("a", 3), ("b", 2)]);
        assert_eq!(one, digest(&[("a", 3), ("b", 2)]));
        assert_ne!(one, digest(&[("a", 2), ("b", 3)]));
        assert_ne!(one, digest(&[("a", 3), ("c", 2)]));
    }
}
