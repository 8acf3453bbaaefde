//! Plans: what is done to an installation, as a value that can be written down, read and shrunk.
//!
//! ```text
//! group 3 hosts 4 minimal 1
//! load bursts 2 of 32 every 64 ms, singles 2
//! upgrade to 2.0.0 after 300 ms attempts 4 patience 2000 ms
//! wish 5 minimal 2 at 100 ms
//! at 120 ms pause leader 400 ms
//! on turn-transfer crash donor
//! ```
//!
//! A seed's plan is printed in these words when it fails; scenarios are written in them.

use std::fmt;
use std::str::FromStr;

use wire::Version;

/// What is done, beginning when the group has all its members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where all chance comes from.
    pub seed: u64,
    /// How many members the group wants.
    pub members: u32,
    /// How many hosts there are.
    pub hosts: u32,
    /// The least number of serving members.
    pub minimal: u32,
    /// What clients do.
    pub load: Load,
    /// The upgrades, one after the other.
    pub upgrades: Vec<Upgrade>,
    /// Other numbers of members, one after the other.
    pub wishes: Vec<Wish>,
    /// The faults.
    pub strikes: Vec<Strike>,
    /// Whether faults may take more than the group bears: then it has to wait, for ever.
    pub reckless: bool,
}

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Clients whose sessions all ask at the same moment.
    pub bursts: u32,
    /// Sessions of each.
    pub sessions: u32,
    /// How often, in milliseconds.
    pub every_ms: u64,
    /// Clients with one session, that ask now and then.
    pub singles: u32,
}

/// An upgrade that an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The version.
    pub to: Version,
    /// How long after the group was full, or after the upgrade before it ended.
    pub after_ms: u64,
    /// How many seats may be replaced at a time.
    pub parallel: u32,
    /// How often a seat is tried.
    pub attempts: u32,
    /// How long a successor may take to appear.
    pub patience_ms: u64,
    /// Whether another operator asks for the first version as soon as this one is accepted.
    pub contested: bool,
}

/// Other numbers of members that an operator asks for, again and again until he is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// How many members.
    pub members: u32,
    /// The least number of serving members.
    pub minimal: u32,
    /// When he begins, in milliseconds since the group was full, or as soon as the wish before is heard.
    pub at_ms: u64,
}

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    /// When.
    pub when: When,
    /// Whom it hits.
    pub role: Role,
    /// What happens.
    pub fault: Fault,
}

/// When a fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So many milliseconds after the group was full.
    At(u64),
    /// As soon as the group is in this phase and somebody has the role.
    On(Phase),
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident => $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// Its word in a plan.
            pub fn word(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }

        impl FromStr for $name {
            type Err = PlanError;

            fn from_str(text: &str) -> Result<$name, PlanError> {
                $name::ALL
                    .iter()
                    .copied()
                    .find(|known| known.word() == text)
                    .ok_or_else(|| PlanError::Word {
                        what: stringify!($name),
                        found: text.to_owned(),
                        known: $name::ALL.iter().map(|known| known.word()).collect(),
                    })
            }
        }
    };
}

words! {
    /// What the group is doing, as its ordered state says.
    Phase {
        /// Nothing: all seats are filled, and no upgrade was asked for.
        Steady => "steady",
        /// A turn was taken, and its successor is not admitted yet.
        TurnStart => "turn-start",
        /// The successor receives the state.
        TurnTransfer => "turn-transfer",
        /// The successor follows the order.
        TurnCatchUp => "turn-catch-up",
        /// The successor is ready and has no vote yet.
        TurnReady => "turn-ready",
        /// The joint change: the successor is in, its predecessor not yet out.
        Swap => "swap",
        /// The predecessor is out, and its process still runs.
        Leaving => "leaving",
        /// Only the leader is left, and it must hand over first.
        HandOver => "hand-over",
        /// An upgrade runs, and none of this.
        Mixed => "mixed",
        /// A seat is vacant, or its replacement is not admitted yet.
        RecoveryStart => "recovery-start",
        /// A replacement receives the state.
        RecoveryTransfer => "recovery-transfer",
        /// A replacement follows the order.
        RecoveryCatchUp => "recovery-catch-up",
        /// The last upgrade has ended.
        After => "after",
    }
}

