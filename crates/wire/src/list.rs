//! Lists as they are written, decoded one element at a time.
//!
//! A small element takes one byte or a few when it is written and up to a hundred in memory, so a list
//! of many would make a member hold many times what it was sent. A [`List`] is looked at when it comes,
//! so that all of it is known to decode, and is then kept as its bytes; whoever goes through it has one
//! element in hand.

use std::fmt;
use std::marker::PhantomData;

use bytes::{Buf, Bytes, BytesMut};
use minicbor::data::Type;
use minicbor::decode::Error;
use minicbor::{Decode, Decoder, Encode, Encoder};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::frame::to_bytes;

/// What can stand in a [`List`].
pub trait Element: Encode<()> + for<'b> Decode<'b, ()> {}

impl<T: Encode<()> + for<'b> Decode<'b, ()>> Element for T {}

/// A list of `T` that is held as its bytes. Cheap to clone.
pub struct List<T> {
    count: usize,
    /// The elements one behind the other, without the head of the list.
    bytes: Bytes,
    of: PhantomData<fn() -> T>,
}

impl<T> List<T> {
    /// How many bytes its elements are written in.
    pub fn written(&self) -> usize {
        self.bytes.len()
    }

    /// Takes the elements of another one behind its own.
    pub fn append(&mut self, other: &List<T>) {
        self.take_behind(other.count, &other.bytes);
    }

    fn take_behind(&mut self, count: usize, elements: &[u8]) {
        // In place, unless somebody else holds the same bytes.
        let own = std::mem::take(&mut self.bytes).try_into_mut();
        let mut bytes = own.unwrap_or_else(|shared| BytesMut::from(&shared[..]));
        bytes.extend_from_slice(elements);
        self.bytes = bytes.freeze();
        self.count += count;
    }

    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl<T: Element> List<T> {
    /// Takes one more element at its end.
    pub fn push(&mut self, element: &T) {
        self.take_behind(1, &to_bytes(element));
    }

    /// The elements, each decoded when it is asked for.
    pub fn iter(&self) -> Elements<T> {
        Elements {
            left: self.count,
            bytes: self.bytes.clone(),
            of: PhantomData,
        }
    }
}

/// The elements of a [`List`], one at a time.
#[derive(Debug)]
pub struct Elements<T> {
    left: usize,
    bytes: Bytes,
    of: PhantomData<fn() -> T>,
}

impl<T: Element> Iterator for Elements<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        let mut decoder = Decoder::new(&self.bytes);
        let element = decoder.decode().expect("it decoded when the list was made");
        let taken = decoder.position();
        self.bytes.advance(taken);
        Some(element)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T: Element> ExactSizeIterator for Elements<T> {}

impl<T: Element> IntoIterator for List<T> {
    type Item = T;
    type IntoIter = Elements<T>;

    fn into_iter(self) -> Elements<T> {
        self.iter()
    }
}

impl<T: Element> IntoIterator for &List<T> {
    type Item = T;
    type IntoIter = Elements<T>;

    fn into_iter(self) -> Elements<T> {
        self.iter()
    }
}

impl<T: Element> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(elements: I) -> List<T> {
        let (mut count, mut bytes) = (0, Vec::new());
        for element in elements {
            minicbor::encode(element, &mut bytes).expect("writing to memory does not fail");
            count += 1;
        }
        List {
            count,
            bytes: bytes.into(),
            of: PhantomData,
        }
    }
}

impl<T: Element> Extend<T> for List<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, elements: I) {
        self.append(&elements.into_iter().collect());
    }
}

impl<T: Element> From<Vec<T>> for List<T> {
    fn from(elements: Vec<T>) -> List<T> {
        elements.into_iter().collect()
    }
}

impl<T> Default for List<T> {
    fn default() -> List<T> {
        List {
            count: 0,
            bytes: Bytes::new(),
            of: PhantomData,
        }
    }
}

impl<T> Clone for List<T> {
    fn clone(&self) -> List<T> {
        List {
            count: self.count,
            bytes: self.bytes.clone(),
            of: PhantomData,
        }
    }
}

impl<T: Element + PartialEq> PartialEq for List<T> {
    fn eq(&self, other: &List<T>) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<T: Element + Eq> Eq for List<T> {}

impl<T: Element + fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<C, T> Encode<C> for List<T> {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        let writer = e.array(self.count as u64)?.writer_mut();
        let written = writer.write_all(&self.bytes);
        written.map_err(minicbor::encode::Error::write)
    }
}

impl<'b, C, T: Element> Decode<'b, C> for List<T> {
    fn decode(d: &mut Decoder<'b>, context: &mut C) -> Result<List<T>, Error> {
        let values: Values<'b, T> = Values::decode(d, context)?;
        Ok(List {
            count: values.left,
            bytes: Bytes::copy_from_slice(values.decoder.input()),
            of: PhantomData,
        })
    }
}

impl<T: Element + Serialize> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

