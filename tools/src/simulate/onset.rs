//! Faults begin and end: what the plan does to network, process and operator.
//!
//! A part of the loop, fed by the plan with episodes as they come due. What the tape and the venue do
//! wrong by themselves is in `market.rs` and `mischief.rs`.

use super::faults::{Episode, Fault};
use super::network::{End, Link};
use super::people::operator;
use super::world::{Ending, Leaving, SECOND_NS, World};
use ballast_engine::event::InstrumentId;
use ballast_engine::maker::control::{Act, KillCause, User};
use ballast_engine::maker::input::Control;
use std::io::ErrorKind;

/// A connection that is half open is noticed after 2.4 heartbeats of 5 s; what waited is sent then.
const NOTICED_NS: u64 = 15_000_000_000;
/// How far a clock is set at most, either way: within what both ends of a session allow.
const CLOCK_STEP_MAX_NS: u64 = 50 * SECOND_NS;
/// Turns of stages that do something, within which a process that is to die does.
const DEATH_TURNS: u64 = 64;

impl World {
    pub(super) fn begin_faults(&mut self) {
        while let Some(episode) = self.plan.front().copied().filter(|e| e.from <= self.now) {
            self.plan.pop_front();
            self.calm_from = self.calm_from.max(episode.until);
            if !episode.fault.is_of_market() {
                let noticed = episode.until.plus(NOTICED_NS);
                self.way_clear_from = self.way_clear_from.max(noticed);
            }
            if self.begin(episode) {
                *self.seen.faults.entry(episode.fault.name()).or_default() += 1;
            }
        }
    }

    /// Whether it began here: some are the tape's and the venue's own, counted when the plan was made,
    /// and of a process that is to end for good nothing more is asked.
    fn begin(&mut self, episode: Episode) -> bool {
        let link = Link::BOTH[(episode.dice & 1) as usize];
        let end = if episode.dice & 2 == 0 { End::Ours } else { End::Theirs };
        let number = episode.dice >> 8;
        match episode.fault {
            Fault::Segments => {
                self.net.fragment(1 + (number % 40) as usize);
                self.endings.push((episode.until, Ending::Segments));
            }
            Fault::Delay => {
                self.net.jitter(1_000_000 << (number % 11));
                self.endings.push((episode.until, Ending::Delay));
            }
            Fault::Disconnect => self.net.cut(link, end, (number % 500) as usize),
            Fault::HalfOpen => self.net.silence(link),
            Fault::SlowConsumer => self.net.stall(link, End::Ours, episode.until),
            Fault::SlowVenue => self.net.stall(link, End::Theirs, episode.until),
            Fault::SequenceGap => self.net.lose_next(link, end),
            Fault::PossDup => return self.net.repeat(link, number),
            Fault::VenueOutage => self.net.take_down(episode.until),
            Fault::LinksStop => self.stop_links(link, episode, number),
            Fault::VenueRestart | Fault::VenueForgets => {
                self.net.take_down(episode.until);
                self.venue.restart(self.now, episode.fault == Fault::VenueForgets);
            }
            Fault::DuplicateReports
            | Fault::LostAcks
            | Fault::RejectStorm
            | Fault::UnsolicitedCancels
            | Fault::LateFills
            | Fault::Overfill
            | Fault::TradeBust
            | Fault::TradeCorrection
            | Fault::StaleMarket
            | Fault::CrossedMarket
            | Fault::GappedMarket
            | Fault::Spike => return false,
            Fault::FullRing
            | Fault::Pause
            | Fault::Kill
            | Fault::JournalFails
            | Fault::ProcessKill
            | Fault::ConfigReload
            | Fault::ClockJump => return self.begin_in_process(episode, number),
        }
        true
    }

    /// A fault of the process that runs, if one does and is to go on.
    fn begin_in_process(&mut self, episode: Episode, number: u64) -> bool {
        let Some(process) = self.process.as_mut().filter(|_| !self.is_final) else { return false };
        match episode.fault {
            Fault::FullRing => process.tap.held_until = episode.until,
            Fault::JournalFails => process.diary.break_disk(match number & 1 {
                0 => ErrorKind::StorageFull,
                _ => ErrorKind::Other,
            }),
            Fault::Pause => {
                self.paused = true;
                self.order(Control::Pause(InstrumentId(0)));
                self.endings.push((episode.until, Ending::Resume));
            }
            Fault::Kill => {
                // In half of them the process dies in it, and another may begin once somebody has lifted it.
                if number & 1 == 1 && process.diary.is_kept() {
                    self.is_killed = true;
                    let turns = (number >> 40) % DEATH_TURNS;
                    self.dies = Some((turns, self.now.plus(SECOND_NS)));
                } else {
                    self.is_final = true;
                }
                process.shut();
                self.net.wiretap(|wiretap| wiretap.set_killed(true));
                let act = Act::Kill { cause: KillCause::Operator };
                self.order(Control::By { user: operator(), second: User::NOBODY, act });
            }
            Fault::ConfigReload => return self.leave(Leaving::Reload),
            // What of the journal no longer found room on the disk was not written.
            _ if !process.diary.is_kept() => return false,
            fault => {
                if fault == Fault::ClockJump {
                    let off = number % (2 * CLOCK_STEP_MAX_NS + 1);
                    self.clock_off = off as i64 - CLOCK_STEP_MAX_NS as i64;
                }
                let comes_back = episode.until.max(self.now.plus(SECOND_NS));
                self.dies = Some(((number >> 40) % DEATH_TURNS, comes_back));
            }
        }
        true
    }

    /// One link ends now and one a little later; which comes back first is chance too.
    fn stop_links(&mut self, first: Link, episode: Episode, number: u64) {
        let length = episode.until.since(episode.from);
        let part = |share: u64| episode.from.plus(length / 256 * share);
        let second = match first {
            Link::Feed => Link::Orders,
            Link::Orders => Link::Feed,
        };
        let later = part(number & 0x7F);
        self.net.stop(first, part(0x80 + (number >> 8 & 0x7F)));
        self.endings.push((later, Ending::Stop(second, part(0x80 + (number >> 16 & 0x7F)))));
    }

    pub(super) fn end_faults(&mut self) {
        let now = self.now;
        let (over, on): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.endings).into_iter().partition(|(at, _)| *at <= now);
        self.endings = on;
        for (_, ending) in over {
            match ending {
                Ending::Segments => self.net.fragment(0),
                Ending::Delay => self.net.jitter(0),
                Ending::Stop(link, until) => self.net.stop(link, until),
                Ending::Resume => {
                    self.paused = false;
                    // What has halted meanwhile waits for an operator who looks at why.
                    if self.waits(InstrumentId(0)).is_none() {
                        self.order(Control::Resume(InstrumentId(0)));
                    }
                }
                Ending::Start => self.start_again(),
                Ending::Lift => {
                    self.lift_kill();
                    self.start_again();
                }
            }
        }
    }
}
