//! Objects at rest: AES-256-GCM with a key that stands outside the data directory.
//!
//! A copy of the data directory shows which objects there are and how large they are, and nothing of what is in them.
//! Whoever may read the key file as well reads everything. What a record belongs to is authenticated with it, so that
//! two records cannot be exchanged. Nonces are random: good for 2^32 writes under one key, which at the fastest that
//! an fsync a write allows is a matter of decades.

use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::error::{Error, file};
use super::files;

const KEY_BYTES: usize = 32;
/// Row that tells, sealed, whether a key is the right one.
pub(super) const CHECK: &[u8] = b"m/key";
/// Bytes that a sealed text has more than the text.
pub(super) const OVERHEAD: usize = NONCE_LEN + 16;

/// The key.
pub(super) struct Seal {
    key: LessSafeKey,
    random: SystemRandom,
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// Reads the key file, if there is one.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(file("read the key file", path)(source)),
        };
        if bytes.len() != KEY_BYTES {
            return Err(Error::KeyLength {
                path: path.to_owned(),
                found: bytes.len(),
                expected: KEY_BYTES,
            });
        }
        Self::of(&bytes).map(Some)
    }

    /// Makes a key and writes it with mode 0600, durably.
    pub(super) fn make(path: &Path) -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        SystemRandom::new()
            .fill(bytes.as_mut())
            .map_err(|_| Error::Seal("the key"))?;
        files::write_private(path, bytes.as_ref())?;
        Self::of(bytes.as_ref())
    }

    fn of(bytes: &[u8]) -> Result<Self, Error> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| Error::Seal("the key"))?;
        Ok(Self {
            key: LessSafeKey::new(key),
            random: SystemRandom::new(),
        })
    }

    /// `nonce | ciphertext | tag`, good only for `place`.
    pub(super) fn seal(&self, place: &[u8], text: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::Seal("an object");
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(failed)?;
        let mut sealed = Vec::with_capacity(text.len() + OVERHEAD);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(text);
        let (_, text) = sealed.split_at_mut(NONCE_LEN);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(place), text)
            .map_err(failed)?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// The text, if it was sealed with this key for `place`.
    pub(super) fn unseal(&self, place: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self
            .key
            .open_in_place(nonce, Aad::from(place), text.as_mut_slice())
            .ok()?
            .len();
        text.truncate(length);
        Some(text)
    }
}

/// Refuses a key that would be copied with what it seals. Links are followed as far as there is something to follow.
pub(crate) fn must_be_outside(key_file: &Path, data_dir: &Path) -> Result<(), Error> {
    let real = |path: &Path| {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let there = absolute
            .ancestors()
            .find_map(|ancestor| Some((ancestor.canonicalize().ok()?, ancestor.to_owned())));
        match there {
            Some((real, ancestor)) => absolute
                .strip_prefix(&ancestor)
                .map_or_else(|_| absolute.clone(), |rest| real.join(rest)),
            None => absolute,
        }
    };
    if real(key_file).starts_with(real(data_dir)) {
        return Err(Error::KeyInside {
            key_file: key_file.to_owned(),
            data_dir: data_dir.to_owned(),
        });
    }
    Ok(())
}
