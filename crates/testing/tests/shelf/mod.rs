//! A shelf of goods in two versions, and a next version for everything that can be wrong with one.

#![allow(dead_code, reason = "each test uses a part")]
#![allow(
    unreachable_pub,
    reason = "a service's methods are `pub`, wherever it lies"
)]

pub mod v1 {
    //! The first version: how many there are of each good.

    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct Shelf {
        pub goods: BTreeMap<String, u64>,
    }

    #[remex::service(name = "shelf", state_format = 1, version = "1.0.0")]
    impl Shelf {
        pub fn put(&mut self, good: String, count: u64) -> u64 {
            let there = self.goods.entry(good).or_default();
            *there += count;
            *there
        }

        pub fn take(&mut self, good: String) -> Option<u64> {
            self.goods.remove(&good)
        }

        pub fn burn(&mut self) {
            panic!("nobody burns a shelf");
        }

        #[read]
        pub fn count(&self, good: String) -> u64 {
            self.goods.get(&good).copied().unwrap_or_default()
        }
    }
}

/// A next version of the shelf with the same methods, which differ where a test says so.
macro_rules! next {
    ($(#[$doc:meta])* $name:ident $version:literal,
     map |$old:ident| $map:expr, put |$shelf:ident, $good:ident, $count:ident| $put:expr) => {
        $(#[$doc])*
        pub mod $name {
            use std::collections::BTreeMap;

            use remex::{Successor, Unmappable};
            use serde::{Deserialize, Serialize};

            use super::v1;

            #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
            pub struct Shelf {
                pub goods: BTreeMap<String, u64>,
                pub all: u64,
            }

            #[remex::service(name = "shelf", state_format = 2, version = $version)]
            impl Shelf {
                pub fn put(&mut self, $good: String, $count: u64) -> u64 {
                    let $shelf = self;
                    $put
                }

                pub fn take(
                    &mut self,
                    good: String,
                    #[since("2.0.0")] most: Option<u64>,
                ) -> Option<u64> {
                    let there = self.goods.get_mut(&good)?;
                    let taken = most.unwrap_or(*there).min(*there);
                    *there -= taken;
                    if *there == 0 {
                        self.goods.remove(&good);
                    }
                    self.all -= taken;
                    Some(taken)
                }

                pub fn burn(&mut self) {
                    panic!("nobody burns a shelf");
                }

                #[read]
                pub fn count(&self, good: String) -> u64 {
                    self.goods.get(&good).copied().unwrap_or_default()
                }

                #[read]
                #[since("2.0.0")]
                pub fn all(&self) -> u64 {
                    self.all
                }
            }

            impl Successor for Shelf {
                type Predecessor = v1::Shelf;

                fn map($old: v1::Shelf) -> Result<Shelf, Unmappable> {
                    $map
                }
            }
        }
    };
}

next!(
    /// The second version: it knows how many goods there are at all.
    v2 "2.0.0",
    map |old| {
        let all = old.goods.values().sum();
        Ok(Shelf { goods: old.goods, all })
    },
    put |shelf, good, count| {
        shelf.all += count;
        let there = shelf.goods.entry(good).or_default();
        *there += count;
        *there
    }
);

next!(
    /// It takes over how many kinds there are, and counts pieces from there on.
    miscounting "2.1.0",
    map |old| {
        let all = old.goods.len() as u64;
        Ok(Shelf { goods: old.goods, all })
    },
    put |shelf, good, count| {
        shelf.all += count;
        let there = shelf.goods.entry(good).or_default();
        *there += count;
        *there
    }
);

next!(
    /// It replies otherwise than the version before, although that is still effective.
    impatient "2.2.0",
    map |old| {
        let all = old.goods.values().sum();
        Ok(Shelf { goods: old.goods, all })
    },
    put |shelf, good, count| {
        shelf.all += count;
        *shelf.goods.entry(good).or_default() += count;
        shelf.all
    }
);

next!(
    /// It cannot take over a shelf that has something on it.
    unmappable "2.3.0",
    map |old| Err(Unmappable::new(format!("{} goods have no price", old.goods.len()))),
    put |shelf, good, count| {
        shelf.goods.insert(good, count);
        count
    }
);

pub mod deaf {
    //! A shelf whose state cannot be read again.

    use serde::{Deserialize, Deserializer, Serialize, de::Error};

    #[derive(Debug, Default, Serialize)]
    pub struct Shelf {
        pub count: u64,
    }

    impl<'de> Deserialize<'de> for Shelf {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Shelf, D::Error> {
            Err(D::Error::custom("a shelf is written and not read"))
        }
    }

    #[remex::service(name = "shelf", state_format = 1, version = "1.0.0")]
    impl Shelf {
        pub fn put(&mut self) -> u64 {
            self.count += 1;
            self.count
        }
    }
}
