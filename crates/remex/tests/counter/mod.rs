//! A counter in three versions, small enough to see what the macro does.

#![allow(dead_code, reason = "each test uses a part")]
#![allow(
    unreachable_pub,
    reason = "a service's methods are `pub`, wherever it lies"
)]

use serde::{Deserialize, Serialize};

/// Why nothing was added.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub enum Refused {
    Nothing,
    TooMuch { most: u32 },
}

pub mod v1 {
    //! The first version.

    use remex::Context;
    use serde::{Deserialize, Serialize};

    use super::Refused;

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct Counter {
        pub count: u32,
    }

    #[remex::service(name = "counter", state_format = 1, version = "1.0.0")]
    impl Counter {
        pub fn add(&mut self, by: u32) -> Result<u32, Refused> {
            match self.count.checked_add(by) {
                _ if by == 0 => Err(Refused::Nothing),
                None => Err(Refused::TooMuch {
                    most: u32::MAX - self.count,
                }),
                Some(count) => {
                    self.count = count;
                    Ok(self.helper())
                }
            }
        }

        pub fn place(&mut self, cx: &Context) -> (u64, u64, String) {
            (cx.position().0, cx.time().0, cx.effective().to_string())
        }

        #[read]
        pub fn count(&self) -> u32 {
            self.count
        }

        fn helper(&self) -> u32 {
            self.count
        }

        fn upgraded(&mut self) {
            self.count = u32::MAX;
        }
    }
}

pub mod v2 {
    //! The second: another shape, a new method, a new argument, and a way back.

    use remex::{Context, Reversible, Successor, Unmappable};
    use serde::{Deserialize, Serialize};

    use super::{Refused, v1};

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct Counter {
        pub up: u64,
        pub down: u64,
    }

    #[remex::service(name = "counter", state_format = 2, version = "2.0.0")]
    impl Counter {
        pub fn add(
            &mut self,
            by: u32,
            #[since("2.0.0")] times: Option<u32>,
        ) -> Result<u32, Refused> {
            let by = by * times.unwrap_or(1);
            if by == 0 {
                return Err(Refused::Nothing);
            }
            self.up += u64::from(by);
            Ok(self.count())
        }

        pub fn place(&mut self, cx: &Context) -> (u64, u64, String) {
            (cx.position().0, cx.time().0, cx.effective().to_string())
        }

        #[read]
        pub fn count(&self) -> u32 {
            u32::try_from(self.up - self.down).unwrap_or(u32::MAX)
        }

        #[since("2.0.0")]
        pub fn reset(&mut self) {
            self.down = self.up;
        }
    }

    impl Successor for Counter {
        type Predecessor = v1::Counter;

        fn map(old: v1::Counter) -> Result<Self, Unmappable> {
            match old.count {
                13 => Err(Unmappable::new("thirteen has no place here")),
                count => Ok(Counter {
                    up: count.into(),
                    down: 0,
                }),
            }
        }
    }

    impl Reversible for Counter {
        fn map_back(&self) -> Result<v1::Counter, Unmappable> {
            let count = u32::try_from(self.up - self.down)
                .map_err(|_| Unmappable::new("the count is too large"))?;
            Ok(v1::Counter { count })
        }
    }
}

pub mod v3 {
    //! The third: two steps from the first, and no way back.

    use remex::{Successor, Unmappable};
    use serde::{Deserialize, Serialize};

    use super::v2;

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    pub struct Counter {
        pub count: i128,
    }

    #[remex::service(name = "counter", state_format = 5, version = "3.0.0")]
    impl Counter {
        #[read]
        pub fn count(&self) -> i128 {
            self.count
        }

        /// Words of Rust's own may name methods and arguments.
        pub fn r#move(&mut self, r#type: i128) {
            self.count += r#type;
        }
    }

    impl Successor for Counter {
        type Predecessor = v2::Counter;

        fn map(old: v2::Counter) -> Result<Self, Unmappable> {
            Ok(Counter {
                count: i128::from(old.up) - i128::from(old.down),
            })
        }
    }
}