impl<'de, T: Element + Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List<T>, D::Error> {
        struct Collects<T>(PhantomData<T>);

        impl<'de, T: Element + Deserialize<'de>> Visitor<'de> for Collects<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<List<T>, A::Error> {
                let mut wrong = None;
                let list = std::iter::from_fn(|| match elements.next_element() {
                    Ok(element) => element,
                    Err(error) => {
                        wrong = Some(error);
                        None
                    }
                })
                .collect();
                wrong.map_or(Ok(list), Err)
            }
        }

        deserializer.deserialize_seq(Collects(PhantomData))
    }
}

/// The values of a list that stays where it is written, one at a time. All are known to decode.
#[derive(Clone, Debug)]
pub struct Values<'b, T> {
    left: usize,
    decoder: Decoder<'b>,
    of: PhantomData<fn() -> T>,
}

impl<T> Values<'_, T> {
    /// None.
    pub fn none() -> Self {
        Values {
            left: 0,
            decoder: Decoder::new(&[]),
            of: PhantomData,
        }
    }
}

impl<'b, T: Decode<'b, ()>> Iterator for Values<'b, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left = self.left.checked_sub(1)?;
        let decoded = self.decoder.decode();
        Some(decoded.expect("it decoded when the list was looked at"))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'b, T: Decode<'b, ()>> ExactSizeIterator for Values<'b, T> {}

impl<'b, C, T: Decode<'b, ()>> Decode<'b, C> for Values<'b, T> {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Values<'b, T>, Error> {
        let announced = d.array()?;
        let start = d.position();
        let mut count = 0_usize;
        loop {
            let is_over = match announced {
                Some(announced) => count as u64 == announced,
                None => d.datatype()? == Type::Break,
            };
            if is_over {
                break;
            }
            d.decode::<T>()?;
            count += 1;
        }
        let elements = &d.input()[start..d.position()];
        if announced.is_none() {
            // The end of a list of indefinite length.
            d.set_position(d.position() + 1);
        }
        Ok(Values {
            left: count,
            decoder: Decoder::new(elements),
            of: PhantomData,
        })
    }
}

/// How a `Vec` is read whose elements take no more in memory than four times what they are written
/// in: with room for what is there, and no more.
pub mod exact {
    use super::{Decode, Decoder, Encode, Encoder, Error, Values};

    /// Writes a list.
    ///
    /// # Errors
    /// The writer's.
    pub fn encode<C, T: Encode<C>, W: minicbor::encode::Write>(
        elements: &[T],
        e: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        elements.encode(e, context)
    }

    /// Reads a list.
    ///
    /// # Errors
    /// Anything that is none.
    pub fn decode<'b, C, T: Decode<'b, ()>>(
        d: &mut Decoder<'b>,
        context: &mut C,
    ) -> Result<Vec<T>, Error> {
        let values: Values<'b, T> = Values::decode(d, context)?;
        let mut elements = Vec::with_capacity(values.len());
        elements.extend(values);
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::decode_body;

    fn read(bytes: &[u8]) -> Result<Vec<u64>, crate::frame::FrameError> {
        decode_body::<List<u64>>(bytes).map(|list| list.iter().collect())
    }

    #[test]
    fn a_list_is_written_as_any_list_is() {
        for numbers in [vec![], vec![1, 300, u64::MAX], vec![7; 100]] {
            let list: List<u64> = numbers.clone().into();
            assert_eq!(to_bytes(&list), to_bytes(&numbers));
            assert_eq!(decode_body(&to_bytes(&numbers)), Ok(list.clone()));
            assert_eq!(list.len(), numbers.len());
            assert_eq!(list.into_iter().collect::<Vec<_>>(), numbers);
        }
    }

    #[test]
    fn a_list_grows_at_its_end_and_its_copies_do_not() {
        let mut list: List<u64> = vec![1, 300].into();
        let before = list.clone();
        list.push(&7);
        list.extend([8, 9]);
        list.append(&before);
        assert_eq!(list, vec![1, 300, 7, 8, 9, 1, 300].into());
        assert_eq!((list.len(), before.len()), (7, 2));
        assert_eq!(list.written(), 11);
    }

    #[test]
    fn a_list_without_a_length_has_an_end() {
        assert_eq!(read(b"\x9f\x01\x02\xff"), Ok(vec![1, 2]));
        assert_eq!(read(b"\x9f\xff"), Ok(vec![]));
        let list: Result<List<u64>, _> = decode_body(b"\x9f\x01\x02\xff");
        assert_eq!(
            list.map(|list| to_bytes(&list)),
            Ok(b"\x82\x01\x02".to_vec())
        );
        assert!(read(b"\x9f\x01\x02").is_err());
        assert!(read(b"\x9f\x01\x02\xff\xff").is_err());
    }

    #[test]
    fn a_list_is_refused_where_one_element_is_none() {
        assert!(read(b"\x83\x01\x60\x02").is_err());
        assert!(read(b"\x83\x01\x02").is_err());
        assert!(read(b"\x9b\x10\0\0\0\0\0\0\0").is_err());
    }
}
