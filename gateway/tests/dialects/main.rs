//! The dialects against peers that keep the published rules of their venues, over TLS, and against two venues
//! that Ballast does not ship. One file a venue or subject; all in one binary, which builds the stages once.

#[path = "../certificates/mod.rs"]
mod certificates;
#[path = "../peer/mod.rs"]
mod peer;
#[path = "../quote_venue/mod.rs"]
mod quote_venue;
#[path = "../wire/mod.rs"]
mod wire;

mod quote_rig;
mod venue_peer;

mod binance;
mod binance_copy;
mod deribit;
mod mass_quotes;
mod others;
mod quote_doubts;
