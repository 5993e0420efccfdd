//! What joins the engine and the gateway into a product: the live runner, the simulated venue, the
//! readers of recordings, reports and the command line.
//!
//! In the order in which a run comes about: config → tape and venue → stages joined → what is kept and
//! shown → the ways to run it → the command line.

/// Config files: TOML in, validated values out.
pub mod config;
/// A seeded generator, the same on every host.
pub mod random;
/// Recorded markets as streams of market events.
pub mod recording;
/// The simulated venue.
pub mod venue;

/// The one place that joins the stages.
pub mod live;
/// This host as a run needs it: memory locked, cores looked at.
pub mod hot_host;
/// A session of the config as the gateway wants it.
pub mod venue_session;
/// One venue's sessions, from the config.
pub mod live_venue;
/// What a run says to people, which must not end it.
pub mod standard_error;
/// A session seen from outside its thread.
pub mod session_watch;
/// Files that their owner alone may read.
pub mod private_files;
/// What a process leaves behind for the next one.
pub mod state_dir;
/// Going on from the run before.
pub mod recovery;
/// The cold side of a run: journal, telemetry, the decision to end.
pub mod back_office;
/// Latencies of the last ten seconds.
pub mod latency_window;
/// The host's own stalls, as a hot thread sees them.
pub mod hiccup;
/// What is seen of a run while it goes on.
pub mod observer;
/// The operator's hand on a running maker.
pub mod operator;
/// What was shown to the market, what it paid, what it cost later.
pub mod liquidity;
/// A run as a line of points, for studies.
pub mod trace;
/// A run's fills and mids, for studies of two legs.
pub mod legs;
/// What is where, as rows of documents.
pub mod holdings_report;
/// What treasury is asked for.
pub mod outbox;
/// The one document that says how a run went.
pub mod summary;
/// What a run looked like: pictures, figures and latency files.
pub mod report;

/// σ, A, k, micro-price and order flow from a recording.
pub mod calibrate;
/// Venue and pipeline in one process, over real FIX on loopback.
pub mod demo;
/// The virtual runner.
pub mod backtest;
/// Many backtests over keys of the config.
pub mod sweep;
/// Margin, haircuts, distance to liquidation and stress of a maker's account.
pub mod collateral;
/// The same live, on a thread of its own.
pub mod collateral_thread;
/// What the engines of one firm tell each other.
pub mod firm;
/// What is made anew from market events while a run goes on.
pub mod refresh;
/// Surfaces fitted and Greeks refreshed on the way.
pub mod greek_refresh;
/// How correlated instruments move together.
pub mod covariance;
/// How hedge instruments move with what they hedge.
pub mod hedge_ratios;
/// How mids change over the same intervals: what both are estimated from.
pub mod mid_changes;
/// All three live, each on a thread of its own.
pub mod cold_thread;
/// One option's Greeks where it is refreshed, and wherever that is believed.
pub mod option_point;
/// How a run's options stand.
pub mod option_report;
/// A and k refitted on a rolling window while the maker runs.
pub mod refit;
/// Everything at once in virtual time, out of one seed, with faults and invariants.
pub mod simulate;
/// A journal run again: the same intents?
pub mod replay;
/// Published results, re-run by the quoting code.
pub mod study;
/// A broker's certification script, done by the session that trades.
pub mod certify;
/// This host against tuning.md.
pub mod doctor;

/// The command line: one file a command.
pub mod cli;
