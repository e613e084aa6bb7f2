//! Which name a joining agent gets. Pure.
//!
//! A machine that was installed anew comes back with a new token and the same wish, and shall get its old name and with
//! it its objects. But nobody gets a name that somebody runs under, that belongs to another site, or that was revoked.

use vitistack_api::agent::AgentSpec;
use vitistack_protocol::identity::name::label_of;

use super::token::Grant;

/// Names to try, in order: the wish, then the wish with digits of the token's id, which are unique.
pub(super) fn candidates(wish: &str, enrolment: &str) -> Vec<String> {
    let wish = label_of(wish);
    let wish = if wish.is_empty() {
        "agent".to_owned()
    } else {
        wish
    };
    // A label has 63 characters; the id and its dash need 11.
    let short: String = wish.chars().take(52).collect();
    let unique = format!("{}-{enrolment}", short.trim_end_matches('-'));
    vec![wish, unique]
}

/// Whether the token's holder may take over the agent that has this spec.
pub(super) fn may_take_over(known: &AgentSpec, grant: &Grant, is_connected: bool) -> bool {
    known.site == grant.site && !is_connected && known.revoked != Some(true)
}

#[cfg(test)]
mod tests;
