//! The check for nondeterminism: one history, executed again and again in new instances, under
//! everything that is never the same twice within one process.

#![allow(
    clippy::disallowed_methods,
    reason = "a second execution on another thread and in another second is the check"
)]

use std::panic::resume_unwind;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use remex::{OwnedCall, Service, blocking};

use crate::alone::{self, History, context, execute, record, version};
use crate::difference::{Difference, Place, Way};

/// Executions after the first one. A map of two entries has only two orders: this many instances
/// agree on one by chance in a thousand tests once.
const TWINS: usize = 10;

/// Executes a history in a service of its own, then again in others, and compares every reply and
/// every state.
///
/// The history asks through the session, by a typed client as a rule, and may go on by what it is
/// answered. It runs once; what it asked is what is executed again. The check takes up to a second:
/// it waits until clocks show another one.
///
/// What it catches, because it is never the same twice here: the order of a `HashMap` or `HashSet`
/// (each has a seed of its own), clocks that are looked at in seconds or less, thread ids and
/// thread-local values, addresses, random numbers, counters that instances share, and what a reply
/// takes from fields that are not part of the state.
///
/// What it cannot catch: what is the same all over this process and may differ between hosts
/// (environment, files, locale, the processor's architecture), a clock that is only looked at in
/// minutes or hours, the order of a map that never had two entries, and whatever the history does
/// not reach.
///
/// # Errors
/// The first call whose reply or state was not the same.
pub fn check_deterministic<S: Service>(
    history: impl FnOnce(blocking::Session),
) -> Result<(), Difference> {
    let nowhere = Place {
        way: Way::Again,
        call: None,
    };
    let (first, history) = record::<S>(history).map_err(|error| nowhere.lost::<S>(&error))?;
    another_second();
    for twin in 0..TWINS {
        let way = match twin % 2 {
            0 => Way::Again,
            _ => Way::Handed,
        };
        on_another_thread(|| again::<S>(&history, way))?;
    }
    // It lived meanwhile, so that nothing of the others had the same address.
    drop(first);
    Ok(())
}

/// [`check_deterministic`] as an assertion.
///
/// # Panics
/// With the difference, if there is one.
#[track_caller]
pub fn assert_deterministic<S: Service>(history: impl FnOnce(blocking::Session)) {
    if let Err(difference) = check_deterministic::<S>(history) {
        panic!("{difference}");
    }
}

/// The check, of calls that are known already.
pub(crate) fn check_calls<S: Service>(calls: &[OwnedCall]) -> Result<(), Difference> {
    check_deterministic::<S>(|session| {
        for call in calls {
            let kind = match call.read {
                true => remex::client::Kind::Read,
                false => remex::client::Kind::Write,
            };
            // What the service says is compared, whatever it is.
            let _ = session.call(remex::client::Request {
                method: call.method,
                signature: call.signature,
                kind,
                arguments: call.arguments.clone().into(),
                deadline: None,
            });
        }
    })
}

fn again<S: Service>(history: &History, way: Way) -> Result<(), Difference> {
    let effective = version::<S>();
    let mut service = S::initial();
    let place = Place { way, call: None };
    let state = alone::state(&service).map_err(|error| place.lost::<S>(&error))?;
    place.states::<S>(&history.initial, &state)?;
    for (number, step) in (1..).zip(&history.steps) {
        let place = Place {
            way,
            call: Some((number, &step.call)),
        };
        let said = execute(&mut service, &context(number, &effective), &step.call);
        place.replies::<S>(&step.said, &said)?;
        let mut state = alone::state(&service).map_err(|error| place.lost::<S>(&error))?;
        if way == Way::Handed {
            service = S::import(S::STATE_FORMAT, &mut &state[..])
                .map_err(|error| place.lost::<S>(&error))?;
            state = alone::state(&service).map_err(|error| place.lost::<S>(&error))?;
        }
        place.states::<S>(&step.state, &state)?;
    }
    Ok(())
}

fn on_another_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| match scope.spawn(run).join() {
        Ok(result) => result,
        Err(panic) => resume_unwind(panic),
    })
}

/// Waits until the wall clock shows another second.
fn another_second() {
    let second = || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.unwrap_or_default().as_secs()
    };
    let then = second();
    while second() == then {
        thread::sleep(Duration::from_millis(5));
    }
}
