//! The state on its way from one member to a joiner: blocking streams on the executors' threads.
//!
//! A donor's executor writes the head and the service's chunks into memory and goes on; a thread of its
//! own gives them to the joiner, which may be stopped or slow. A state that is too large for that is
//! written to the joiner itself, while other members answer. A joiner's executor dials, reads, maps. The loops only carry the sockets
//! and watch: whoever shuts one down ends the transfer at once.

use std::any::Any;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use group::Admitted;
use replica::{Execute, Program};
use wire::frame::{self, Message};
use wire::hello::{Hello, Opener, Welcome};
use wire::peer::TransferHead;
use wire::{MemberId, Position};

/// How long an announced state waits for its joiner, and a joiner that dials early for the
/// announcement: both follow from the same position of the order, so they come close together.
pub(crate) const MEETING_PATIENCE: Duration = Duration::from_secs(2);
/// How much of a state is kept in memory for its joiner. Writing so much takes a tenth of a second, in
/// which the donor's service stands still.
const IMAGE_MAX: usize = 64 << 20;
/// How long a joiner may take no bytes before it is given up: mapping runs while it reads.
const WRITE_SILENCE_MAX: Duration = Duration::from_secs(5);
/// How long a donor may send no bytes: it may have to catch up with its own queue first.
const READ_SILENCE_MAX: Duration = Duration::from_secs(10);
/// How long a donor may take to accept the connection.
const DIAL_PATIENCE: Duration = Duration::from_secs(1);
/// Bytes per system call on both sides.
const BUFFER: usize = 256 << 10;
/// The largest welcome.
const WELCOME_FRAME_MAX: usize = 64 << 10;
/// The largest head: the sessions' kept replies are in it. It is read as it comes, so a wrong
/// length costs nothing.
const HEAD_FRAME_MAX: usize = 1 << 30;

/// A joiner's connection for its state, out of the loop's hands.
#[derive(Debug)]
pub(crate) struct Bulk {
    /// The socket, blocking.
    stream: TcpStream,
    /// What the loop had still to send on it.
    unsent: Vec<u8>,
}

impl Bulk {
    pub(crate) fn new(stream: TcpStream, unsent: Vec<u8>) -> io::Result<Bulk> {
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(WRITE_SILENCE_MAX))?;
        Ok(Bulk { stream, unsent })
    }

    /// A handle by which the loop can end the transfer.
    pub(crate) fn handle(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }
}

/// A state to give away: it stands in the executor's queue at its position.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) joiner: MemberId,
    pub(crate) position: Position,
    pub(crate) format: u32,
    pub(crate) head: TransferHead,
    /// Nobody else answers clients meanwhile: all of it is kept in memory, however large it is.
    pub(crate) alone: bool,
    /// Brings the joiner's connection; closed if the export is cancelled.
    pub(crate) bulk: Receiver<Bulk>,
}

