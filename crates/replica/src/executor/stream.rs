//! The service's bytes on their way to a joiner: chunks, an end, a digest over all of them.
//!
//! `length: u32 little endian | bytes` for each chunk, then length 0, then the SHA-256 of all bytes.
//! Neither side holds more than a chunk. The reader remembers what went wrong, because a service
//! that reads a damaged or broken stream can only say that the state is none, and the blame for
//! that belongs elsewhere.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

/// Bytes per chunk: large enough that framing costs nothing, small enough to be no second copy.
pub(super) const CHUNK: usize = 256 << 10;
/// The largest chunk that is taken: far above what any release writes, and a length beyond it is
/// known to be damaged before it is waited for.
const CHUNK_MAX: usize = 16 << 20;
/// Bytes of the digest.
const DIGEST: usize = 32;

/// Cuts what is written into chunks.
pub(super) struct ChunkWriter<'a> {
    out: &'a mut dyn Write,
    chunk: Vec<u8>,
    digest: Sha256,
}

impl<'a> ChunkWriter<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> ChunkWriter<'a> {
        ChunkWriter {
            out,
            chunk: Vec::with_capacity(CHUNK),
            digest: Sha256::new(),
        }
    }

    fn send(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let length = u32::try_from(self.chunk.len()).expect("a chunk is small");
        self.out.write_all(&length.to_le_bytes())?;
        self.out.write_all(&self.chunk)?;
        self.digest.update(&self.chunk);
        self.chunk.clear();
        Ok(())
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// The writer's.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.send()?;
        self.out.write_all(&0_u32.to_le_bytes())?;
        self.out.write_all(&self.digest.finalize())?;
        self.out.flush()
    }
}

impl Write for ChunkWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.chunk.len() >= CHUNK {
            self.send()?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// Chunks are cut by size alone, so that the stream does not depend on how it was written.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is wrong with a stream.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// It broke.
    #[error("{0}")]
    Broken(io::Error),
    /// It came, but not as it was sent.
    #[error("{0}")]
    Damaged(String),
}

/// Reads what a [`ChunkWriter`] wrote.
pub(super) struct ChunkReader<'a> {
    from: &'a mut dyn Read,
    /// Bytes of the current chunk that were not read yet.
    left: usize,
    ended: bool,
    digest: Sha256,
    fault: Option<Fault>,
}

impl<'a> ChunkReader<'a> {
    pub(super) fn new(from: &'a mut dyn Read) -> ChunkReader<'a> {
        ChunkReader {
            from,
            left: 0,
            ended: false,
            digest: Sha256::new(),
            fault: None,
        }
    }

    /// Reads the rest of the stream; returns how many bytes of the state it held.
    ///
    /// # Errors
    /// The stream broke at some time, or the digest says that it was damaged.
    pub(super) fn finish(mut self) -> Result<u64, Fault> {
        let rest = io::copy(&mut self, &mut io::sink());
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let rest = rest.map_err(Fault::Broken)?;
        let mut digest = [0; DIGEST];
        self.from.read_exact(&mut digest).map_err(Fault::Broken)?;
        if digest != <[u8; DIGEST]>::from(self.digest.finalize()) {
            let why = "its bytes have another digest than those that were sent";
            return Err(Fault::Damaged(why.to_owned()));
        }
        Ok(rest)
    }

    fn next_chunk(&mut self) -> Result<(), Fault> {
        let mut length = [0; 4];
        self.from.read_exact(&mut length).map_err(Fault::Broken)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > CHUNK_MAX {
            let why = format!("a chunk of {length} bytes, at most {CHUNK_MAX} are sent");
            return Err(Fault::Damaged(why));
        }
        self.left = length;
        self.ended = length == 0;
        Ok(())
    }

    /// Remembers the fault, and tells the reader of it.
    fn fail(&mut self, fault: Fault) -> io::Error {
        let error = fault.as_error();
        self.fault = Some(fault);
        error
    }
}

impl Fault {
    fn as_error(&self) -> io::Error {
        let kind = match self {
            Fault::Broken(error) => error.kind(),
            Fault::Damaged(_) => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, self.to_string())
    }
}

impl Read for ChunkReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(fault) = &self.fault {
            return Err(fault.as_error());
        }
        if self.left == 0 && !self.ended {
            self.next_chunk().map_err(|fault| self.fail(fault))?;
        }
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        let wanted = buffer.len().min(self.left);
        let read = match self.from.read(&mut buffer[..wanted]) {
            Ok(0) => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            other => other,
        };
        let read = read.map_err(|error| self.fail(Fault::Broken(error)))?;
        self.digest.update(&buffer[..read]);
        self.left -= read;
        Ok(read)
    }
}
