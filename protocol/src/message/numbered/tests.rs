use std::fmt::Debug;

use super::*;

/// Every number names one variant, comes back as that variant, and travels as a varint of that number.
fn check<T>(all: &[T])
where
    T: Copy + Debug + PartialEq + Into<u16> + TryFrom<u16> + Serialize,
    <T as TryFrom<u16>>::Error: Debug,
{
    let mut numbers: Vec<u16> = all.iter().map(|value| (*value).into()).collect();
    for (value, number) in all.iter().zip(&numbers) {
        assert_eq!(T::try_from(*number).unwrap(), *value);
        assert_eq!(
            postcard::to_allocvec(value).unwrap(),
            postcard::to_allocvec(number).unwrap()
        );
    }
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(
        numbers.len(),
        all.len(),
        "a number is used twice in {all:?}"
    );
    assert!(T::try_from(u16::MAX).is_err());
}

#[test]
fn every_choice_has_a_number_of_its_own() {
    check(BodyKind::ALL);
    check(BootMode::ALL);
    check(PowerState::ALL);
    check(Cleaning::ALL);
    check(Inspection::ALL);
    check(ImageFormat::ALL);
    check(MachinePhase::ALL);
    check(HostPhase::ALL);
    check(Reason::ALL);
    check(IntentOutcome::ALL);
}

#[test]
fn an_unknown_number_is_an_error_and_not_a_guess() {
    let bytes = postcard::to_allocvec(&999_u16).unwrap();
    assert!(postcard::from_bytes::<PowerState>(&bytes).is_err());
}
