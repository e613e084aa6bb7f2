//! A long answer, read by the thread that wants its bytes, into the buffer that it wants them in.
//!
//! Not by way of hyper: its buffers, a queue of them and a second copy of every byte cost a small server a third more
//! processor time, and memory that depends on how the line and the disk happen to keep pace. The kernel's socket buffer
//! is the queue here.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hyper::StatusCode;

use super::{ANSWER, Error, PIECE};

/// The head of an answer is not longer.
const HEAD: usize = 8 << 10;
/// Nor has it more lines.
const HEADERS: usize = 32;

/// An answer that is still coming.
#[derive(Debug)]
pub struct Download {
    server: SocketAddr,
    stream: TcpStream,
    /// What came together with the head.
    ahead: io::Cursor<Vec<u8>>,
    /// Bytes that are still to come.
    left: u64,
    /// Where the first byte belongs: less than asked for if the server does not do ranges.
    pub offset: u64,
    /// Bytes of the whole, if said.
    pub total: Option<u64>,
}

impl Download {
    /// Asks `server` for what lies at `path`, from byte `from` on.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub fn open(server: SocketAddr, path: &str, from: u64) -> Result<Self, Error> {
        let line = |error| broken(server, error);
        let mut stream = TcpStream::connect_timeout(&server, ANSWER)
            .map_err(|error| Error::Connect(server, error))?;
        stream.set_write_timeout(Some(ANSWER)).map_err(line)?;
        let range = match from {
            0 => String::new(),
            from => format!("Range: bytes={from}-\r\n"),
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {server}\r\nAccept-Encoding: identity\r\nConnection: close\r\n{range}\r\n"
        );
        stream.write_all(request.as_bytes()).map_err(line)?;
        let (head, ahead) = head(server, &mut stream)?;
        stream.set_read_timeout(Some(PIECE)).map_err(line)?;
        let (offset, total) = match head.status {
            StatusCode::OK => (0, head.length),
            StatusCode::PARTIAL_CONTENT => head.range.unwrap_or((from, None)),
            status => return Err(Error::Status(server, status)),
        };
        Ok(Self {
            server,
            stream,
            ahead: io::Cursor::new(ahead),
            left: head.length.ok_or(Error::Length(server))?,
            offset,
            total,
        })
    }

    /// The next bytes, as many as have come and `buffer` takes; 0 at the end.
    ///
    /// # Errors
    /// The connection broke before the end, or stood still.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX);
        let room = room.min(buffer.len());
        let Some(buffer) = buffer.get_mut(..room).filter(|buffer| !buffer.is_empty()) else {
            return Ok(0);
        };
        let read = match self.ahead.read(buffer) {
            Ok(0) => receive(&mut self.stream, buffer),
            read => read,
        };
        match read {
            Ok(0) => Err(Error::Line(self.server, ErrorKind::UnexpectedEof.into())),
            Ok(length) => {
                self.left -= length as u64;
                Ok(length)
            }
            Err(error) => Err(broken(self.server, error)),
        }
    }
}

fn receive(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// A read that takes longer than its limit fails as one that would have to wait.
fn broken(server: SocketAddr, error: io::Error) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(server),
        _ => Error::Line(server, error),
    }
}

/// What the head of an answer says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: StatusCode,
    length: Option<u64>,
    /// First byte, and bytes of the whole.
    range: Option<(u64, Option<u64>)>,
    /// Bytes of the head itself.
    bytes: usize,
}

/// Reads up to the end of the head; also what came after it.
fn head(server: SocketAddr, stream: &mut TcpStream) -> Result<(Head, Vec<u8>), Error> {
    let until = Instant::now() + ANSWER;
    let mut bytes = Vec::new();
    let mut buffer = vec![0; HEAD];
    while bytes.len() <= HEAD {
        // A time of zero would mean no limit.
        let left = until.saturating_duration_since(Instant::now());
        stream
            .set_read_timeout(Some(left.max(Duration::from_millis(1))))
            .map_err(|error| broken(server, error))?;
        let length = receive(stream, &mut buffer).map_err(|error| broken(server, error))?;
        if length == 0 {
            return Err(Error::Line(server, ErrorKind::UnexpectedEof.into()));
        }
        bytes.extend_from_slice(buffer.get(..length).unwrap_or_default());
        if let Some(head) = parse(&bytes).map_err(|error| Error::Head(server, error))? {
            let ahead = bytes.split_off(head.bytes);
            return Ok((head, ahead));
        }
        if Instant::now() >= until {
            return Err(Error::Timeout(server));
        }
    }
    Err(Error::TooLong(server))
}

/// `None` while the head is not complete.
fn parse(bytes: &[u8]) -> Result<Option<Head>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(end) = response.parse(bytes)? else {
        return Ok(None);
    };
    let header = |name: &str| {
        let header = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))?;
        str::from_utf8(header.value).ok()
    };
    let status = response
        .code
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or(httparse::Error::Status)?;
    // A length beside a coding is not that of the body (RFC 9112, 6.3).
    let length = match header("transfer-encoding") {
        Some(_) => None,
        None => header("content-length").and_then(|value| value.parse().ok()),
    };
    Ok(Some(Head {
        status,
        length,
        range: header("content-range").and_then(range_of),
        bytes: end,
    }))
}

/// `bytes 5-9/10` is (5, 10).
fn range_of(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, total.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_range_tells_place_and_total() {
        assert_eq!(range_of("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(range_of("bytes 5-9/*"), Some((5, None)));
        assert_eq!(range_of("bytes */10"), None);
    }

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let whole = "HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\ncontent-range: bytes 5-9/10\r\n\r\n";
        for end in 0..whole.len() {
            let part = whole.as_bytes().get(..end).unwrap();
            assert_eq!(parse(part), Ok(None), "{end}");
        }
        let expected = Head {
            status: StatusCode::PARTIAL_CONTENT,
            length: Some(5),
            range: Some((5, Some(10))),
            bytes: whole.len(),
        };
        let more = format!("{whole}body");
        assert_eq!(parse(more.as_bytes()), Ok(Some(expected)));
    }

    #[test]
    fn a_length_that_is_not_that_of_the_body_is_none() {
        for (headers, length) in [
            ("content-length: 7\r\n", Some(7)),
            ("", None),
            ("content-length: seven\r\n", None),
            ("content-length: 7\r\ntransfer-encoding: chunked\r\n", None),
        ] {
            let head = parse(format!("HTTP/1.1 200 OK\r\n{headers}\r\n").as_bytes());
            assert_eq!(head.unwrap().unwrap().length, length, "{headers}");
        }
        assert!(parse(b"SSH-2.0-OpenSSH\r\n\r\n").is_err());
    }
}
