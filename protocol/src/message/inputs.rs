//! What only a new installation applies, as one digest by which an edited spec is told from what is on a disk.
//!
//! The agent says of an installation what it was made from, since an intent may change between two attempts and only
//! the agent knows which one ended well. Both sides compute the digest here, so what goes into it is frozen: other
//! inputs are another tag.

use super::Extensions;
use super::body::encode;
use super::intent::MachineIntent;
use super::report::MachineReport;
use crate::ids::Digest;

#[cfg(test)]
mod tests;

/// Tag of the extension of [`MachineReport`] that holds [`MachineReport::inputs`].
const MACHINE_INPUTS: u16 = 1;

impl MachineIntent {
    /// Digest of image, root device hints, host name, keys and user data.
    #[must_use]
    pub fn inputs(&self) -> Digest {
        let Self {
            target: _,
            operation: _,
            image,
            root_hints,
            allow_wipe: _,
            power: _,
            cleaning: _,
            hostname,
            ssh_keys,
            user_data,
            provisioned: _,
            adopt: _,
            extensions: _,
        } = self;
        // The key of user data counts by its content alone: the Secret may be made anew with the same.
        let user_data = user_data.map(|key| key.digest);
        Digest::of(&encode(&(
            image.digest,
            root_hints,
            hostname,
            ssh_keys,
            user_data,
        )))
    }
}

impl MachineReport {
    /// [`MachineIntent::inputs`] of what the installation on the disk was made from; `None` before there is one, and
    /// where the agent does not know it.
    #[must_use]
    pub fn inputs(&self) -> Option<Digest> {
        let bytes = self.extensions.find(MACHINE_INPUTS)?;
        postcard::from_bytes(bytes).ok()
    }

    /// The extensions of a report of an installation that was made from `inputs`.
    #[must_use]
    pub fn extensions_of(inputs: Option<Digest>) -> Extensions {
        Extensions(
            inputs
                .map(|inputs| (MACHINE_INPUTS, encode(&inputs)))
                .into_iter()
                .collect(),
        )
    }
}
