//! What a simulation is set in: the venue with its tape, and the plan of what goes wrong.
//!
//! Made by the loop from a seed before anything happens. Deliberately absent: Ballast (`process.rs`).

use super::Options;
use super::faults::{self, Episode, Fault};
use super::market::{FaultyTape, NextDue};
use super::mischief::{self, VenueMischief};
use super::network::WireEnd;
use crate::config::ConfigFile;
use crate::config::file::RawSession;
use crate::venue::exchange::{Exchange, VenueOptions};
use crate::venue::fix_face::{FaceOptions, FixVenue, OrderTime, Pace, Speed, Told};
use crate::venue::fix_seat::SeatConfig;
use crate::venue::playback::Playback;
use crate::venue::synthetic::{Synthetic, SyntheticOptions};
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::units::Nanos;
use std::collections::BTreeMap;

const SECOND_NS: u64 = 1_000_000_000;
/// The tape begins undisturbed, so that there is something to disturb …
const FIRST_FAULT_NS: u64 = 30 * SECOND_NS;
/// … and ends undisturbed, so that it is seen whether quoting resumes.
const CALM_NS: u64 = 180 * SECOND_NS;

/// What is due at a time may happen at that time.
pub struct VirtualTime;

impl Pace for VirtualTime {
    fn may_release(&mut self, now: Nanos, tape_time: Nanos, _: &Told) -> bool {
        tape_time <= now
    }

    fn is_quiet(&self, _: &Told) -> bool {
        true
    }
}

/// The venue of a simulation.
pub type SimVenue = FixVenue<FaultyTape<Synthetic>, WireEnd, VirtualTime>;

fn seat(raw: &RawSession, has_orders: bool, cancels: bool) -> SeatConfig {
    SeatConfig {
        sender_comp_id: raw.target_comp_id.clone(),
        target_comp_id: raw.sender_comp_id.clone(),
        participant: raw.sender_comp_id.clone(),
        has_orders,
        has_market_data: !has_orders,
        cancel_on_disconnect: has_orders && cancels,
        credentials: None,
        schedule: None,
    }
}

/// The venue with its tape and what goes wrong there.
pub fn venue(
    file: &ConfigFile,
    config: &MakerConfig,
    options: &Options,
    synthetic: SyntheticOptions,
    plan: &[Episode],
) -> (SimVenue, NextDue) {
    let of = |wanted: fn(Fault) -> bool| {
        plan.iter().filter(|e| wanted(e.fault)).copied().collect::<Vec<_>>()
    };
    let instruments = config.instruments.len();
    let start = synthetic.start;
    let tape = Synthetic::new(&config.instruments, synthetic);
    let market = of(Fault::is_of_market);
    let tape = FaultyTape::new(tape, start, super::STRETCH, instruments, market);
    let next_due = tape.next_due();
    let exchange = Exchange::new(&config.instruments, VenueOptions::default());
    let mischief = VenueMischief::new(of(mischief::is_of_venue), instruments);
    let playback = Playback::new(tape, exchange).with_mischief(Box::new(mischief));
    // Every other seed trades at a venue that cancels on disconnect.
    let cancels = options.seed.is_multiple_of(2);
    let raw = &file.raw.venues[0];
    let seats = [seat(&raw.market_data, false, false), seat(&raw.order_entry, true, cancels)];
    let face = FaceOptions {
        speed: Speed::Max,
        order_time: OrderTime::Arrival,
        logons_min: 0,
        subscriptions_min: 0,
    };
    let mut venue = FixVenue::new(playback, &seats, face, VirtualTime);
    for (instrument, settings) in config.instruments.iter().zip(&config.settings) {
        venue.open_with(&raw.order_entry.sender_comp_id, instrument.id(), settings.opening);
    }
    (venue, next_due)
}

/// What a run's length makes of its seed: the market, and what goes wrong when.
pub fn schedule(options: &Options) -> (SyntheticOptions, Vec<Episode>) {
    let length = options.length_ns();
    let synthetic = SyntheticOptions::new(options.seed, Some(length / super::STRETCH));
    let calm = length.saturating_sub(CALM_NS);
    let first = synthetic.start.plus(FIRST_FAULT_NS.min(calm));
    let plan = faults::plan(options.seed, &options.faults, first, synthetic.start.plus(calm));
    (synthetic, plan)
}

/// Counts the episodes that the tape and the venue begin by themselves.
pub fn counted(plan: &[Episode]) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for episode in plan {
        if episode.fault.is_of_market() || mischief::is_of_venue(episode.fault) {
            *counts.entry(episode.fault.name()).or_default() += 1;
        }
    }
    counts
}
