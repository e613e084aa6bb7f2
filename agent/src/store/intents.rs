//! Intents and secrets: what the hub wants, taken over by the fences.

use vitistack_fault as fault;
use vitistack_protocol::Chain;
use vitistack_protocol::ids::{Digest, Fence, HubEpoch, Revision, Sequence, Uid};
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::intent::{
    HeldSecret, HostIntent, Intent, MachineIntent, SecretName, SecretRow,
};
use vitistack_protocol::message::numbered::{BodyKind, IntentOutcome};

use super::commit::Draft;
use super::error::{Class, Error};
use super::fence::{self, Known, Verdict};
use super::index::{Change, Entry, Index};
use super::rows::{self, IntentRow, SecretSealed, Table};
use super::scan::entry_of;
use super::{Store, outbox};
use crate::uplink::ports::{self, Taken};

impl Store {
    /// What is held, for a `Hello`.
    #[must_use]
    pub fn position(&self) -> ports::Position {
        let index = self.shared.index();
        ports::Position {
            store: self.shared.identity.store,
            epoch: index.position.epoch,
            held: index.held(),
            secrets: index
                .secrets
                .iter()
                .map(|(name, digest)| HeldSecret {
                    name: *name,
                    digest: *digest,
                })
                .collect(),
            outbox: index.outbox(),
        }
    }

    /// Remembers the epoch of a hub that is not older than any before.
    ///
    /// # Errors
    /// When it is not durable.
    pub async fn raise_epoch(&self, epoch: HubEpoch) -> Result<(), Error> {
        fault::before("agent.epoch.store");
        self.commit(move |draft| {
            raise(draft, epoch);
            Ok(())
        })
        .await?;
        fault::after("agent.epoch.store");
        Ok(())
    }

    /// Decides by the fences, and stores.
    ///
    /// # Errors
    /// When the outcome is not durable. A full store is an outcome.
    pub async fn take_intent(&self, intent: Intent) -> Result<Taken, Error> {
        let fence = intent.fence;
        let uid = intent.object.uid;
        if !is_understood(&intent) {
            return Ok(self.taken(uid, IntentOutcome::NotUnderstood));
        }
        fault::before("agent.intent.store");
        let outcome = self.commit(move |draft| take(draft, intent)).await;
        fault::after("agent.intent.store");
        match outcome {
            Ok(IntentOutcome::ContentDiffers) => {
                tracing::error!(
                    object = %uid,
                    epoch = fence.epoch.0,
                    revision = fence.revision.0,
                    "the hub sent other content under a revision that is held: was it restored from a backup?"
                );
                Ok(self.taken(uid, IntentOutcome::ContentDiffers))
            }
            Ok(outcome) => Ok(self.taken(uid, outcome)),
            Err(error) if error.class() == Class::Full => {
                tracing::error!(
                    object = %uid,
                    error = %Chain(&error),
                    "an intent was refused"
                );
                Ok(self.taken(uid, IntentOutcome::StoreFull))
            }
            Err(error) => Err(error),
        }
    }

    /// Seals and stores a secret, in place of the one of that name. Returns the objects that use it.
    ///
    /// # Errors
    /// When it is not durable.
    pub async fn take_secret(&self, row: SecretRow) -> Result<Vec<Uid>, Error> {
        let key = rows::secret_key(&row.name);
        let sealed = self.shared.seal.seal(&key, &row.value)?;
        let HeldSecret { name, digest } = row.held();
        drop(row);
        fault::before("agent.secret.store");
        let stored = self
            .commit(move |draft| {
                let waiting = draft.index.naming(&name);
                // What replaces a row takes no more room to speak of: a full store takes a corrected password.
                if !draft.index.secrets.contains_key(&name) {
                    draft.make_sure_of_room(sealed.len())?;
                }
                // Written even if it is held: the old row may be sealed with a key that was lost.
                draft.put(key, &SecretSealed { digest, sealed })?;
                draft.change(Change::Secret(name, Some(digest)));
                Ok(waiting)
            })
            .await;
        fault::after("agent.secret.store");
        stored
    }

    fn taken(&self, uid: Uid, outcome: IntentOutcome) -> Taken {
        let held = self
            .shared
            .index()
            .objects
            .get(&uid)
            .map_or_else(zero_fence, |entry| entry.fence);
        Taken { outcome, held }
    }
}

fn zero_fence() -> Fence {
    Fence {
        epoch: HubEpoch(0),
        revision: Revision(0),
    }
}

/// Whether this build can read the body. What it cannot read it must not ack.
fn is_understood(intent: &Intent) -> bool {
    match intent.kind {
        BodyKind::Machine => intent.read::<MachineIntent>().is_ok(),
        BodyKind::Host => intent.read::<HostIntent>().is_ok(),
    }
}

fn raise(draft: &mut Draft<'_>, epoch: HubEpoch) {
    draft.position.epoch = draft.position.epoch.max(epoch);
}

