//! What becomes of an attempt whose daemon does not do its part.

use crate::members::Members;

/// A daemon that says nothing is stopped, or its host is lost: the next one is asked long before
/// its replica would be missed.
#[test]
fn another_host_is_asked_if_a_daemon_says_nothing() {
    let mut members = Members::found(2, 1);
    members.until("a daemon is asked", |members| !members.asked.is_empty());
    let silent = members.asked.remove(0);
    let since = members.ms();
    members.until("another one is asked", |members| !members.asked.is_empty());
    assert_ne!(members.asked[0].host, silent.host);
    let waited = members.ms() - since;
    assert!((2_000..4_000).contains(&waited), "{waited} ms");
}

/// A process that runs has the whole patience of recovery until its replica is there.
#[test]
fn a_daemon_that_has_started_the_process_is_not_silent() {
    let mut members = Members::found(2, 1);
    members.until("a daemon is asked", |members| !members.asked.is_empty());
    let asked = members.asked.remove(0);
    members.runs(&asked);
    let since = members.ms();
    members.until("4 s have passed", |members| members.ms() >= since + 4_000);
    assert!(members.asked.is_empty(), "{:?}", members.asked);
}
