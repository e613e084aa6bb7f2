//! Which point dies in whose life. Pure.

use std::collections::VecDeque;

use crate::lane::{Errand, Kill, Orders};
use crate::point::{Hits, Phase, Program, program};

/// Lives to be lived, each with what is to happen in it.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// On any site.
    pub(crate) anywhere: VecDeque<Orders>,
    /// Where the hub serves the API itself.
    pub(crate) standalone: VecDeque<Orders>,
    /// Where it is a replica among others. The only hub of a standalone API has its Lease still when it starts again.
    pub(crate) kubernetes: VecDeque<Orders>,
}

impl Plan {
    /// Lives of `points`, which are divided by where they can be hit.
    fn of<'a>(
        points: impl Iterator<Item = &'a str>,
        lives: impl Fn(&[&str]) -> VecDeque<Orders>,
    ) -> Self {
        let (mut ours, mut replicas, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for point in points {
            if point.starts_with("standalone.") {
                ours.push(point);
            } else if point.starts_with("hub.lease.take.") {
                replicas.push(point);
            } else {
                others.push(point);
            }
        }
        Self {
            anywhere: lives(&others),
            standalone: lives(&ours),
            kubernetes: lives(&replicas),
        }
    }

    /// These lives, and `more` behind them.
    pub(crate) fn then(mut self, more: Self) -> Self {
        self.anywhere.extend(more.anywhere);
        self.standalone.extend(more.standalone);
        self.kubernetes.extend(more.kubernetes);
        self
    }

    /// At most so many lives of each sort.
    pub(crate) fn cut(mut self, most: usize) -> Self {
        self.anywhere.truncate(most);
        self.standalone.truncate(most);
        self.kubernetes.truncate(most);
        self
    }

    /// How many lives.
    pub(crate) fn len(&self) -> usize {
        self.anywhere.len() + self.standalone.len() + self.kubernetes.len()
    }
}

/// Pairs that die in one life, the second after the programs came back from the first: the same program twice, two
/// programs one after the other, and a server that restarts under an agent that does.
pub(crate) const PAIRS: &[[&str; 2]] = &[
    ["agent.intent.store.after", "agent.journal.about-to.after"],
    ["agent.bmc.power-on.before", "agent.bmc.power-on.after"],
    [
        "agent.bmc.boot-from-network.after",
        "hub.reports.take.before",
    ],
    ["hub.intent-status.write.after", "agent.intent.ack.before"],
    ["hub.claim.take.after", "hub.intent-status.write.before"],
    ["installer.piece.write.after", "installer.head.write.after"],
    ["installer.report.send.before", "agent.journal.done.before"],
    ["agent.journal.heard.after", "hub.host-status.write.before"],
    [
        "installer.head.write.before",
        "agent.bmc.boot-from-disk.before",
    ],
    ["hub.intent.send.after", "installer.seed.write.after"],
];

/// A handful that stands for all: each program, each kind, both ends of a life.
pub(crate) const SHORT: &[&str] = &[
    "agent.intent.store.before",
    "agent.bmc.power-on.after",
    "installer.piece.write.after",
    "installer.wipe.table.before",
    "hub.intent-status.write.after",
    "hub.finalizer.remove.before",
    "standalone.store.fsync.before",
];
pub(crate) const SHORT_PAIRS: &[[&str; 2]] =
    &[["agent.journal.about-to.after", "hub.claim.take.after"]];

/// Each point dies in one life. In each phase of a life the agent dies once at most, and so does one of the others: the hub,
/// or the installer. What a life shows of two programs that die it shows of each.
pub(crate) fn singles<'a>(points: impl Iterator<Item = &'a str>, hits: &Hits) -> Plan {
    Plan::of(points, |points| lives(points, hits))
}