/// Why a joiner did not get the state. The donor's own is untouched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error("it did not dial for it within {} s", MEETING_PATIENCE.as_secs())]
    Nobody,
    #[error("the group does not want it any more")]
    Cancelled,
    #[error("the state of {here} stands here where that of {wanted} was wanted")]
    Position { here: Position, wanted: Position },
    #[error("{0}")]
    State(#[from] replica::StateError),
    #[error("the connection: {0}")]
    Stream(#[from] io::Error),
    #[error("the service panicked while it wrote its state: {0}")]
    Panicked(String),
}

/// What remains to be done of an export when the service may go on.
#[derive(Debug)]
pub(crate) enum Exported {
    /// Nothing.
    All,
    /// The state stands in memory: [`Image::send`] gives it to the joiner.
    Image(Image),
}

/// Writes the state of `execute` for the joiner that `export` is for.
pub(crate) fn export(execute: &dyn Execute, export: Export) -> Result<Exported, ExportError> {
    let (here, wanted) = (execute.position(), export.position);
    if here != wanted {
        return Err(ExportError::Position { here, wanted });
    }
    let mut head = export.head;
    head.sessions = execute.sessions();
    let mut out = Out {
        kept: Vec::new(),
        kept_max: if export.alone { usize::MAX } else { IMAGE_MAX },
        joiner: Joiner::Expected(export.bulk),
    };
    frame::encode(&head, &mut out.kept);
    drop(head);
    // Only read from: whatever a panic leaves behind, the service is as it was.
    let written = catch_unwind(AssertUnwindSafe(|| execute.export(export.format, &mut out)));
    let failed = match written {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(ExportError::from(error)),
        Err(panic) => Some(ExportError::Panicked(panic_text(panic.as_ref()))),
    };
    match (out.joiner, failed) {
        (Joiner::Absent(why), _) => Err(why),
        (Joiner::Expected(bulk), None) => Ok(Exported::Image(Image {
            bytes: out.kept,
            bulk,
        })),
        (Joiner::Expected(_), Some(why)) => Err(why),
        (Joiner::Takes(mut stream), None) => {
            stream.flush()?;
            Ok(Exported::All)
        }
        (Joiner::Takes(stream), Some(why)) => {
            // What is still buffered is of no use, and sending it could take another while.
            let _unsent = stream.into_parts();
            Err(why)
        }
    }
}

/// A state in memory.
#[derive(Debug)]
pub(crate) struct Image {
    bytes: Vec<u8>,
    bulk: Receiver<Bulk>,
}

impl Image {
    /// Waits for the joiner and gives it the state.
    pub(crate) fn send(self) -> Result<(), ExportError> {
        let bulk = meet(&self.bulk)?;
        let mut stream = &bulk.stream;
        stream.write_all(&bulk.unsent)?;
        stream.write_all(&self.bytes)?;
        Ok(())
    }
}

/// The joiner's connection, as soon as it stands.
fn meet(bulk: &Receiver<Bulk>) -> Result<Bulk, ExportError> {
    bulk.recv_timeout(MEETING_PATIENCE)
        .map_err(|error| match error {
            RecvTimeoutError::Timeout => ExportError::Nobody,
            RecvTimeoutError::Disconnected => ExportError::Cancelled,
        })
}

/// Where a state is written: into memory, and on to the joiner where it is too large.
struct Out {
    kept: Vec<u8>,
    kept_max: usize,
    joiner: Joiner,
}

enum Joiner {
    Expected(Receiver<Bulk>),
    Takes(Box<BufWriter<TcpStream>>),
    Absent(ExportError),
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fits = self.kept.len() + bytes.len() <= self.kept_max;
        match &mut self.joiner {
            Joiner::Expected(_) if fits => {
                self.kept.extend_from_slice(bytes);
                Ok(bytes.len())
            }
            Joiner::Expected(bulk) => {
                let met = meet(bulk);
                match met {
                    Ok(Bulk { stream, unsent }) => {
                        let mut stream = BufWriter::with_capacity(BUFFER, stream);
                        stream.write_all(&unsent)?;
                        stream.write_all(&std::mem::take(&mut self.kept))?;
                        self.joiner = Joiner::Takes(Box::new(stream));
                    }
                    Err(why) => self.joiner = Joiner::Absent(why),
                }
                self.write(bytes)
            }
            Joiner::Takes(stream) => stream.write(bytes),
            Joiner::Absent(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.joiner {
            Joiner::Takes(stream) => stream.flush(),
            Joiner::Expected(_) | Joiner::Absent(_) => Ok(()),
        }
    }
}

/// A state to fetch.
#[derive(Debug)]
pub(crate) struct Fetch {
    /// Comes back in the report.
    pub(crate) number: u64,
    pub(crate) group: String,
    pub(crate) admitted: Admitted,
    pub(crate) ticket: Arc<Ticket>,
}

/// What the loop sees and holds of a fetch that runs.
#[derive(Debug, Default)]
pub(crate) struct Ticket {
    received: AtomicU64,
    line: Mutex<Line>,
}

/// The connection of a fetch, as far as it is.
#[derive(Debug, Default)]
enum Line {
    #[default]
    NotYet,
    Stands(TcpStream),
    Cancelled,
}

impl Ticket {
    /// Bytes received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Ends the fetch, now or as soon as it dials.
    pub(crate) fn cancel(&self) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Line::Stands(stream) = std::mem::replace(&mut *line, Line::Cancelled) {
            // A socket that is closed already needs no shutting down.
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }

    fn stands(&self, stream: &TcpStream) -> Result<(), FetchError> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*line, Line::Cancelled) {
            return Err(FetchError::Broken("another donor was named".to_owned()));
        }
        *line = Line::Stands(stream.try_clone()?);
        Ok(())
    }
}

