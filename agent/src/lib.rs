//! The agent: keeps intents on disk, carries them out through drivers, reports facts back.

pub mod uplink;
