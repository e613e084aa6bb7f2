//! Tells the agent how far the installer is, and takes its instruction.
//!
//! One loop, [`Reporter::run`]. The state comes over a `watch` channel, so the newest wins and a slow agent never holds
//! the disk up. A state that changed is sent at once, else the last one every second; a final state too, since the agent
//! may have been away when it was first said.

use std::fs;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use vitistack_fault as fault;
use vitistack_installer_wire::{Instruction, Inventory, Report, State};

use crate::console::{chain, say};
use crate::http::Client;

/// Between two reports of the same state.
const EVERY: Duration = Duration::from_secs(1);
/// An agent that is away this long gets the server back from the firmware's side: the plan may be another by now.
const UNREACHABLE: Duration = Duration::from_secs(15 * 60);
/// An instruction is a word.
const ANSWER_LIMIT: usize = 4096;

/// Sends reports for one plan.
#[derive(Debug)]
pub struct Reporter {
    /// The agent.
    pub client: Client,
    /// Capability path of the plan.
    pub path: String,
    /// The plan's operation.
    pub operation: String,
    /// What the installer does.
    pub state: watch::Receiver<State>,
    /// What was found in the server.
    pub inventory: watch::Receiver<Inventory>,
}

impl Reporter {
    /// Reports until the agent wants the server restarted or powered off, or is away for too long.
    pub async fn run(mut self) -> Instruction {
        let mut heard = Instant::now();
        let mut acknowledged = None;
        loop {
            let state = self.state.borrow_and_update().clone();
            // The inventory goes along until it was taken once, and again with the result of an inspection.
            let full = acknowledged.is_none() || state == State::Inspected;
            match self.send(&state, full).await {
                Ok(Instruction::Continue) => {
                    heard = Instant::now();
                    acknowledged = Some(state);
                }
                Ok(instruction) => return instruction,
                Err(error) if heard.elapsed() > UNREACHABLE => {
                    say(format_args!(
                        "the agent is away for too long, restarting: {error}"
                    ));
                    return Instruction::Restart;
                }
                Err(error) => say(format_args!("the report is not taken: {error}")),
            }
            // Cancel-safe: `changed` keeps what it has not told. A closed channel means that nothing changes any more.
            if timeout(EVERY, self.state.changed())
                .await
                .is_ok_and(|changed| changed.is_err())
            {
                sleep(EVERY).await;
            }
        }
    }

    async fn send(&self, state: &State, full: bool) -> Result<Instruction, String> {
        let report = Report {
            operation: self.operation.clone(),
            uptime_ms: uptime_ms(),
            state: state.clone(),
            inventory: full.then(|| self.inventory.borrow().clone()),
        };
        let body = serde_json::to_vec(&report).map_err(|error| chain(&error))?;
        fault::before("installer.report.send");
        let answer = self.client.post(&self.path, body, ANSWER_LIMIT).await;
        fault::after("installer.report.send");
        let answer = answer.map_err(|error| chain(&error))?;
        serde_json::from_slice(&answer).map_err(|error| chain(&error))
    }
}

/// Milliseconds since the kernel started.
fn uptime_ms() -> u64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text.split_whitespace().next().unwrap_or_default();
    let (whole, hundredths) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let whole: u64 = whole.parse().unwrap_or(0);
    whole * 1000 + hundredths.parse::<u64>().unwrap_or(0) * 10
}