/// Each point that is hit on an errand dies in one, again two programs in each. A join is also a start and a session, and of
/// those only what nothing else hits dies.
pub(crate) fn errands<'a>(
    errand: Errand,
    points: impl Iterator<Item = &'a str>,
    hits: &Hits,
) -> Plan {
    Plan::of(points, |points| {
        let mut deaths =
            [true, false].map(|is_agent| kills(points, errand.phase(), is_agent, hits));
        let mut lives = VecDeque::new();
        while deaths.iter().any(|queue| !queue.is_empty()) {
            let next = deaths.iter_mut().filter_map(VecDeque::pop_front);
            lives.push_back(Orders {
                errand: Some((errand, next.collect())),
                ..Orders::default()
            });
        }
        lives
    })
}

/// Who of `points` dies in `phase`: those of the agent, or those of the others.
fn kills(points: &[&str], phase: Phase, is_agent: bool, hits: &Hits) -> VecDeque<Kill> {
    let here = points.iter().filter(|point| {
        let others = hits.phase(point).is_some() || hits.of(point, Phase::Inspect) > 0;
        let dies = match phase {
            // The status of providers and agents is written when it is, not because a server is looked into.
            Phase::Inspect => hits.of(point, phase) > 0 && !point.starts_with("hub.other-status."),
            Phase::Join => hits.of(point, phase) > 0 && !others,
            Phase::Start | Phase::Install | Phase::Wipe | Phase::Release => {
                hits.phase(point) == Some(phase)
            }
        };
        dies && (program(point) == Some(Program::Agent)) == is_agent
    });
    // Hub and installer in turns: a run that is cut short has seen something of each.
    let (mut one, mut other): (VecDeque<&str>, VecDeque<&str>) =
        here.partition(|point| program(point) == Some(Program::Installer));
    let mut kills = VecDeque::new();
    while let Some(point) = one.pop_front().or_else(|| other.pop_front()) {
        let first = kill(point, phase, hits);
        // Key, certificate and authority are written by the same lines, one after the other, and each has its own death.
        let more = match phase {
            Phase::Join => hits.of(point, phase),
            Phase::Start | Phase::Install | Phase::Wipe | Phase::Release | Phase::Inspect => 1,
        };
        kills.extend((0..more).map(|later| Kill {
            skip: first.skip + later,
            ..first.clone()
        }));
        std::mem::swap(&mut one, &mut other);
    }
    kills
}

fn lives(points: &[&str], hits: &Hits) -> VecDeque<Orders> {
    let of = |phase: Phase, is_agent: bool| kills(points, phase, is_agent, hits);
    let mut starts = [true, false].map(|is_agent| of(Phase::Start, is_agent));
    let mut installs = [true, false].map(|is_agent| of(Phase::Install, is_agent));
    let mut wipes = [true, false].map(|is_agent| of(Phase::Wipe, is_agent));
    let mut releases = [true, false].map(|is_agent| of(Phase::Release, is_agent));
    let mut again = [true, false].map(|is_agent| -> VecDeque<&str> {
        let installed = of(Phase::Install, is_agent);
        let names = points.iter().copied();
        names
            .filter(|name| installed.iter().any(|kill| kill.point == *name))
            .collect()
    });
    let mut lives = VecDeque::new();
    loop {
        let take = |queues: &mut [VecDeque<Kill>; 2]| -> Vec<Kill> {
            queues.iter_mut().filter_map(VecDeque::pop_front).collect()
        };
        let is_over = [&starts, &installs, &wipes, &releases]
            .into_iter()
            .flatten()
            .all(VecDeque::is_empty);
        if is_over {
            return lives;
        }
        let mut orders = Orders {
            start: take(&mut starts),
            install: take(&mut installs),
            delete: take(&mut wipes),
            wipe: false,
            errand: None,
        };
        orders.wipe = !orders.delete.is_empty();
        if !orders.wipe {
            orders.delete = take(&mut releases);
        }
        // What has died on the way to Running dies on the way out as well, where nothing else of its program does.
        let phase = if orders.wipe {
            Phase::Wipe
        } else {
            Phase::Release
        };
        for (queue, is_agent) in again.iter_mut().zip([true, false]) {
            let is_taken = orders
                .delete
                .iter()
                .any(|kill| (program(&kill.point) == Some(Program::Agent)) == is_agent);
            let next = queue.iter().position(|point| hits.of(point, phase) > 0);
            let next = next.filter(|_| !is_taken).and_then(|at| queue.remove(at));
            orders
                .delete
                .extend(next.map(|point| kill(point, phase, hits)));
        }
        lives.push_back(orders);
    }
}