words! {
    /// Whom a fault hits.
    Role {
        /// The leader of record.
        Leader => "leader",
        /// The member whose turn runs, or that leaves.
        Old => "old",
        /// The successor: a process that was started for a turn, also when it has its vote.
        New => "new",
        /// A replacement that recovery has had started.
        Joiner => "joiner",
        /// Whoever gives its state away.
        Donor => "donor",
        /// A member that is none of these.
        Member => "member",
        /// The execution daemon of the host where something is started; of any host otherwise.
        Daemon => "daemon",
    }
}

/// What happens to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process is gone, and its daemon knows (a daemon comes back after half a second).
    Crash,
    /// The whole host is gone, and nobody says so.
    PowerOff,
    /// Nothing is done for so many milliseconds.
    Pause(u64),
    /// The host is cut off from all others.
    Isolate(u64),
    /// What others say does not arrive.
    Deafen(u64),
    /// What it says does not arrive.
    Mute(u64),
    /// The host is cut off and back, again and again.
    Flap(u64),
    /// Everything takes two hundred times as long.
    Slow(u64),
    /// Starting and recording on the host takes long.
    SlowDisk(u64),
    /// The wall clock jumps by an hour, and the monotonic one runs 2 % wrong.
    WrongClock,
    /// All connections break.
    Cut,
    /// A replica's layers begin anew from the ordered state; a daemon is started again at once.
    Forget,
    /// Messages are late, lost with their connection, repeated and overtaken.
    Weather(u64),
}

impl Fault {
    /// Every kind, with its usual length.
    pub const ALL: [Fault; 13] = [
        Fault::Crash,
        Fault::PowerOff,
        Fault::Pause(700),
        Fault::Isolate(700),
        Fault::Deafen(700),
        Fault::Mute(700),
        Fault::Flap(700),
        Fault::Slow(500),
        Fault::SlowDisk(2_000),
        Fault::WrongClock,
        Fault::Cut,
        Fault::Forget,
        Fault::Weather(1_000),
    ];

    /// Its word in a plan.
    pub fn word(self) -> &'static str {
        match self {
            Fault::Crash => "crash",
            Fault::PowerOff => "power-off",
            Fault::Pause(_) => "pause",
            Fault::Isolate(_) => "isolate",
            Fault::Deafen(_) => "deafen",
            Fault::Mute(_) => "mute",
            Fault::Flap(_) => "flap",
            Fault::Slow(_) => "slow",
            Fault::SlowDisk(_) => "slow-disk",
            Fault::WrongClock => "wrong-clock",
            Fault::Cut => "cut",
            Fault::Forget => "forget",
            Fault::Weather(_) => "weather",
        }
    }

    /// How long it lasts, in milliseconds.
    pub fn lasts_ms(self) -> u64 {
        match self {
            Fault::Pause(ms)
            | Fault::Isolate(ms)
            | Fault::Deafen(ms)
            | Fault::Mute(ms)
            | Fault::Flap(ms)
            | Fault::Slow(ms)
            | Fault::SlowDisk(ms)
            | Fault::Weather(ms) => ms,
            Fault::Crash | Fault::PowerOff | Fault::WrongClock | Fault::Cut | Fault::Forget => 0,
        }
    }

    /// The same fault for another time.
    #[must_use]
    pub fn lasting(self, ms: u64) -> Fault {
        match self {
            Fault::Pause(_) => Fault::Pause(ms),
            Fault::Isolate(_) => Fault::Isolate(ms),
            Fault::Deafen(_) => Fault::Deafen(ms),
            Fault::Mute(_) => Fault::Mute(ms),
            Fault::Flap(_) => Fault::Flap(ms),
            Fault::Slow(_) => Fault::Slow(ms),
            Fault::SlowDisk(_) => Fault::SlowDisk(ms),
            Fault::Weather(_) => Fault::Weather(ms),
            same @ (Fault::Crash
            | Fault::PowerOff
            | Fault::WrongClock
            | Fault::Cut
            | Fault::Forget) => same,
        }
    }
}

