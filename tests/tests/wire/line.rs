//! A bad line: a relay of datagrams between one agent and the hub that loses, doubles, delays and reorders them, and
//! can be cut in each direction.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::hub::own;

/// What happens to datagrams.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    /// Of a hundred, how many are lost.
    pub(crate) lost: u8,
    /// Of a hundred, how many arrive twice.
    pub(crate) doubled: u8,
    /// Each is late by up to this long, and so overtaken by others.
    pub(crate) late: Duration,
}

/// A relay. Dropped, the line is dead.
pub(crate) struct Line {
    /// Where the agent dials.
    pub(crate) address: SocketAddr,
    /// What the agent says is lost.
    pub(crate) up: Arc<AtomicBool>,
    /// What the hub says is lost.
    pub(crate) down: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Line {
    /// A line to `hub`; the same `seed` gives the same luck.
    pub(crate) async fn to(hub: SocketAddr, weather: Weather, seed: u64) -> Self {
        let front = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let back = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        back.connect(hub).await.unwrap();
        let address = front.local_addr().unwrap();
        let (up, down) = (Arc::default(), Arc::default());
        let relay = Relay {
            front,
            back,
            up: Arc::clone(&up),
            down: Arc::clone(&down),
            weather,
            luck: StdRng::seed_from_u64(seed),
            waiting: BinaryHeap::new(),
            agent: None,
        };
        Self {
            address,
            up,
            down,
            task: own(relay.run()),
        }
    }

    /// Nothing gets through any more, or everything again.
    pub(crate) fn cut(&self, is_cut: bool) {
        self.up.store(is_cut, Ordering::SeqCst);
        self.down.store(is_cut, Ordering::SeqCst);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Up,
    Down,
}

struct Relay {
    front: UdpSocket,
    back: UdpSocket,
    up: Arc<AtomicBool>,
    down: Arc<AtomicBool>,
    weather: Weather,
    luck: StdRng,
    /// Datagrams on their way, the next to arrive first.
    waiting: BinaryHeap<Reverse<(Instant, Way, Vec<u8>)>>,
    /// Where the agent sent from last.
    agent: Option<SocketAddr>,
}

impl Relay {
    async fn run(mut self) {
        let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
        loop {
            let next = self.waiting.peek().map(|Reverse((at, ..))| *at);
            let far = Instant::now() + Duration::from_secs(3600);
            // Each arm is cancel-safe: a datagram is received whole or not at all.
            tokio::select! {
                Ok((length, from)) = self.front.recv_from(&mut up) => {
                    self.agent = Some(from);
                    self.take(Way::Up, &up[..length]);
                }
                // A hub that was stopped makes the kernel answer; the line goes on.
                received = self.back.recv(&mut down) => {
                    if let Ok(length) = received {
                        self.take(Way::Down, &down[..length]);
                    }
                }
                () = sleep_until(next.unwrap_or(far)) => self.deliver().await,
            }
        }
    }

    fn take(&mut self, way: Way, datagram: &[u8]) {
        let cut = match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        };
        if cut.load(Ordering::SeqCst) || self.luck.random_range(0..100) < self.weather.lost {
            return;
        }
        let copies = 1 + usize::from(self.luck.random_range(0..100) < self.weather.doubled);
        for _ in 0..copies {
            let late = self.weather.late.mul_f64(self.luck.random());
            self.waiting
                .push(Reverse((Instant::now() + late, way, datagram.to_vec())));
        }
    }

    async fn deliver(&mut self) {
        let Some(Reverse((_, way, datagram))) = self.waiting.pop() else {
            return;
        };
        // Whoever is not there does not hear it.
        match (way, self.agent) {
            (Way::Up, _) => self.back.send(&datagram).await.ok(),
            (Way::Down, Some(agent)) => self.front.send_to(&datagram, agent).await.ok(),
            (Way::Down, None) => None,
        };
    }
}
