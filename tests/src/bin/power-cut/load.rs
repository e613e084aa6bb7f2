//! What is written: four loads that a store meets in its life.

use clap::ValueEnum;

/// Bytes of user data in one row.
pub(crate) const USER_DATA: usize = 256 << 10;
/// Rows that a steady load takes turns with.
pub(crate) const CHURNED: u64 = 100;
/// Rows with user data that are replaced in turn.
pub(crate) const WITH_USER_DATA: u64 = 24;
/// Writers side by side: enough that commits are groups.
pub(crate) const WRITERS: u64 = 16;

/// One load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// New rows in a store that is less than a second old.
    Young,
    /// The same rows, again and again.
    Churn,
    /// New rows and none that goes, as while the hub is away.
    Backlog,
    /// The same rows again and again, and user data of 256 KiB beside them.
    UserData,
}

impl Scenario {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Young, Self::Churn, Self::Backlog, Self::UserData];

    /// As it is typed and printed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Young => "young",
            Self::Churn => "churn",
            Self::Backlog => "backlog",
            Self::UserData => "user-data",
        }
    }

    /// The row that `writer` writes in its `turn`, and the value that it gets.
    pub(crate) fn turn(self, writer: u64, turn: u64) -> Turn {
        let grows = Turn {
            row: writer + turn * WRITERS,
            value: 1,
            user_data: false,
        };
        let steady = |rows: u64, user_data| {
            // Each writer has rows of its own, so that values only grow.
            let own = (rows / WRITERS).max(1);
            Turn {
                row: writer + (turn % own) * WRITERS,
                value: 1 + turn / own,
                user_data,
            }
        };
        match self {
            Self::Young | Self::Backlog => grows,
            Self::Churn => steady(CHURNED, false),
            Self::UserData if writer.is_multiple_of(2) => steady(WITH_USER_DATA, true),
            Self::UserData => steady(CHURNED, false),
        }
    }
}

/// One write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
    /// Which row.
    pub(crate) row: u64,
    /// Never less than the one before.
    pub(crate) value: u64,
    /// Whether the row carries user data.
    pub(crate) user_data: bool,
}

/// User data that says by itself which row and value it belongs to.
pub(crate) fn user_data(row: u64, value: u64, length: usize) -> Vec<u8> {
    let mut state = row.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ value;
    let mut bytes = [row.to_be_bytes(), value.to_be_bytes()].concat();
    while bytes.len() < length {
        // SplitMix64: no two rows are alike, and nothing compresses.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The row and the value that user data belongs to, if every byte of it is right.
pub(crate) fn read_user_data(bytes: &[u8]) -> Option<(u64, u64)> {
    let (row, rest) = bytes.split_first_chunk::<8>()?;
    let (value, _) = rest.split_first_chunk::<8>()?;
    let (row, value) = (u64::from_be_bytes(*row), u64::from_be_bytes(*value));
    (user_data(row, value, bytes.len()) == bytes).then_some((row, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_row_only_grow_and_rows_of_two_writers_differ() {
        for scenario in Scenario::ALL {
            let mut newest = std::collections::BTreeMap::new();
            for turn in 0..500 {
                for writer in 0..WRITERS {
                    let Turn { row, value, .. } = scenario.turn(writer, turn);
                    assert_eq!(row % WRITERS, writer);
                    let before = newest.insert(row, value);
                    assert!(before.is_none_or(|before| before < value), "{scenario:?}");
                }
            }
            let grows = matches!(scenario, Scenario::Young | Scenario::Backlog);
            assert_eq!(newest.len() == 500 * 16, grows, "{scenario:?}");
        }
    }

    #[test]
    fn user_data_with_a_wrong_byte_is_nobodys() {
        let mut bytes = user_data(3, 9, 1000);
        assert_eq!(read_user_data(&bytes), Some((3, 9)));
        bytes[999] ^= 1;
        assert_eq!(read_user_data(&bytes), None);
        assert_eq!(read_user_data(b"short"), None);
    }
}
