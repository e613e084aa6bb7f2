//! The road of a Machine from `kubectl apply` to a server that runs its own operating system, on real peers.
//!
//! Every test has an API, a hub, a site and an agent of its own. Run by `tests/run.sh`; needs root.

mod road {
    mod deletion;
    mod interruption;
    mod leftovers;
    mod line;
    mod paths;
    mod power;
    mod refusal;
    mod secrets;
    mod store;
}