/// Why a joiner has no state.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// Another donor may help.
    #[error("{0}")]
    Broken(String),
    /// No donor can help this build.
    #[error("{0}")]
    Unusable(String),
}

impl From<io::Error> for FetchError {
    fn from(error: io::Error) -> FetchError {
        FetchError::Broken(format!("the connection: {error}"))
    }
}

/// A state that has come, with the executor that holds it.
pub(crate) type Fetched = (Box<dyn Execute>, TransferHead);

/// Fetches the state and gives it to the service, which maps it (§2.1).
pub(crate) fn fetch(program: &Program, fetch: &Fetch) -> Result<Fetched, FetchError> {
    let Admitted {
        member,
        incarnation,
        donor,
        donor_address,
        position,
    } = fetch.admitted;
    let mut stream = TcpStream::connect_timeout(&donor_address, DIAL_PATIENCE)
        .map_err(|error| FetchError::Broken(format!("{donor} cannot be reached: {error}")))?;
    fetch.ticket.stands(&stream)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(READ_SILENCE_MAX))?;
    stream.set_write_timeout(Some(WRITE_SILENCE_MAX))?;
    let opener = Opener::Bulk {
        incarnation,
        joiner: member,
        position,
    };
    let mut hello = Vec::new();
    frame::encode(&Hello::new(&fetch.group, opener), &mut hello);
    stream.write_all(&hello)?;
    let mut from = BufReader::with_capacity(
        BUFFER,
        Counting {
            stream,
            received: &fetch.ticket.received,
        },
    );
    match read_frame(&mut from, WELCOME_FRAME_MAX)? {
        Welcome::Accepted { .. } => {}
        Welcome::Refused { why } => {
            return Err(FetchError::Broken(format!("{donor} refuses: {why}")));
        }
        Welcome::Removed { view } => {
            let why = format!("the view of {view} stands without this replica");
            return Err(FetchError::Unusable(why));
        }
    }
    let head: TransferHead = read_frame(&mut from, HEAD_FRAME_MAX)?;
    if head.position != position {
        let why = format!("{donor} sent the state of {} for {position}", head.position);
        return Err(FetchError::Broken(why));
    }
    let imported = catch_unwind(AssertUnwindSafe(|| {
        program.import(member, &head, &mut from)
    }));
    match imported {
        Ok(Ok(execute)) => Ok((execute, head)),
        Ok(Err(error)) if error.is_broken_stream() => Err(FetchError::Broken(error.to_string())),
        Ok(Err(error)) => Err(FetchError::Unusable(error.to_string())),
        Err(panic) => Err(FetchError::Unusable(format!(
            "the service panicked while it took the state: {}",
            panic_text(panic.as_ref())
        ))),
    }
}

/// Counts what comes.
struct Counting<'a> {
    stream: TcpStream,
    received: &'a AtomicU64,
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.received.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

fn read_frame<M: Message>(from: &mut impl Read, limit: usize) -> Result<M, FetchError> {
    let mut bytes = vec![0; 4];
    from.read_exact(&mut bytes)?;
    // Refuses a length that is too large before anything is read for it.
    let malformed = |error: frame::FrameError| FetchError::Broken(error.to_string());
    frame::split(&bytes, limit).map_err(malformed)?;
    let length = u32::from_le_bytes(bytes[..4].try_into().expect("four bytes"));
    let rest = from
        .by_ref()
        .take(u64::from(length))
        .read_to_end(&mut bytes)?;
    if rest < length as usize {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    let frame = frame::split(&bytes, limit)
        .map_err(malformed)?
        .expect("all of its bytes are here");
    frame.decode().map_err(malformed)
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("without a message").to_owned()
}

#[cfg(test)]
mod tests;
