//! Secrets at rest: AES-256-GCM with a key that stands outside the store's directory.
//!
//! A copy of the store alone tells nothing; whoever may read the key file as well reads everything. The name of the
//! secret is authenticated with the value, so that two rows cannot be exchanged.

use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::error::Error;
use super::files;

/// The key. It has no `Debug`.
pub(crate) struct Seal {
    key: LessSafeKey,
    random: SystemRandom,
}

impl Seal {
    /// Reads the key file, if there is one.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(files::file("reading", path, source)),
        };
        let key = bytes
            .as_slice()
            .try_into()
            .map_err(|_| Error::Encoding {
                what: "the seal key file",
                operation: "read: it must hold exactly 32 bytes",
            })
            .map(Zeroizing::new)?;
        Self::from_key(&key).map(Some)
    }

    /// Makes a key and writes it with mode 0600, durably.
    pub(crate) fn make(path: &Path) -> Result<Self, Error> {
        let mut key = Zeroizing::new([0_u8; 32]);
        SystemRandom::new()
            .fill(key.as_mut())
            .map_err(|_| Error::Encoding {
                what: "the seal key",
                operation: "made: the operating system gave no randomness",
            })?;
        files::write_private(path, key.as_ref())?;
        Self::from_key(&key)
    }

    fn from_key(key: &[u8; 32]) -> Result<Self, Error> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| Error::Encoding {
            what: "the seal key",
            operation: "used",
        })?;
        Ok(Self {
            key: LessSafeKey::new(key),
            random: SystemRandom::new(),
        })
    }

    /// `nonce | ciphertext | tag`.
    pub(crate) fn seal(&self, name: &[u8], value: &[u8]) -> Result<Vec<u8>, Error> {
        let failed = |_| Error::Encoding {
            what: "a secret",
            operation: "sealed",
        };
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(failed)?;
        let mut text = Zeroizing::new(value.to_vec());
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name),
                text.as_mut_slice(),
            )
            .map_err(failed)?;
        Ok([nonce.as_slice(), text.as_slice(), tag.as_ref()].concat())
    }

    /// The value, if it was sealed under this key and this name.
    pub(crate) fn unseal(&self, name: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let failed = || Error::Encoding {
            what: "a secret",
            operation: "unsealed",
        };
        let (nonce, text) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(failed)?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(name),
                text.as_mut_slice(),
            )
            .map_err(|_| failed())?
            .len();
        text.truncate(length);
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_only_under_its_name_its_key_and_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let seal = Seal::make(&dir.path().join("a")).unwrap();
        let again = Seal::read(&dir.path().join("a")).unwrap().unwrap();
        let other = Seal::make(&dir.path().join("b")).unwrap();
        let sealed = seal.seal(b"name", b"hunter2").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
        assert_eq!(*again.unseal(b"name", &sealed).unwrap(), b"hunter2");
        assert!(other.unseal(b"name", &sealed).is_err());
        assert!(seal.unseal(b"eman", &sealed).is_err());
        for place in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[place] ^= 1;
            assert!(seal.unseal(b"name", &flipped).is_err(), "byte {place}");
        }
        assert!(seal.unseal(b"name", b"short").is_err());
    }

    #[test]
    fn the_key_file_is_private_and_must_have_its_length() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        assert!(Seal::read(&path).unwrap().is_none());
        Seal::make(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(&path, b"too short").unwrap();
        assert!(Seal::read(&path).is_err());
    }
}
