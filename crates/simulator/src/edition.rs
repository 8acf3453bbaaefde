//! Editions: the versions that an installation's hosts have, good ones and bad ones.

use std::io::Read;
use std::sync::Arc;

use replica::{Call, Context, Program, Refusal, Service, StateError};
use wire::member::Binary;
use wire::{Build, MethodId, Version};

/// What a process of an edition does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It runs.
    Runs,
    /// It ends as soon as it is started.
    Exits,
    /// It is started and never says anything.
    NeverJoins,
    /// It ends so many milliseconds after it was started.
    DiesAfter(u64),
}

/// One binary: what a host can start.
#[derive(Clone, Debug)]
pub struct Edition {
    /// Version and build.
    pub binary: Binary,
    /// The service as remex runs it.
    pub program: Arc<Program>,
    /// What its process does.
    pub manner: Manner,
    plain: Plain,
}

/// How a state in a format becomes a reference.
type Import = fn(u32, &mut dyn Read) -> Result<Box<dyn Reference>, StateError>;

/// The service without remex around it: what the reference runs.
#[derive(Clone, Copy, Debug)]
struct Plain {
    initial: fn() -> Box<dyn Reference>,
    import: Import,
}

/// One unreplicated service, called directly: no sessions, no order, no transfer.
pub(crate) trait Reference {
    fn apply(&mut self, cx: &Context, call: Call<'_>) -> Result<Vec<u8>, Refusal>;
    fn read(&self, cx: &Context, call: Call<'_>) -> Result<Vec<u8>, Refusal>;
    /// The state in a format.
    fn state(&self, format: u32) -> Result<Vec<u8>, StateError>;
}

struct Bare<S>(S);

impl<S: Service> Reference for Bare<S> {
    fn apply(&mut self, cx: &Context, call: Call<'_>) -> Result<Vec<u8>, Refusal> {
        self.0.apply(cx, call)
    }

    fn read(&self, cx: &Context, call: Call<'_>) -> Result<Vec<u8>, Refusal> {
        self.0.read(cx, call)
    }

    fn state(&self, format: u32) -> Result<Vec<u8>, StateError> {
        let mut bytes = Vec::new();
        self.0.export(format, &mut bytes)?;
        Ok(bytes)
    }
}

fn initial<S: Service>() -> Box<dyn Reference> {
    Box::new(Bare(S::initial()))
}

fn import<S: Service>(format: u32, from: &mut dyn Read) -> Result<Box<dyn Reference>, StateError> {
    Ok(Box::new(Bare(S::import(format, from)?)))
}

impl Edition {
    /// The edition of a service whose process runs.
    pub fn of<S: Service>() -> Edition {
        Edition::that::<S>(Manner::Runs, 0)
    }

    /// An edition whose process does what `manner` says. Builds of the same version differ by
    /// `build`.
    pub fn that<S: Service>(manner: Manner, build: u8) -> Edition {
        let program = Program::of::<S>();
        let version = program.description.version.clone();
        let mut digest = [build; 32];
        digest[0] = u8::try_from(version.0.major).unwrap_or(u8::MAX);
        Edition {
            binary: Binary {
                version,
                build: Build(digest),
            },
            program: Arc::new(program),
            manner,
            plain: Plain {
                initial: initial::<S>,
                import: import::<S>,
            },
        }
    }

    /// The same under another version's number.
    #[must_use]
    pub fn called(mut self, version: Version) -> Edition {
        let mut program = (*self.program).clone();
        program.description.version = version.clone();
        self.program = Arc::new(program);
        self.binary.version = version;
        self
    }

    pub(crate) fn initial(&self) -> Box<dyn Reference> {
        (self.plain.initial)()
    }

    /// A reply, for people: its method, and its value if it decodes.
    pub(crate) fn tell(&self, method: MethodId, reply: &[u8]) -> String {
        let methods = &self.program.description.methods;
        let name = methods
            .iter()
            .find(|known| known.id == method)
            .map_or("?", |known| &known.name);
        match (self.program.reply_to_json)(method, reply) {
            Ok(value) => format!("`{name}` -> {value}"),
            Err(_) => format!("`{name}` -> {reply:?}"),
        }
    }

    /// The format that this edition works in.
    pub(crate) fn format(&self) -> u32 {
        self.program.description.state_format
    }

    /// This edition's reference with the state of `from`, which runs edition `old`: forwards this
    /// edition maps it, backwards the other one does.
    pub(crate) fn takes(
        &self,
        old: &Edition,
        from: &dyn Reference,
    ) -> Result<Box<dyn Reference>, StateError> {
        let forwards = self
            .program
            .description
            .reads_formats
            .contains(&old.format());
        let format = if forwards {
            old.format()
        } else {
            self.format()
        };
        let state = from.state(format)?;
        // The reference has no defect, whatever the museum shows.
        museum::aside(|| (self.plain.import)(format, &mut &state[..]))
    }
}
