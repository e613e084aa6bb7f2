//! From published bytes to the bytes of the disk: digest, then unpacking.

use std::io::{self, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use ring::digest::{Context, Digest, SHA256};
use vitistack_installer_wire::Format;

/// Longest head of a zstd frame (RFC 8878 3.1.1): enough to know the unpacked size.
const FRAME_HEAD: usize = 18;

/// The published bytes, digested as they pass.
pub(super) struct Published<R> {
    source: R,
    context: Context,
    /// The source's own failure, which unpackers would hide in theirs.
    failed: Option<io::Error>,
}

impl<R: Read> Published<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            context: Context::new(&SHA256),
            failed: None,
        }
    }

    /// Reads to the end and gives the digest of everything.
    pub(super) fn finish(mut self) -> io::Result<Digest> {
        let mut rest = vec![0; 64 << 10];
        while self.failed.is_none() && self.read(&mut rest).is_ok_and(|length| length > 0) {}
        self.failed.map_or_else(|| Ok(self.context.finish()), Err)
    }
}

impl<R: Read> Read for Published<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.source.read(buffer) {
            Ok(length) => {
                self.context
                    .update(buffer.get(..length).unwrap_or_default());
                Ok(length)
            }
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(kind.into())
            }
        }
    }
}

/// The bytes of the disk.
pub(super) struct Reader<'a, R: Read> {
    unpacker: Unpacker<'a, R>,
    unpacked_size: u64,
}

/// What was looked at in advance, and the rest.
type Whole<'a, R> = io::Chain<Cursor<Vec<u8>>, &'a mut Published<R>>;

enum Unpacker<'a, R: Read> {
    Raw(&'a mut Published<R>),
    Gzip(Box<MultiGzDecoder<BufReader<&'a mut Published<R>>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Whole<'a, R>>>>),
}

/// Opens an image.
pub(super) fn open<R: Read>(
    source: &mut Published<R>,
    format: Format,
) -> io::Result<Reader<'_, R>> {
    Ok(match format {
        Format::Raw => Reader {
            unpacker: Unpacker::Raw(source),
            unpacked_size: 0,
        },
        Format::Gzip => {
            let buffered = BufReader::with_capacity(64 << 10, source);
            let unpacker = Unpacker::Gzip(Box::new(MultiGzDecoder::new(buffered)));
            Reader {
                unpacker,
                unpacked_size: 0,
            }
        }
        Format::Zstd => {
            let mut head = Vec::with_capacity(FRAME_HEAD);
            source
                .by_ref()
                .take(FRAME_HEAD as u64)
                .read_to_end(&mut head)?;
            let size = zstd::zstd_safe::get_frame_content_size(&head)
                .ok()
                .flatten();
            let whole = BufReader::with_capacity(64 << 10, Cursor::new(head).chain(source));
            // The library's own limit for the window, 128 MiB, keeps memory bounded.
            let unpacker = Unpacker::Zstd(Box::new(zstd::Decoder::with_buffer(whole)?));
            Reader {
                unpacker,
                unpacked_size: size.unwrap_or(0),
            }
        }
    })
}

impl<R: Read> Reader<'_, R> {
    /// What the packing says about the size of the whole, 0 if nothing.
    pub(super) fn unpacked_size(&self) -> u64 {
        self.unpacked_size
    }
}

impl<R: Read> Read for Reader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.unpacker {
            Unpacker::Raw(source) => source.read(buffer),
            Unpacker::Gzip(decoder) => decoder.read(buffer),
            Unpacker::Zstd(decoder) => decoder.read(buffer),
        }
    }
}
