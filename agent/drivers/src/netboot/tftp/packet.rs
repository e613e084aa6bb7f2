//! TFTP packets (RFC 1350, 2347 to 2349) that a read-only server reads and writes. Pure.

/// A packet of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Read(ReadRequest),
    Acknowledge(u16),
    Error,
}

/// A request for a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadRequest {
    pub(crate) file: String,
    pub(crate) options: Options,
}

/// The options that we take part in. All others (`windowsize`, `timeout`, multicast) are left out of our answer, which
/// tells the client that they do not hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) block_size: Option<u16>,
    /// The client wants to be told the file's size.
    pub(crate) size: bool,
}

/// Why a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorCode {
    NotFound = 1,
}

const READ: u16 = 1;
const DATA: u16 = 3;
const ACKNOWLEDGE: u16 = 4;
const ERROR: u16 = 5;
const OPTIONS: u16 = 6;

/// Reads a client's packet; `None` if it is none, asks to write, or asks for text.
pub(crate) fn parse(bytes: &[u8]) -> Option<Packet> {
    let ([high, low], rest) = bytes.split_first_chunk()?;
    match (u16::from_be_bytes([*high, *low]), rest) {
        (READ, rest) => read_request(rest).map(Packet::Read),
        (ACKNOWLEDGE, [high, low, ..]) => {
            Some(Packet::Acknowledge(u16::from_be_bytes([*high, *low])))
        }
        (ERROR, _) => Some(Packet::Error),
        _ => None,
    }
}

fn read_request(bytes: &[u8]) -> Option<ReadRequest> {
    // Every string ends with a zero, so a complete request has an empty piece at its end.
    let mut strings = bytes.split(|byte| *byte == 0).map(std::str::from_utf8);
    let mut next = || strings.next().and_then(Result::ok);
    let file = next().filter(|file| !file.is_empty())?.to_owned();
    if !next()?.eq_ignore_ascii_case("octet") {
        return None;
    }
    let mut options = Options::default();
    while let (Some(name), Some(value)) = (next(), next()) {
        if name.eq_ignore_ascii_case("blksize") {
            options.block_size = value.parse().ok().filter(|size| *size >= 8);
        } else if name.eq_ignore_ascii_case("tsize") {
            options.size = true;
        }
    }
    Some(ReadRequest { file, options })
}

pub(crate) fn error(code: ErrorCode, message: &str) -> Vec<u8> {
    let mut bytes = ERROR.to_be_bytes().to_vec();
    bytes.extend((code as u16).to_be_bytes());
    bytes.extend(message.as_bytes());
    bytes.push(0);
    bytes
}

pub(crate) fn data(block: u16, content: &[u8]) -> Vec<u8> {
    let mut bytes = DATA.to_be_bytes().to_vec();
    bytes.extend(block.to_be_bytes());
    bytes.extend(content);
    bytes
}

/// Says which options hold.
pub(crate) fn options(block_size: Option<u16>, size: Option<usize>) -> Vec<u8> {
    let mut bytes = OPTIONS.to_be_bytes().to_vec();
    let mut add = |name: &str, value: String| {
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes.extend(value.into_bytes());
        bytes.push(0);
    };
    if let Some(block_size) = block_size {
        add("blksize", block_size.to_string());
    }
    if let Some(size) = size {
        add("tsize", size.to_string());
    }
    bytes
}