/// One life for each pair. Pairs with a point that was never hit are left out.
pub(crate) fn pairs(pairs: &[[&str; 2]], hits: &Hits) -> VecDeque<Orders> {
    pairs
        .iter()
        .filter(|pair| pair.iter().all(|point| hits.of(point, Phase::Install) > 0))
        .map(|pair| Orders {
            install: pair
                .iter()
                .map(|point| kill(point, Phase::Install, hits))
                .collect(),
            ..Orders::default()
        })
        .collect()
}

/// Dies in the middle of the hits that were seen: the first ones are often the same as the last.
fn kill(point: &str, phase: Phase, hits: &Hits) -> Kill {
    Kill {
        point: point.to_owned(),
        skip: match phase {
            Phase::Start | Phase::Join => 0,
            Phase::Install | Phase::Wipe | Phase::Release | Phase::Inspect => {
                hits.of(point, phase) / 3
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits() -> Hits {
        let mut hits = Hits::default();
        for (point, phase, times) in [
            ("agent.bmc.power-on.after", Phase::Install, 2),
            ("agent.bmc.read.after", Phase::Install, 30),
            ("agent.bmc.power-off.after", Phase::Wipe, 1),
            ("agent.bmc.shut-down.after", Phase::Release, 1),
            ("hub.epoch.raise.after", Phase::Start, 1),
            ("standalone.store.fsync.after", Phase::Install, 9),
            ("hub.lease.take.before", Phase::Start, 1),
        ] {
            for _ in 0..times {
                hits.add(point, phase);
            }
        }
        hits
    }

    #[test]
    fn every_point_dies_once_and_a_program_once_a_phase_at_most() {
        let hits = hits();
        let plan = singles(hits.points(), &hits);
        assert_eq!(plan.standalone.len(), 1);
        assert_eq!(plan.kubernetes.len(), 1);
        let lives: Vec<&Orders> = plan.anywhere.iter().collect();
        let mut died: Vec<&str> = plan
            .anywhere
            .iter()
            .chain(&plan.standalone)
            .chain(&plan.kubernetes)
            .flat_map(|orders| {
                orders
                    .start
                    .iter()
                    .chain(&orders.install)
                    .chain(&orders.delete)
            })
            .map(|kill| kill.point.as_str())
            .collect();
        died.sort_unstable();
        assert_eq!(died, hits.points().collect::<Vec<_>>());
        let agents = |kills: &[Kill]| {
            let all = kills.iter();
            all.filter(|kill| program(&kill.point) == Some(Program::Agent))
                .count()
        };
        for kills in lives
            .iter()
            .flat_map(|orders| [&orders.install, &orders.delete])
        {
            assert!(agents(kills) <= 1, "{kills:?}");
            assert!(kills.len() - agents(kills) <= 1, "{kills:?}");
        }
        let read = lives.iter().flat_map(|orders| &orders.install);
        let read: Vec<u32> = read.map(|kill| kill.skip).collect();
        assert_eq!(read, [0, 10]);
    }

    #[test]
    fn what_died_on_the_way_to_running_dies_on_the_way_out_where_it_is_hit_there() {
        let mut hits = hits();
        hits.add("agent.bmc.read.after", Phase::Release);
        hits.add("agent.bmc.power-on.after", Phase::Wipe);
        let plan = singles(hits.points(), &hits);
        let all = plan.anywhere.iter();
        let out: Vec<(bool, &str)> = all
            .flat_map(|orders| orders.delete.iter().map(|kill| (orders.wipe, kill)))
            .map(|(wipe, kill)| (wipe, kill.point.as_str()))
            .collect();
        // The one life with a wipe has an agent's death of its own.
        let expected = [
            (true, "agent.bmc.power-off.after"),
            (false, "agent.bmc.shut-down.after"),
        ];
        assert_eq!(out, expected);
        let mut more = hits.clone();
        more.add("agent.other.before", Phase::Install);
        let plan = singles(more.points(), &more);
        let last = plan.anywhere.back().map(|orders| orders.delete.clone());
        let expected = vec![kill("agent.bmc.read.after", Phase::Release, &more)];
        assert_eq!(last, Some(expected));
    }

    #[test]
    fn what_an_errand_hits_dies_on_one() {
        let mut hits = hits();
        for (point, phase) in [
            ("agent.bmc.power-on.after", Phase::Inspect),
            ("standalone.store.fsync.after", Phase::Inspect),
            ("installer.inventory.after", Phase::Inspect),
            ("hub.epoch.raise.after", Phase::Join),
            ("hub.token.redeem.after", Phase::Join),
            ("agent.join.send.before", Phase::Join),
            ("agent.identity.rename.after", Phase::Join),
            ("agent.identity.rename.after", Phase::Join),
        ] {
            hits.add(point, phase);
        }
        let of = |lives: &VecDeque<Orders>| -> Vec<String> {
            let kills = lives.iter().filter_map(|orders| orders.errand.as_ref());
            kills
                .flat_map(|(_, kills)| kills.iter().map(|kill| kill.point.clone()))
                .collect()
        };
        let inspections = errands(Errand::Inspect, hits.points(), &hits);
        assert_eq!(
            of(&inspections.anywhere),
            ["agent.bmc.power-on.after", "installer.inventory.after"]
        );
        assert_eq!(
            inspections.anywhere.len(),
            1,
            "agent and installer die in one"
        );
        assert_eq!(
            of(&inspections.standalone),
            ["standalone.store.fsync.after"]
        );
        let joins = errands(Errand::Join, hits.points(), &hits);
        assert_eq!(
            of(&joins.anywhere),
            [
                "agent.identity.rename.after",
                "hub.token.redeem.after",
                "agent.identity.rename.after",
                "agent.join.send.before",
            ],
            "the epoch is raised in other lives too"
        );
        let skips = joins.anywhere.iter().filter_map(|orders| {
            let (_, kills) = orders.errand.as_ref()?;
            kills.first().map(|kill| kill.skip)
        });
        assert_eq!(skips.collect::<Vec<_>>(), [0, 1, 0], "each of two writes");
        assert_eq!(inspections.then(joins).cut(1).len(), 2);
    }

    #[test]
    fn a_life_that_is_lived_again_dies_at_first_hits() {
        let hits = hits();
        let again = pairs(
            &[["agent.bmc.power-on.after", "agent.bmc.read.after"]],
            &hits,
        )
        .iter()
        .flat_map(|orders| orders.at_first_hits().install)
        .map(|kill| (kill.point, kill.skip))
        .collect::<Vec<_>>();
        let expected = ["agent.bmc.power-on.after", "agent.bmc.read.after"];
        assert_eq!(again, expected.map(|point| (point.to_owned(), 0)));
    }

    #[test]
    fn a_pair_dies_in_one_installation() {
        let lives = pairs(
            &[
                ["agent.bmc.power-on.after", "agent.bmc.read.after"],
                ["agent.bmc.power-on.after", "nobody.knows"],
            ],
            &hits(),
        );
        assert_eq!(lives.len(), 1);
        assert_eq!(lives[0].install.len(), 2);
    }
}
