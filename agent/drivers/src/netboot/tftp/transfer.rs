//! One file on its way to one client, block by block. Pure: packets and time-outs in, packets out.

use super::packet::{self, Options, Packet};

#[cfg(test)]
mod tests;

/// Without the option (RFC 1350).
const DEFAULT_BLOCK: u16 = 512;
/// What fits an Ethernet frame after the headers of IP, UDP and TFTP. A larger block would travel as fragments, which
/// small firmware stacks drop.
const LARGEST_BLOCK: u16 = 1468;
/// Times that one packet is sent. With a pause that doubles from a second, half a minute in all.
const TRIES: u8 = 5;

/// A transfer that was asked for.
#[derive(Debug)]
pub(crate) struct Transfer {
    file: Vec<u8>,
    options: Options,
    block_size: u16,
    /// Index of the block that the client has not acknowledged yet; `None` while it has not taken the options.
    block: Option<usize>,
    tries: u8,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Send this and wait.
    Send(Vec<u8>),
    /// Go on waiting.
    Nothing,
    /// The client has everything.
    Complete,
    /// The client went away, or wanted to know the size only.
    GiveUp,
}

impl Transfer {
    pub(crate) fn new(file: Vec<u8>, options: Options) -> Self {
        let has_options = options.size || options.block_size.is_some();
        Self {
            file,
            options,
            block_size: options
                .block_size
                .map_or(DEFAULT_BLOCK, |size| size.min(LARGEST_BLOCK)),
            block: (!has_options).then_some(0),
            tries: 1,
        }
    }

    pub(crate) fn begin(&self) -> Step {
        Step::Send(self.current())
    }

    /// The client sent something. A repeated acknowledgement is not answered: answering it would double every packet
    /// from there on (RFC 1123 section 4.2.3.1).
    pub(crate) fn receive(&mut self, packet: &Packet) -> Step {
        match packet {
            Packet::Error => Step::GiveUp,
            Packet::Read(_) => Step::Nothing,
            Packet::Acknowledge(number) => {
                if *number != self.number() {
                    return Step::Nothing;
                }
                let next = match self.block {
                    None => 0,
                    Some(block) if self.is_last(block) => return Step::Complete,
                    Some(block) => block + 1,
                };
                self.block = Some(next);
                self.tries = 1;
                Step::Send(self.current())
            }
        }
    }

    /// The client was silent for a while.
    pub(crate) fn time_out(&mut self) -> Step {
        if self.tries >= TRIES {
            return Step::GiveUp;
        }
        self.tries += 1;
        Step::Send(self.current())
    }

    fn current(&self) -> Vec<u8> {
        match self.block {
            None => packet::options(
                self.options.block_size.map(|_| self.block_size),
                self.options.size.then_some(self.file.len()),
            ),
            Some(block) => packet::data(self.number(), self.content(block)),
        }
    }

    /// The number of the unacknowledged packet. It wraps, as every client expects of a file of more than 65,535 blocks.
    fn number(&self) -> u16 {
        match self.block {
            None => 0,
            Some(block) => u16::try_from((block + 1) & 0xffff).unwrap_or(u16::MAX),
        }
    }

    fn content(&self, block: usize) -> &[u8] {
        let size = usize::from(self.block_size);
        let from = self.file.len().min(block * size);
        let to = self.file.len().min(from + size);
        self.file.get(from..to).unwrap_or_default()
    }

    /// The last block is the first that is not full.
    fn is_last(&self, block: usize) -> bool {
        self.content(block).len() < usize::from(self.block_size)
    }
}
