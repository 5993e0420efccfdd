//! What can go wrong, by name, and when it does: a plan made from the seed before the run begins.
//!
//! Fed by the seed and the `--faults` list; feeds the loop (`world.rs`), the tape (`market.rs`) and the
//! venue (`mischief.rs`). An unknown name is an error, so that nobody believes in a test that did not run.

use crate::random::Random;
use ballast_engine::units::Nanos;
use thiserror::Error;

/// One kind of fault.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// Reads and writes move few bytes at a time.
    Segments,
    /// Bytes take longer, each connection by itself, so that the two sessions overtake each other.
    Delay,
    /// A connection ends at any byte.
    Disconnect,
    /// A connection goes silent and nobody is told.
    HalfOpen,
    /// Ballast does not read a session for a while.
    SlowConsumer,
    /// A whole message is lost, of either side: a sequence gap, a resend with PossDupFlag(43).
    SequenceGap,
    /// The venue is gone for a while, both sessions with it.
    VenueOutage,
    /// The maker's ring of order events is not emptied for a while.
    FullRing,
    /// Every report on an order comes twice, with the same ExecID(17).
    DuplicateReports,
    /// Answers to orders, cancels and replaces never come, refusals of the last two among them.
    LostAcks,
    /// Every new order is refused.
    RejectStorm,
    /// The venue cancels orders without being asked.
    UnsolicitedCancels,
    /// The market stands still, then catches up at once.
    StaleMarket,
    /// The best bid goes above the best ask.
    CrossedMarket,
    /// The book empties, and comes back whole after a while.
    GappedMarket,
    /// The price is elsewhere for one message.
    Spike,
    /// An operator pauses an instrument and resumes it.
    Pause,
    /// An operator kills, once, in one run of four; in half of them the process dies in it.
    Kill,
    /// Both links end one after the other and come back in any order.
    LinksStop,
    /// The journal's disk is full or broken from some write on, once, in one run of eight.
    JournalFails,
    /// The process dies, between any two turns of its stages, and another goes on from what is on its disk.
    ProcessKill,
    /// The process ends in order and starts with another config: what a config says holds for a run.
    ConfigReload,
    /// The venue's process dies and comes back without the orders that worked; its sessions go on.
    VenueRestart,
    /// The same, and its sessions' numbers begin at 1: what they said before is gone.
    VenueForgets,
    /// The host's clock is set, and the process dies, so that the next one reads it.
    ClockJump,
    /// Fills are told late, after the cancels and replaces that came later.
    LateFills,
    /// An order trades a lot more than was ordered.
    Overfill,
    /// The venue cancels a trade that it reported.
    TradeBust,
    /// The venue corrects price and size of a trade that it reported.
    TradeCorrection,
    /// A message of the venue's comes again unasked, with its old number and PossDupFlag(43).
    PossDup,
    /// The venue does not read a session for a while: our writes find no room.
    SlowVenue,
}

/// A name that is none.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("--faults: {name:?} is not a fault; allowed: all, none, {}", Fault::names())]
pub struct UnknownFault {
    /// What was written.
    pub name: String,
}

const SECOND_NS: u64 = 1_000_000_000;

