//! The feed and order entry, sessions and bytes included, against a scripted venue at the other end of a pipe,
//! in virtual time. One file a subject; all in one binary, which builds the stages once.

#[path = "../peer/mod.rs"]
mod peer;
#[path = "../wire/mod.rs"]
mod wire;

mod matrices;
mod world;

mod contract_value;
mod copies_taken_up;
mod drop_copy;
mod earlier_runs;
mod feed_life;
mod kept_name;
mod kill_mass_cancel;
mod market_data_messages;
mod order_doubts;
mod order_entry_life;
mod order_states;
mod reconcile_refusals;
mod reconciliation;
mod refused_reports;
mod returned_orders;
mod unsynced_store;
