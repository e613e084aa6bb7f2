//! What came of it: one line a life while it goes on, one table at the end. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use vitistack_tests::world::Mode;

use crate::lane::{Errand, Orders, Outcome};
use crate::lost::Lost;
use crate::point::{Hits, PHASES, kind};

/// Fewer points than this are not the crash matrix.
const LEAST_POINTS: usize = 60;

/// One Machine's life.
pub(crate) struct Life {
    mode: Mode,
    orders: Orders,
    pub(crate) outcome: Outcome,
}

impl Life {
    pub(crate) fn new(mode: Mode, orders: Orders, outcome: Outcome) -> Self {
        Self {
            mode,
            orders,
            outcome,
        }
    }

    /// A life that could not even be looked at.
    pub(crate) fn broken(mode: Mode, orders: Orders, why: String) -> Self {
        let outcome = Outcome {
            wrong: vec![why],
            ..Outcome::default()
        };
        Self::new(mode, orders, outcome)
    }

    pub(crate) fn is_good(&self) -> bool {
        self.outcome.wrong.is_empty() && self.outcome.missed.is_empty()
    }

    /// Nothing was wrong, but a point was not reached.
    pub(crate) fn only_missed(&self) -> bool {
        self.outcome.wrong.is_empty() && !self.outcome.missed.is_empty()
    }

    /// What was done, where no Machine lived it.
    fn errand(&self) -> Option<Errand> {
        self.orders.errand.as_ref().map(|(errand, _)| *errand)
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.wanted().is_empty()
    }

    fn wanted(&self) -> Vec<&str> {
        let Orders {
            start,
            install,
            delete,
            wipe: _,
            errand,
        } = &self.orders;
        [start, install, delete]
            .into_iter()
            .chain(errand.as_ref().map(|(_, kills)| kills))
            .flatten()
            .map(|kill| kill.point.as_str())
            .collect()
    }

    /// For a folder.
    pub(crate) fn name(&self) -> String {
        if self.is_quiet() {
            format!("{:?}-no-death", self.mode)
        } else {
            self.wanted().join("+")
        }
    }

    /// What is printed as soon as it is over.
    pub(crate) fn line(&self) -> String {
        let verdict = if self.is_good() { "ok  " } else { "FAIL" };
        let mut line = format!(
            "{verdict} {:>4} s {:<10} {:>9} B  {}",
            self.outcome.took.as_secs(),
            format!("{:?}", self.mode).to_lowercase(),
            self.outcome.written,
            if self.is_quiet() {
                match self.errand() {
                    None => "no death".to_owned(),
                    Some(errand) => format!("no death: {}", errand.phase().name()),
                }
            } else {
                self.outcome.killed.join(", ")
            }
        );
        for missed in &self.outcome.missed {
            write!(line, "\n       not reached: {missed}").ok();
        }
        for wrong in &self.outcome.wrong {
            let short: String = wrong.chars().take(600).collect();
            write!(line, "\n       {short}").ok();
        }
        line
    }
}

/// Everything.
#[derive(Default)]
pub(crate) struct Table {
    /// Hits that an earlier run has seen.
    pub(crate) known: Option<Hits>,
    pub(crate) lives: Vec<Life>,
    pub(crate) lost: Option<Lost>,
    pub(crate) took: Duration,
}

impl Table {
    pub(crate) fn hits(&self) -> Hits {
        self.known
            .clone()
            .unwrap_or_else(|| crate::quiet_hits(&self.lives))
    }

    /// Every life was lived as it should be. A whole run, with lives and the deleted data, has the points that it is to
    /// have.
    pub(crate) fn is_good(&self) -> bool {
        let is_whole = self.lost.is_some() && !self.lives.is_empty();
        self.lives.iter().all(Life::is_good)
            && self.lost.as_ref().is_none_or(Lost::is_good)
            && (!is_whole || self.kills().len() >= LEAST_POINTS)
    }

    fn kills(&self) -> BTreeMap<&str, usize> {
        let mut kills = BTreeMap::new();
        for point in self.lives.iter().flat_map(|life| &life.outcome.killed) {
            *kills.entry(point.as_str()).or_default() += 1;
        }
        kills
    }