impl Fault {
    /// All, in the order of their names' list.
    pub const ALL: [Fault; 31] = [
        Fault::Segments,
        Fault::Delay,
        Fault::Disconnect,
        Fault::HalfOpen,
        Fault::SlowConsumer,
        Fault::SequenceGap,
        Fault::VenueOutage,
        Fault::FullRing,
        Fault::DuplicateReports,
        Fault::LostAcks,
        Fault::RejectStorm,
        Fault::UnsolicitedCancels,
        Fault::StaleMarket,
        Fault::CrossedMarket,
        Fault::GappedMarket,
        Fault::Spike,
        Fault::Pause,
        Fault::Kill,
        Fault::LinksStop,
        Fault::JournalFails,
        Fault::ProcessKill,
        Fault::ConfigReload,
        Fault::VenueRestart,
        Fault::VenueForgets,
        Fault::ClockJump,
        Fault::LateFills,
        Fault::Overfill,
        Fault::TradeBust,
        Fault::TradeCorrection,
        Fault::PossDup,
        Fault::SlowVenue,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::Segments => "segments",
            Fault::Delay => "delay",
            Fault::Disconnect => "disconnect",
            Fault::HalfOpen => "half_open",
            Fault::SlowConsumer => "slow_consumer",
            Fault::SequenceGap => "sequence_gap",
            Fault::VenueOutage => "venue_outage",
            Fault::FullRing => "full_ring",
            Fault::DuplicateReports => "duplicate_reports",
            Fault::PossDup => "poss_dup",
            Fault::SlowVenue => "slow_venue",
            Fault::LostAcks => "lost_acks",
            Fault::RejectStorm => "reject_storm",
            Fault::UnsolicitedCancels => "unsolicited_cancels",
            Fault::StaleMarket => "stale_market",
            Fault::CrossedMarket => "crossed_market",
            Fault::GappedMarket => "gapped_market",
            Fault::Spike => "spike",
            Fault::Pause => "pause",
            Fault::Kill => "kill",
            Fault::LinksStop => "links_stop",
            Fault::JournalFails => "journal_fails",
            Fault::ProcessKill => "process_kill",
            Fault::ConfigReload => "config_reload",
            Fault::VenueRestart => "venue_restart",
            Fault::VenueForgets => "venue_forgets",
            Fault::ClockJump => "clock_jump",
            Fault::LateFills => "late_fills",
            Fault::Overfill => "overfill",
            Fault::TradeBust => "trade_bust",
            Fault::TradeCorrection => "trade_correction",
        }
    }

    /// All names, for messages.
    pub fn names() -> String {
        Fault::ALL.map(Fault::name).join(", ")
    }

    /// Reads a list: `all`, `none`, or names with commas between.
    pub fn parse_list(text: &str) -> Result<Vec<Fault>, UnknownFault> {
        match text {
            "all" => return Ok(Fault::ALL.to_vec()),
            "none" => return Ok(Vec::new()),
            _ => {}
        }
        let find = |name: &str| {
            let known = Fault::ALL.into_iter().find(|fault| fault.name() == name);
            known.ok_or_else(|| UnknownFault { name: name.to_owned() })
        };
        let mut faults = text.split(',').map(find).collect::<Result<Vec<_>, _>>()?;
        faults.sort_unstable();
        faults.dedup();
        Ok(faults)
    }

    /// How long one lasts at most, in seconds; 0 where it is a moment.
    fn seconds_max(self) -> u64 {
        match self {
            Fault::Segments | Fault::Delay => 60,
            Fault::HalfOpen => 30,
            Fault::VenueOutage
            | Fault::LinksStop
            | Fault::ProcessKill
            | Fault::VenueRestart
            | Fault::VenueForgets
            | Fault::ClockJump => 20,
            Fault::SlowConsumer | Fault::SlowVenue | Fault::StaleMarket | Fault::Pause => 12,
            Fault::DuplicateReports | Fault::LostAcks | Fault::RejectStorm => 10,
            Fault::FullRing | Fault::CrossedMarket | Fault::GappedMarket | Fault::LateFills => 4,
            Fault::Disconnect
            | Fault::SequenceGap
            | Fault::PossDup
            | Fault::UnsolicitedCancels
            | Fault::Spike
            | Fault::Kill
            | Fault::ConfigReload
            | Fault::Overfill
            | Fault::TradeBust
            | Fault::TradeCorrection
            | Fault::JournalFails => 0,
        }
    }

    /// How often it comes in a run, at most once; `None` for those that come again and again.
    fn chance(self) -> Option<f64> {
        match self {
            Fault::Kill => Some(0.25),
            Fault::JournalFails => Some(0.125),
            _ => None,
        }
    }

    /// Whether the tape makes it.
    pub fn is_of_market(self) -> bool {
        match self {
            Fault::StaleMarket | Fault::CrossedMarket | Fault::GappedMarket | Fault::Spike => true,
            Fault::Segments
            | Fault::Delay
            | Fault::Disconnect
            | Fault::HalfOpen
            | Fault::SlowConsumer
            | Fault::SlowVenue
            | Fault::SequenceGap
            | Fault::VenueOutage
            | Fault::FullRing
            | Fault::DuplicateReports
            | Fault::PossDup
            | Fault::LostAcks
            | Fault::RejectStorm
            | Fault::UnsolicitedCancels
            | Fault::Pause
            | Fault::Kill
            | Fault::LinksStop
            | Fault::JournalFails
            | Fault::ProcessKill
            | Fault::ConfigReload
            | Fault::VenueRestart
            | Fault::VenueForgets
            | Fault::ClockJump
            | Fault::LateFills
            | Fault::Overfill
            | Fault::TradeBust
            | Fault::TradeCorrection => false,
        }
    }
}

