//! A connection and its streams, in frames.

use std::net::SocketAddr;
use std::time::Duration;

use quinn::{ConnectionError, ReadError, ReadExactError, VarInt, WriteError};
use zeroize::Zeroizing;

use super::{CloseCode, Ending, Error};
use crate::codec::{self, Frame, HEADER, Header, Message};

/// Which stream goes first when the line is narrow. The hub's intents and the agent's reports never compete, since they
/// go opposite ways; control goes before both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Control frames.
    Control,
    /// Intents and secrets.
    Intent,
    /// Report batches.
    Report,
}

impl Priority {
    fn number(self) -> i32 {
        match self {
            Self::Control => 30,
            Self::Intent => 20,
            Self::Report => 10,
        }
    }
}

/// A connection. Cheap to clone; it closes when all clones and streams are gone.
#[derive(Clone)]
pub struct Connection {
    inner: quinn::Connection,
}

/// The sending half of a stream.
pub struct Sender {
    inner: quinn::SendStream,
}

/// The receiving half of a stream.
pub struct Receiver {
    inner: quinn::RecvStream,
}

/// Runs `work` for at most `limit`.
///
/// # Errors
/// [`Error::Timeout`], or what `work` fails with.
pub async fn within<T>(
    limit: Duration,
    operation: &'static str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or(Err(Error::Timeout { operation, limit }))
}

impl Connection {
    pub(super) fn new(inner: quinn::Connection) -> Self {
        Self { inner }
    }

    /// Where the peer is now.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.inner.remote_address()
    }

    /// Opens a bidirectional stream; waits while the peer grants none. Cancel-safe.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn open(&self, priority: Priority) -> Result<(Sender, Receiver), Error> {
        let (send, receive) = self.inner.open_bi().await.map_err(ended("open a stream"))?;
        Ok((Sender::new(send, priority), Receiver { inner: receive }))
    }

    /// Takes the next bidirectional stream that the peer opened; `priority` is that of the answers. Cancel-safe.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn accept(&self, priority: Priority) -> Result<(Sender, Receiver), Error> {
        let (send, receive) = self
            .inner
            .accept_bi()
            .await
            .map_err(ended("accept a stream"))?;
        Ok((Sender::new(send, priority), Receiver { inner: receive }))
    }

    /// Opens a one-way stream; waits while the peer grants none. Cancel-safe.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn open_one_way(&self, priority: Priority) -> Result<Sender, Error> {
        let send = self
            .inner
            .open_uni()
            .await
            .map_err(ended("open a one-way stream"))?;
        Ok(Sender::new(send, priority))
    }

    /// Takes the next one-way stream that the peer opened. Cancel-safe.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn accept_one_way(&self) -> Result<Receiver, Error> {
        self.inner
            .accept_uni()
            .await
            .map(|inner| Receiver { inner })
            .map_err(ended("accept a one-way stream"))
    }

    /// Closes at once and tells the peer why. What was not acknowledged yet may be lost.
    pub fn close(&self, code: CloseCode, message: &str) {
        self.inner
            .close(VarInt::from(code.number()), message.as_bytes());
    }

    /// Waits for the end. Cancel-safe.
    pub async fn closed(&self) -> Ending {
        Ending::of(&self.inner.closed().await)
    }
}

impl Sender {
    fn new(inner: quinn::SendStream, priority: Priority) -> Self {
        // Fails only on a stream that is closed already, which the first frame will find out.
        drop(inner.set_priority(priority.number()));
        Self { inner }
    }

    /// Sends one message; waits while the peer's windows are full. Not cancel-safe: half a frame may be on its way.
    ///
    /// # Errors
    /// When the message is too long, the stream was given up, or the connection has ended.
    pub async fn send<M: Message>(&mut self, message: &M) -> Result<(), Error> {
        let frame = codec::encode(message)?;
        self.inner
            .write_all(&frame)
            .await
            .map_err(|error| match error {
                WriteError::ConnectionLost(error) => ended("send a frame")(error),
                WriteError::Stopped(_) | WriteError::ClosedStream | WriteError::ZeroRttRejected => {
                    Error::Stream {
                        operation: "send a frame",
                    }
                }
            })
    }

    /// No more frames will follow on this stream.
    pub fn finish(&mut self) {
        // Fails only if the stream is closed already, which is what is wanted.
        drop(self.inner.finish());
    }

    /// Waits until the peer has received everything up to the end, or gave up the stream, or the connection ended.
    /// Cancel-safe.
    pub async fn delivered(&mut self) {
        // Every way for it to return means that there is nothing left to wait for.
        drop(self.inner.stopped().await);
    }
}

impl Receiver {
    /// The next frame; `None` at the end of the stream. Not cancel-safe: half a frame would be lost.
    ///
    /// # Errors
    /// When the frame is longer than allowed or cut short, the stream was given up, or the connection has ended.
    pub async fn frame(&mut self) -> Result<Option<Frame>, Error> {
        let mut bytes = [0; HEADER];
        match self.inner.read_exact(&mut bytes).await {
            Ok(()) => {}
            Err(ReadExactError::FinishedEarly(0)) => return Ok(None),
            Err(error) => return Err(read_error(error)),
        }
        let header = Header::parse(bytes);
        let mut payload = Zeroizing::new(vec![0; header.checked_length()?]);
        self.inner
            .read_exact(&mut payload)
            .await
            .map_err(read_error)?;
        Ok(Some(Frame { header, payload }))
    }

    /// The next frame, which must be an `M`.
    ///
    /// # Errors
    /// As [`Receiver::frame`], and when it is something else or nothing.
    pub async fn receive<M: Message>(&mut self) -> Result<M, Error> {
        let frame = self.frame().await?.ok_or(Error::Stream {
            operation: "receive a frame",
        })?;
        Ok(frame.decode()?)
    }
}

fn read_error(error: ReadExactError) -> Error {
    match error {
        ReadExactError::ReadError(ReadError::ConnectionLost(error)) => {
            ended("receive a frame")(error)
        }
        ReadExactError::ReadError(
            ReadError::Reset(_)
            | ReadError::ClosedStream
            | ReadError::IllegalOrderedRead
            | ReadError::ZeroRttRejected,
        )
        | ReadExactError::FinishedEarly(_) => Error::Stream {
            operation: "receive a frame",
        },
    }
}

pub(super) fn ended(operation: &'static str) -> impl Fn(ConnectionError) -> Error {
    move |error| Error::Ended {
        operation,
        ending: Ending::of(&error),
    }
}

#[cfg(test)]
impl Sender {
    /// Bytes that are no frame of ours.
    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        self.inner.write_all(bytes).await.unwrap();
    }
}
