//! That each alert is told in time: by the checker's own reading of what is so.
//!
//! A part of the checker, fed with every alert and several times a second with the maker; says what an
//! operator has not been told for too long.

use super::check::TOLD_WITHIN_NS;
use crate::operator::alerting::Telling;
use ballast_engine::event::InstrumentId;
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::risk::state::{Reason, State};
use ballast_engine::units::Nanos;

/// What was told last of one instrument.
struct Told {
    symbol: String,
    last: Option<(&'static str, String)>,
    /// Since when it is not what is so.
    wrong_since: Option<Nanos>,
}

/// The alerts of the run in hand.
pub(super) struct AlertCheck {
    instruments: Vec<Told>,
    journal_lost_at: Option<Nanos>,
}

/// Every run begins so, and nobody is told.
fn beginning() -> Option<(&'static str, String)> {
    Some(("paused", Reason::SessionDown.name().to_owned()))
}

impl AlertCheck {
    pub(super) fn new(config: &MakerConfig) -> AlertCheck {
        let told = config.instruments.iter().map(|instrument| Told {
            symbol: instrument.symbol().to_owned(),
            last: beginning(),
            wrong_since: None,
        });
        AlertCheck { instruments: told.collect(), journal_lost_at: None }
    }

    pub(super) fn on_start(&mut self) {
        self.journal_lost_at = None;
        for told in &mut self.instruments {
            (told.last, told.wrong_since) = (beginning(), None);
        }
    }

    pub(super) fn on_journal_lost(&mut self, now: Nanos) {
        self.journal_lost_at = Some(now);
    }

    pub(super) fn on_alert(&mut self, telling: &Telling) {
        match telling.kind {
            "journal_lost" => self.journal_lost_at = None,
            "paused" | "halted" => {
                let is_it = |told: &&mut Told| told.symbol == telling.of;
                if let Some(told) = self.instruments.iter_mut().find(is_it) {
                    told.last = Some((telling.kind, telling.reason.clone()));
                }
            }
            _ => {}
        }
    }

    /// What has not been told for too long.
    pub(super) fn on_grid(&mut self, now: Nanos, maker: &Maker) -> Option<String> {
        let mut untold = None;
        if self.journal_lost_at.is_some_and(|at| now.since(at) > TOLD_WITHIN_NS) {
            untold = Some("the journal is lost".to_owned());
        }
        for (id, told) in (0..).map(InstrumentId).zip(&mut self.instruments) {
            let Some(snapshot) = maker.snapshot(id) else { continue };
            let kind = match snapshot.state {
                State::Halted => Some("halted"),
                State::Paused => Some("paused"),
                State::Quoting | State::Reducing => None,
            };
            let reason = snapshot.reason.name();
            let is_quiet = matches!(snapshot.reason, Reason::Normal | Reason::Shutdown);
            let kind = kind.filter(|_| !is_quiet);
            let is_so = |last: &(&str, String)| Some(last.0) == kind && last.1 == reason;
            if kind.is_none() || told.last.as_ref().is_some_and(is_so) {
                told.wrong_since = None;
                continue;
            }
            let since = *told.wrong_since.get_or_insert(now);
            if now.since(since) > TOLD_WITHIN_NS {
                let (symbol, last) = (&told.symbol, &told.last);
                untold = Some(format!("{symbol} is {kind:?} ({reason}), told last {last:?}"));
            }
        }
        untold
    }
}