/// One intent against what is known.
fn take(draft: &mut Draft<'_>, intent: Intent) -> Result<IntentOutcome, Error> {
    let uid = intent.object.uid;
    let content = intent.digest();
    let known = draft.index.objects.get(&uid).cloned();
    let verdict = fence::decide(
        draft.index.position.epoch,
        known.as_ref().map(|entry| Known {
            fence: entry.fence,
            content: entry.content,
        }),
        intent.fence,
        content,
    );
    let over = known.as_ref().is_some_and(Entry::is_over);
    match verdict {
        Verdict::OlderEpoch => Ok(IntentOutcome::OlderEpoch),
        Verdict::OlderRevision => Ok(IntentOutcome::OlderRevision),
        Verdict::Conflict => Ok(IntentOutcome::ContentDiffers),
        Verdict::Duplicate | Verdict::Refence | Verdict::Store if over && intent.absent => {
            say_gone_again(draft, uid, intent.fence, content)?;
            raise(draft, intent.fence.epoch);
            Ok(IntentOutcome::AlreadyHeld)
        }
        Verdict::Duplicate => Ok(IntentOutcome::AlreadyHeld),
        Verdict::Refence => {
            store(draft, uid, intent, content, known)?;
            Ok(IntentOutcome::AlreadyHeld)
        }
        Verdict::Store => {
            draft.make_sure_of_room(intent.body.len())?;
            store(draft, uid, intent, content, known)?;
            Ok(IntentOutcome::Stored)
        }
    }
}

fn store(
    draft: &mut Draft<'_>,
    uid: Uid,
    intent: Intent,
    content: Digest,
    known: Option<Entry>,
) -> Result<(), Error> {
    let epoch = intent.fence.epoch;
    let row = IntentRow {
        carried: carried(draft.index, &intent, known.as_ref()),
        intent,
        content,
        retired: None,
    };
    let mut entry = entry_of(&row);
    let over = known.as_ref().is_some_and(Entry::is_over);
    draft.put(rows::object_key(Table::Intent, uid), &row)?;
    if let Some(known) = known {
        let dropped: Vec<_> = known
            .secrets
            .into_iter()
            .filter(|name| !entry.secrets.contains(name))
            .collect();
        forget_secrets(draft, &dropped, uid);
        entry.report = known.report;
    }
    if over {
        // What the carried-out tombstone left must not look like work of the new intent.
        draft.remove(rows::object_key(Table::Journal, uid));
    }
    draft.change(Change::Object(uid, Some(entry)));
    raise(draft, epoch);
    Ok(())
}

/// What a tombstone takes over from the intent that it replaces: the credentials that the object used, unless its own
/// are here. Its Secret may be gone for good, and the site is to be cleaned all the same.
fn carried(index: &Index, tombstone: &Intent, known: Option<&Entry>) -> Option<Uid> {
    let mut named = tombstone
        .secrets
        .iter()
        .filter(|name| name.content.is_none());
    if !tombstone.absent || named.any(|name| index.secrets.contains_key(name)) {
        return None;
    }
    let used = index.credentials_of(known?)?;
    let is_named = tombstone
        .secrets
        .contains(&SecretName::of_credentials(used));
    (!is_named).then_some(used)
}

/// A tombstone that was carried out came again: its report, too, shall come again, under the fence of the newest one.
fn say_gone_again(
    draft: &mut Draft<'_>,
    uid: Uid,
    fence: Fence,
    content: Digest,
) -> Result<(), Error> {
    let key = rows::object_key(Table::Intent, uid);
    let (Some(mut row), Some(mut entry)) = (
        draft.read::<IntentRow>(&key)?,
        draft.index.objects.get(&uid).cloned(),
    ) else {
        return Ok(());
    };
    row.intent.fence = fence;
    row.content = content;
    entry.fence = fence;
    entry.content = content;
    draft.put(key, &row)?;
    outbox::send_again(draft, uid, entry, Some(fence))
}

/// Ends what a carried-out tombstone leaves, but for its fence and the report that says so.
pub(crate) fn retire(draft: &mut Draft<'_>, uid: Uid, acked: Sequence) -> Result<(), Error> {
    let key = rows::object_key(Table::Intent, uid);
    let (Some(mut row), Some(mut entry)) = (
        draft.read::<IntentRow>(&key)?,
        draft.index.objects.get(&uid).cloned(),
    ) else {
        return Ok(());
    };
    row.retired = Some(acked);
    row.intent.body = Vec::new();
    row.intent.secrets = Vec::new();
    row.carried = None;
    row.intent.extensions = Extensions::default();
    let secrets = std::mem::take(&mut entry.secrets);
    entry.retired = Some(acked);
    draft.put(key, &row)?;
    draft.remove(rows::object_key(Table::Journal, uid));
    forget_secrets(draft, &secrets, uid);
    draft.change(Change::Object(uid, Some(entry)));
    Ok(())
}

/// Removes the fence of an object that was retired long ago.
pub(crate) fn forget(draft: &mut Draft<'_>, uid: Uid) {
    draft.remove(rows::object_key(Table::Intent, uid));
    draft.remove(rows::object_key(Table::Report, uid));
    draft.change(Change::Object(uid, None));
}

/// Removes those secrets that no other object names.
fn forget_secrets(draft: &mut Draft<'_>, candidates: &[SecretName], uid: Uid) {
    for name in draft.index.unnamed(candidates, uid) {
        draft.remove(rows::secret_key(&name));
        draft.change(Change::Secret(name, None));
    }
}
