//! An object's text, packed: in memory it stands once in its row, once more in sled and for a while in the ring, and
//! most of it says the same words again (`managedFields`).
//!
//! One LZ4 block behind its unpacked length, `u32 little-endian | block` (LZ4 Block Format Description). It is sealed
//! after it is packed, so a copy of the data directory shows how well an object packs where it showed how long it is.

/// Packed text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packed(Box<[u8]>);

impl Packed {
    /// Packs `text`.
    pub(super) fn of(text: &[u8]) -> Self {
        // Of its size: the block is written into room for the worst case.
        Self(lz4_flex::block::compress_prepend_size(text).into_boxed_slice())
    }

    /// What was packed elsewhere. Whether it unpacks is seen by [`Packed::text`].
    pub(super) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The packed bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes of the text.
    pub(super) fn unpacked(&self) -> usize {
        let length = self.0.first_chunk().copied().map_or(0, u32::from_le_bytes);
        usize::try_from(length).unwrap_or(usize::MAX)
    }

    /// The text; `None` if these bytes are none that [`Packed::of`] made. The length that they name is believed, so
    /// they have to be authenticated.
    pub(super) fn text(&self) -> Option<Vec<u8>> {
        lz4_flex::block::decompress_size_prepended(&self.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Packed;

    #[test]
    fn text_comes_back_as_it_was() {
        for text in [String::new(), "a".to_owned(), "f:spec ".repeat(10_000)] {
            let packed = Packed::of(text.as_bytes());
            let again = Packed::from_bytes(packed.bytes());
            assert_eq!(again.text().unwrap(), text.as_bytes());
            assert_eq!(again.unpacked(), text.len());
        }
    }

    #[test]
    fn what_repeats_takes_less_room() {
        let text =
            r#"{"f:metadata":{"f:annotations":{".":{},"f:a":{}}},"f:spec":{"f:a":{}}}"#.repeat(40);
        assert!(Packed::of(text.as_bytes()).bytes().len() * 10 < text.len());
    }

    #[test]
    fn half_of_it_is_nothing() {
        let packed = Packed::of(&[7; 100]);
        for bytes in [&[][..], &packed.bytes()[..4], &packed.bytes()[..7]] {
            assert_eq!(Packed::from_bytes(bytes).text(), None, "{bytes:?}");
        }
    }
}
