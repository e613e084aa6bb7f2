//! Frames of the protocol: whatever a peer sends is a message or an error, and what is a message has one spelling.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vitistack_protocol::codec::{Frame, HEADER, Header, Message, encode};
use vitistack_protocol::message::body;
use vitistack_protocol::message::control::{
    Goodbye, Health, Hello, IntentAck, Join, Joined, Renew, Renewed, ReportAck, ReportBatch,
    SecretAck, Unsupported, Welcome,
};
use vitistack_protocol::message::intent::{HostIntent, Intent, MachineIntent, SecretRow};

fn check<M: Message>(frame: &Frame) {
    let Ok(message) = frame.decode::<M>() else {
        return;
    };
    let Ok(bytes) = encode(&message) else {
        return;
    };
    let (header, payload) = bytes.split_first_chunk::<HEADER>().expect("a header");
    let again = Frame {
        header: Header::parse(*header),
        payload: payload.to_vec().into(),
    };
    let second = encode(&again.decode::<M>().expect("its own bytes are a message"));
    assert!(second.is_ok_and(|second| *second == *bytes));
}

fuzz_target!(|data: &[u8]| {
    let Some((header, payload)) = data.split_first_chunk::<HEADER>() else {
        return;
    };
    let header = Header::parse(*header);
    let Ok(length) = header.checked_length() else {
        return;
    };
    let frame = Frame {
        header,
        payload: payload.get(..length).unwrap_or(payload).to_vec().into(),
    };
    check::<Hello>(&frame);
    check::<Welcome>(&frame);
    check::<Goodbye>(&frame);
    check::<Unsupported>(&frame);
    check::<Health>(&frame);
    check::<Join>(&frame);
    check::<Joined>(&frame);
    check::<Renew>(&frame);
    check::<Renewed>(&frame);
    check::<Intent>(&frame);
    check::<IntentAck>(&frame);
    check::<SecretRow>(&frame);
    check::<SecretAck>(&frame);
    check::<ReportAck>(&frame);
    check::<ReportBatch>(&frame);
    if let Ok(intent) = frame.decode::<Intent>() {
        if let Ok(machine) = intent.read::<MachineIntent>() {
            drop(body::encode(&machine));
        }
        if let Ok(host) = intent.read::<HostIntent>() {
            drop(body::encode(&host));
        }
    }
});