/// One fault in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Episode {
    /// When it begins.
    pub from: Nanos,
    /// When it is over; equal to `from` for a moment.
    pub until: Nanos,
    /// What.
    pub fault: Fault,
    /// Where and how: what is left of chance is in here.
    pub dice: u64,
}

/// Mean distance between two of a kind.
const MEAN_SECONDS: f64 = 900.0;

/// All episodes between two times, in order. Each kind has a stream of its own, so that leaving one out
/// leaves the others where they were.
pub fn plan(seed: u64, faults: &[Fault], from: Nanos, until: Nanos) -> Vec<Episode> {
    let mut episodes = Vec::new();
    for &fault in faults {
        let mut random = Random::stream(seed, 0x0FA0_0000 + fault as u64);
        if let Some(chance) = fault.chance() {
            let is_due = random.chance(chance);
            let share = random.unit();
            let at = until.since(from) as f64 * (0.5 + 0.5 * share);
            if is_due {
                let at = from.plus(at as u64);
                episodes.push(Episode { from: at, until: at, fault, dice: random.bits() });
            }
            continue;
        }
        let mut at = from;
        loop {
            let pause = random.exponential(1.0 / MEAN_SECONDS) * SECOND_NS as f64;
            at = at.plus(pause as u64);
            let length = random.below(fault.seconds_max() * SECOND_NS + 1);
            let end = at.plus(length);
            if end >= until {
                break;
            }
            episodes.push(Episode { from: at, until: end, fault, dice: random.bits() });
            at = end;
        }
    }
    episodes.sort_by_key(|episode| (episode.from, episode.fault));
    episodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_and_an_unknown_one_lists_them_all() {
        for fault in Fault::ALL {
            assert_eq!(Fault::parse_list(fault.name()), Ok(vec![fault]));
        }
        assert_eq!(Fault::parse_list("all").unwrap().len(), Fault::ALL.len());
        assert_eq!(Fault::parse_list("none"), Ok(Vec::new()));
        let error = Fault::parse_list("delay,gremlins").unwrap_err().to_string();
        assert!(error.contains("gremlins") && error.contains("half_open"), "{error}");
    }

    #[test]
    fn a_plan_is_the_same_for_a_seed_and_kinds_do_not_move_each_other() {
        let (from, until) = (Nanos(0), Nanos(20_000 * SECOND_NS));
        let all = plan(7, &Fault::ALL, from, until);
        assert_eq!(all, plan(7, &Fault::ALL, from, until));
        let one = plan(7, &[Fault::Spike], from, until);
        let of_all: Vec<_> =
            all.iter().filter(|episode| episode.fault == Fault::Spike).copied().collect();
        assert_eq!(one, of_all);
        assert!(all.iter().all(|episode| episode.until <= until));
        for fault in Fault::ALL.iter().filter(|fault| fault.chance().is_none()) {
            assert!(all.iter().any(|episode| episode.fault == *fault), "{}", fault.name());
        }
    }
}
