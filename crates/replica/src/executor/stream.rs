//! The service's bytes on their way to a joiner: chunks, an end, a digest over all of them.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

/// Bytes per chunk: large enough that framing costs nothing, small enough to be no second copy.
const CHUNK: usize = 256 << 10;

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

    fn flush(&mut self) -> io::Result<()> {
        self.send()?;
        self.out.flush()
    }
}

/// Reads what a [`ChunkWriter`] wrote.
pub(super) struct ChunkReader<'a> {
    from: &'a mut dyn Read,
    left: usize,
    ended: bool,
    digest: Sha256,
}

impl<'a> ChunkReader<'a> {
    pub(super) fn new(from: &'a mut dyn Read) -> ChunkReader<'a> {
        ChunkReader {
            from,
            left: 0,
            ended: false,
            digest: Sha256::new(),
        }
    }

    fn next_chunk(&mut self) -> io::Result<()> {
        let mut length = [0; 4];
        self.from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > CHUNK {
            let why = format!("a chunk of {length} bytes, at most {CHUNK} are allowed");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        self.left = length;
        self.ended = length == 0;
        Ok(())
    }

    /// The rest of the stream: nothing, and the digest of all that was read.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let mut rest = 0;
        let mut buffer = [0; 4096];
        loop {
            match self.read(&mut buffer)? {
                0 => break,
                more => rest += more,
            }
        }
        let mut digest = [0; 32];
        self.from.read_exact(&mut digest)?;
        let fault = if rest > 0 {
            Some(format!("{rest} bytes stand behind the state"))
        } else if digest != <[u8; 32]>::from(self.digest.finalize()) {
            Some("the digest of the state is wrong: it was damaged on its way".to_owned())
        } else {
            None
        };
        fault.map_or(Ok(()), |why| {
            Err(io::Error::new(io::ErrorKind::InvalidData, why))
        })
    }
}

impl Read for ChunkReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 && !self.ended {
            self.next_chunk()?;
        }
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        let wanted = buffer.len().min(self.left);
        let read = self.from.read(&mut buffer[..wanted])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.digest.update(&buffer[..read]);
        self.left -= read;
        Ok(read)
    }
}
