//! Which defect is shown; only in the museum's build.
//!
//! A simulation is one thread, and several run beside each other: what is shown is shown to a thread.
//! Tests are told by the environment instead, because real processes have many threads and are
//! started by others, which the environment reaches.

use std::cell::Cell;
use std::sync::OnceLock;

use crate::Defect;

/// The variable that names the defect for a whole process and those that it starts.
pub const VARIABLE: &str = "REMEX_DEFECT";

thread_local! {
    static SHOWN: Cell<Option<Defect>> = const { Cell::new(None) };
    static ASIDE: Cell<bool> = const { Cell::new(false) };
}

/// From now on this thread has this defect, or none.
pub fn show(defect: Option<Defect>) {
    SHOWN.set(defect);
}

/// Whether this defect is shown here.
pub fn on(defect: Defect) -> bool {
    !ASIDE.get() && SHOWN.get().or_else(of_the_process) == Some(defect)
}

/// What `judge` says with no defect shown: who judges the code under test must not have the defect
/// itself.
pub fn aside<T>(judge: impl FnOnce() -> T) -> T {
    let _ends = Aside(ASIDE.replace(true));
    judge()
}

/// Ends also where the judge panics, as services on purpose do: whoever catches that goes on with the
/// defect.
struct Aside(bool);

impl Drop for Aside {
    fn drop(&mut self) {
        ASIDE.set(self.0);
    }
}

fn of_the_process() -> Option<Defect> {
    static OF_THE_PROCESS: OnceLock<Option<Defect>> = OnceLock::new();
    *OF_THE_PROCESS.get_or_init(|| {
        let name = std::env::var(VARIABLE).ok()?;
        let known = Defect::ALL.iter().find(|defect| defect.name() == name);
        Some(*known.unwrap_or_else(|| panic!("{VARIABLE}: there is no defect {name}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judge_that_panics_leaves_the_defect_shown() {
        let defect = Defect::ALL[0];
        show(Some(defect));
        assert!(!aside(|| on(defect)));
        let judged = std::panic::catch_unwind(|| aside(|| panic!("it does not map")));
        assert!(judged.is_err() && on(defect));
    }
}
