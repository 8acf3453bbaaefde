//! The check of a mapping (§2.1): to map and then execute gives what executing and then mapping
//! gives. Members of a new version map at different positions of one history, so that a mapping
//! which does not commute gives them different states.

use remex::{OwnedCall, Service, Successor, blocking};

use crate::alone::{self, context, execute, record, version};
use crate::difference::{Difference, Place, Way};

/// Executes a history with the version before and, call by call, with this version on the state
/// that it took over before the first call. While this version behaves as the one before, as it
/// does until an upgrade is activated, every reply must be the same; and the state that it has
/// behind every call must be the one that it would take over there.
///
/// The history asks as the clients of the version before.
///
/// # Errors
/// The first call at which the two part.
pub fn check_mapping<S: Service + Successor>(
    history: impl FnOnce(blocking::Session),
) -> Result<(), Difference> {
    let place = |call| Place {
        way: Way::Mapped,
        call,
    };
    let recorded = record::<S::Predecessor>(history);
    let (_, history) = recorded.map_err(|error| place(None).lost::<S::Predecessor>(&error))?;
    let effective = version::<S::Predecessor>();
    let mut service = take_over::<S>(&history.initial, None)?;
    for (number, step) in (1..).zip(&history.steps) {
        let call = Some((number, &step.call));
        let said = execute(&mut service, &context(number, &effective), &step.call);
        place(call).replies::<S>(&step.said, &said)?;
        let taken = take_over::<S>(&step.state, call)?;
        let [taken, own] = [&taken, &service]
            .map(|service| alone::state(service).map_err(|error| place(call).lost::<S>(&error)));
        place(call).states::<S>(&taken?, &own?)?;
    }
    Ok(())
}

/// [`check_mapping`] as an assertion.
///
/// # Panics
/// With the difference, if there is one.
#[track_caller]
pub fn assert_mapping<S: Service + Successor>(history: impl FnOnce(blocking::Session)) {
    if let Err(difference) = check_mapping::<S>(history) {
        panic!("{difference}");
    }
}

fn take_over<S: Service + Successor>(
    old: &[u8],
    call: Option<(usize, &OwnedCall)>,
) -> Result<S, Difference> {
    let place = Place {
        way: Way::Mapped,
        call,
    };
    S::import(S::Predecessor::STATE_FORMAT, &mut &old[..]).map_err(|error| place.lost::<S>(&error))
}
