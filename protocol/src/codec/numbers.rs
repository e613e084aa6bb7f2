//! The number, version and cap of every message. A number is never used again for anything else.
//!
//! Caps are what a message can need and little more: an intent holds image URL, keys and certificates (256 KiB), a
//! secret row a Secret's whole value (Kubernetes allows 1 MiB), a batch 256 reports, a Hello a few thousand objects.

use super::Message;
use crate::message::control::{
    Goodbye, Health, Hello, IntentAck, Join, Joined, Renew, Renewed, ReportAck, ReportBatch,
    SecretAck, Unsupported, Welcome,
};
use crate::message::intent::{Intent, SecretRow};

const KIB: u32 = 1024;

impl Message for Hello {
    const KIND: u16 = 1;
    const VERSION: u16 = 1;
    const CAP: u32 = 4096 * KIB;
    const NAME: &'static str = "hello";
}

impl Message for Welcome {
    const KIND: u16 = 2;
    const VERSION: u16 = 1;
    const CAP: u32 = 1024 * KIB;
    const NAME: &'static str = "welcome";
}

impl Message for Goodbye {
    const KIND: u16 = 3;
    const VERSION: u16 = 1;
    const CAP: u32 = 4 * KIB;
    const NAME: &'static str = "goodbye";
}

impl Message for Unsupported {
    const KIND: u16 = 4;
    const VERSION: u16 = 1;
    const CAP: u32 = 64;
    const NAME: &'static str = "unsupported";
}

impl Message for Health {
    const KIND: u16 = 5;
    const VERSION: u16 = 1;
    const CAP: u32 = 16 * KIB;
    const NAME: &'static str = "health";
}

impl Message for Renew {
    const KIND: u16 = 6;
    const VERSION: u16 = 1;
    const CAP: u32 = 8 * KIB;
    const NAME: &'static str = "renew";
}

impl Message for Renewed {
    const KIND: u16 = 7;
    const VERSION: u16 = 1;
    const CAP: u32 = 64 * KIB;
    const NAME: &'static str = "renewed";
}

impl Message for ReportAck {
    const KIND: u16 = 8;
    const VERSION: u16 = 1;
    const CAP: u32 = 64;
    const NAME: &'static str = "report-ack";
}

impl Message for Intent {
    const KIND: u16 = 16;
    const VERSION: u16 = 1;
    const CAP: u32 = 256 * KIB;
    const NAME: &'static str = "intent";
}

impl Message for IntentAck {
    const KIND: u16 = 17;
    const VERSION: u16 = 1;
    const CAP: u32 = 256;
    const NAME: &'static str = "intent-ack";
}

impl Message for SecretRow {
    const KIND: u16 = 18;
    const VERSION: u16 = 1;
    const CAP: u32 = 1088 * KIB;
    const NAME: &'static str = "secret-row";
}

impl Message for SecretAck {
    const KIND: u16 = 19;
    const VERSION: u16 = 1;
    const CAP: u32 = 256;
    const NAME: &'static str = "secret-ack";
}

impl Message for ReportBatch {
    const KIND: u16 = 32;
    const VERSION: u16 = 1;
    const CAP: u32 = 4096 * KIB;
    const NAME: &'static str = "report-batch";
}

impl Message for Join {
    const KIND: u16 = 64;
    const VERSION: u16 = 1;
    const CAP: u32 = 8 * KIB;
    const NAME: &'static str = "join";
}

impl Message for Joined {
    const KIND: u16 = 65;
    const VERSION: u16 = 1;
    const CAP: u32 = 64 * KIB;
    const NAME: &'static str = "joined";
}