/// Why a text is no plan. Nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A word that is none of those that may stand there.
    #[error("`{found}` is no {what}; known are {}", known.join(", "))]
    Word {
        /// What was expected.
        what: &'static str,
        /// What stands there.
        found: String,
        /// What may.
        known: Vec<&'static str>,
    },
    /// A number was expected.
    #[error("`{found}` is no number")]
    Number {
        /// What stands there.
        found: String,
    },
    /// A version was expected.
    #[error("`{found}` is no version like 2.0.0")]
    Version {
        /// What stands there.
        found: String,
    },
    /// A line that is not understood.
    #[error("line {line}: `{text}`: {why}")]
    Line {
        /// Which.
        line: usize,
        /// Its text.
        text: String,
        /// Why not.
        why: String,
    },
}

impl Default for Plan {
    /// Three members on four hosts, about a thousand requests per second, nothing else.
    fn default() -> Plan {
        Plan {
            seed: 1,
            members: 3,
            hosts: 4,
            minimal: 1,
            load: Load {
                bursts: 1,
                sessions: 64,
                every_ms: 56,
                singles: 2,
            },
            upgrades: Vec::new(),
            wishes: Vec::new(),
            strikes: Vec::new(),
            reckless: false,
        }
    }
}

impl Upgrade {
    /// An upgrade as operators usually ask for it.
    pub fn to(version: Version, after_ms: u64) -> Upgrade {
        Upgrade {
            to: version,
            after_ms,
            parallel: 1,
            attempts: 8,
            patience_ms: 3_000,
            contested: false,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.when {
            When::At(ms) => write!(f, "at {ms} ms")?,
            When::On(phase) => write!(f, "on {phase}")?,
        }
        write!(f, " {} {}", self.fault, self.role)?;
        match self.fault.lasts_ms() {
            0 => Ok(()),
            ms => write!(f, " {ms} ms"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        writeln!(
            f,
            "group {} hosts {} minimal {}",
            self.members, self.hosts, self.minimal
        )?;
        let load = self.load;
        writeln!(
            f,
            "load bursts {} of {} every {} ms singles {}",
            load.bursts, load.sessions, load.every_ms, load.singles
        )?;
        for upgrade in &self.upgrades {
            writeln!(
                f,
                "upgrade to {} after {} ms parallel {} attempts {} patience {} ms{}",
                upgrade.to,
                upgrade.after_ms,
                upgrade.parallel,
                upgrade.attempts,
                upgrade.patience_ms,
                if upgrade.contested { " contested" } else { "" }
            )?;
        }
        for wish in &self.wishes {
            let Wish {
                members,
                minimal,
                at_ms,
            } = wish;
            writeln!(f, "wish {members} minimal {minimal} at {at_ms} ms")?;
        }
        for strike in &self.strikes {
            writeln!(f, "{strike}")?;
        }
        if self.reckless {
            writeln!(f, "reckless")?;
        }
        Ok(())
    }
}

impl FromStr for Plan {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Plan, PlanError> {
        let mut plan = Plan::default();
        for (number, line) in (1..).zip(text.lines()) {
            let bare = line.split('#').next().unwrap_or_default().trim();
            if bare.is_empty() {
                continue;
            }
            let words = Words(
                bare.split([' ', ','])
                    .filter(|word| !word.is_empty())
                    .collect(),
            );
            plan.take(&words).map_err(|why| PlanError::Line {
                line: number,
                text: bare.to_owned(),
                why: why.to_string(),
            })?;
        }
        Ok(plan)
    }
}

impl Plan {
    fn take(&mut self, words: &Words<'_>) -> Result<(), PlanError> {
        match words.0[0] {
            "seed" => self.seed = words.number(1)?,
            "group" => {
                self.members = words.small(1)?;
                self.hosts = words.after("hosts", self.hosts)?;
                self.minimal = words.after("minimal", self.minimal)?;
            }
            "load" => {
                self.load.bursts = words.after("bursts", self.load.bursts)?;
                self.load.sessions = words.after("of", self.load.sessions)?;
                self.load.every_ms = words.after("every", self.load.every_ms)?;
                self.load.singles = words.after("singles", self.load.singles)?;
            }
            "upgrade" => {
                let text = words.word("to", 2)?;
                let to = Version::parse(text).map_err(|_| PlanError::Version {
                    found: text.to_owned(),
                })?;
                let usual = Upgrade::to(to, 300);
                self.upgrades.push(Upgrade {
                    after_ms: words.after("after", usual.after_ms)?,
                    parallel: words.after("parallel", usual.parallel)?,
                    attempts: words.after("attempts", usual.attempts)?,
                    patience_ms: words.after("patience", usual.patience_ms)?,
                    contested: words.0.contains(&"contested"),
                    ..usual
                });
            }
            "wish" => self.wishes.push(Wish {
                members: words.small(1)?,
                minimal: words.after("minimal", self.minimal)?,
                at_ms: words.after("at", 0)?,
            }),
            "reckless" => self.reckless = true,
            "at" => {
                let when = When::At(words.number(1)?);
                let rest = if words.0.get(2) == Some(&"ms") { 3 } else { 2 };
                self.strike(when, words, rest)?;
            }
            "on" => {
                let when = When::On(words.word("phase", 1)?.parse()?);
                self.strike(when, words, 2)?;
            }
            other => {
                return Err(PlanError::Word {
                    what: "command",
                    found: other.to_owned(),
                    known: vec![
                        "seed", "group", "load", "upgrade", "wish", "at", "on", "reckless",
                    ],
                });
            }
        }
        Ok(())
    }

    fn strike(&mut self, when: When, words: &Words<'_>, at: usize) -> Result<(), PlanError> {
        let text = words.word("fault", at)?;
        let usual = Fault::ALL.iter().find(|fault| fault.word() == text);
        let usual = *usual.ok_or_else(|| PlanError::Word {
            what: "fault",
            found: text.to_owned(),
            known: Fault::ALL.iter().map(|fault| fault.word()).collect(),
        })?;
        let role = words.word("role", at + 1)?.parse()?;
        let fault = match words.0.get(at + 2) {
            Some(_) => usual.lasting(words.number(at + 2)?),
            None => usual,
        };
        self.strikes.push(Strike { when, role, fault });
        Ok(())
    }
}

struct Words<'a>(Vec<&'a str>);

impl Words<'_> {
    fn word(&self, what: &'static str, at: usize) -> Result<&str, PlanError> {
        self.0.get(at).copied().ok_or_else(|| PlanError::Word {
            what,
            found: String::new(),
            known: Vec::new(),
        })
    }

    fn number(&self, at: usize) -> Result<u64, PlanError> {
        let text = self.word("number", at)?;
        text.parse().map_err(|_| PlanError::Number {
            found: text.to_owned(),
        })
    }

    fn small(&self, at: usize) -> Result<u32, PlanError> {
        let number = self.number(at)?;
        u32::try_from(number).map_err(|_| PlanError::Number {
            found: number.to_string(),
        })
    }

    /// The number behind a word, if the word is there.
    fn after<N: FromStr>(&self, word: &str, usual: N) -> Result<N, PlanError> {
        let Some(at) = self.0.iter().position(|known| *known == word) else {
            return Ok(usual);
        };
        let text = self.word("number", at + 1)?;
        text.parse().map_err(|_| PlanError::Number {
            found: text.to_owned(),
        })
    }
}
