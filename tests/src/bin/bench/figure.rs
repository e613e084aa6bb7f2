//! One measured figure beside what it must be.

use serde::Serialize;

#[cfg(test)]
mod tests;

/// A measured figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Figure {
    /// What was measured, for people, with its conditions.
    pub(crate) name: String,
    /// What came out.
    pub(crate) value: f64,
    /// `ms`, `KiB`, `/s`; empty for a count.
    pub(crate) unit: &'static str,
    /// What was promised; none for what is only told.
    pub(crate) must: Option<Must>,
    /// The same measured of somebody else, on this machine.
    pub(crate) peer: Option<Peer>,
    /// What the figure is made of, in its unit or with the unit in the name.
    pub(crate) breakdown: Vec<(String, f64)>,
    /// What a reader must know to trust it.
    pub(crate) notes: Vec<String>,
}

/// What a figure must be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Must {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

/// Somebody else's figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Peer {
    /// Who.
    pub(crate) name: String,
    /// In the figure's unit.
    pub(crate) value: f64,
}

/// What the figure says about the promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Verdict {
    /// As promised.
    Reached,
    /// Not as promised.
    Missed,
    /// Nothing was promised.
    Told,
}

impl Figure {
    /// A figure that is only told.
    pub(crate) fn told(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            must: None,
            peer: None,
            breakdown: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// With what it must be.
    pub(crate) fn must(mut self, must: Must) -> Self {
        self.must = Some(must);
        self
    }

    /// With a peer's figure.
    pub(crate) fn peer(mut self, name: impl Into<String>, value: f64) -> Self {
        self.peer = Some(Peer {
            name: name.into(),
            value,
        });
        self
    }

    /// With a part of it.
    pub(crate) fn part(mut self, name: impl Into<String>, value: f64) -> Self {
        self.breakdown.push((name.into(), value));
        self
    }

    /// With a remark.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Whether it is as promised. What is no number (nothing was measured) is missed.
    pub(crate) fn verdict(&self) -> Verdict {
        let reached = match self.must {
            None => return Verdict::Told,
            Some(Must::AtMost(limit)) => self.value <= limit,
            Some(Must::AtLeast(limit)) => self.value >= limit,
        };
        if reached {
            Verdict::Reached
        } else {
            Verdict::Missed
        }
    }
}