    /// The table, and the line of counts last.
    pub(crate) fn render(&self) -> String {
        let (hits, kills) = (self.hits(), self.kills());
        let mut text = format!(
            "\n{:<42} {:<10}{}  kills\n",
            "point, and its hits in one life",
            "kind",
            PHASES.map(|phase| format!("{:>8}", phase.name())).concat()
        );
        let mut kinds: BTreeMap<&str, (usize, u32, usize)> = BTreeMap::new();
        for point in hits.points() {
            let counts = PHASES.map(|phase| hits.of(point, phase));
            let died = kills.get(point).copied().unwrap_or_default();
            let total = kinds.entry(kind(point).name()).or_default();
            *total = (
                total.0 + 1,
                total.1 + counts.iter().sum::<u32>(),
                total.2 + died,
            );
            writeln!(
                text,
                "{point:<42} {:<10}{}  {died:>5}",
                kind(point).name(),
                counts.map(|count| format!("{count:>8}")).concat()
            )
            .ok();
        }
        text.push('\n');
        for (kind, (points, hits, kills)) in &kinds {
            writeln!(
                text,
                "{kind:<10} {points:>4} points {hits:>6} hits {kills:>4} kills"
            )
            .ok();
        }
        if let Some(lost) = &self.lost {
            writeln!(text, "\n{}", lost.line()).ok();
        }
        for life in self.lives.iter().filter(|life| !life.is_good()) {
            writeln!(text, "\n{}", life.line()).ok();
        }
        let counts = self.counts();
        writeln!(
            text,
            "\nchaos: {} kills, {} of {} points covered ({} at least are asked for), {} installations with two deaths or more, \
             {} installations, {} inspections and {} joins checked, {} lost, {} repeated, {} failed, {} s",
            counts["kills"],
            counts["covered"],
            counts["points"],
            LEAST_POINTS,
            counts["doubles"],
            counts["installations"],
            counts["inspections"],
            counts["joins"],
            counts["lost"],
            counts["repeated"],
            counts["failed"],
            self.took.as_secs()
        )
        .ok();
        text
    }

    fn counts(&self) -> BTreeMap<&'static str, usize> {
        let kills = self.kills();
        let hits = self.hits();
        let says = |words: &[&str]| {
            self.lives
                .iter()
                .filter(|life| {
                    life.outcome
                        .wrong
                        .iter()
                        .any(|wrong| words.iter().any(|word| wrong.contains(word)))
                })
                .count()
        };
        let done = |errand| {
            self.lives
                .iter()
                .filter(|life| life.errand() == errand)
                .count()
        };
        BTreeMap::from([
            ("kills", kills.values().sum()),
            ("points", hits.points().count()),
            (
                "covered",
                hits.points()
                    .filter(|point| kills.contains_key(point))
                    .count(),
            ),
            (
                "doubles",
                self.lives
                    .iter()
                    .filter(|life| life.orders.install.len() > 1)
                    .count(),
            ),
            ("installations", done(None)),
            ("inspections", done(Some(Errand::Inspect))),
            ("joins", done(Some(Errand::Join))),
            ("lost", says(&["not within", "the guest that came up"])),
            (
                "repeated",
                says(&[
                    "installations were begun",
                    "wipes were begun",
                    "bytes written",
                    "operation ids",
                    "attempt",
                    "was started",
                ]),
            ),
            (
                "failed",
                self.lives.iter().filter(|life| !life.is_good()).count()
                    + usize::from(self.lost.as_ref().is_some_and(|lost| !lost.is_good())),
            ),
        ])
    }

    pub(crate) fn json(&self) -> Value {
        let hits = self.hits();
        let kills = self.kills();
        let points: Vec<Value> = hits
            .points()
            .map(|point| {
                let counts: BTreeMap<&str, u32> = PHASES
                    .map(|phase| (phase.name(), hits.of(point, phase)))
                    .into();
                json!({
                    "point": point,
                    "kind": kind(point).name(),
                    "hits": counts,
                    "kills": kills.get(point).copied().unwrap_or_default(),
                })
            })
            .collect();
        let lives: Vec<Value> = self
            .lives
            .iter()
            .map(|life| {
                json!({
                    "api": format!("{:?}", life.mode).to_lowercase(),
                    "wanted": life.wanted(),
                    "killed": life.outcome.killed,
                    "missed": life.outcome.missed,
                    "wrong": life.outcome.wrong,
                    "writtenBytes": life.outcome.written,
                    "seconds": life.outcome.took.as_secs(),
                })
            })
            .collect();
        json!({
            "counts": self.counts(),
            "points": points,
            "lives": lives,
            "lostData": self.lost.as_ref().map(Lost::line),
            "seconds": self.took.as_secs(),
        })
    }
}
