//! The gross notional as the checker adds it up, and the limit that no decision may take it past.
//!
//! A part of the checker, fed with each decision of the maker and with the maker after each step: lots by
//! the maker's word, prices by the checker's own books. A price may carry what is held past the limit, and
//! no order can prevent that: what is judged is a decision that makes the worst case more.

use super::exposed::worst_case;
use super::watched::Watched;
use ballast_engine::event::InstrumentId;
use ballast_engine::instrument::ContractValue;
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::units::{Nanos, Side};

/// Between a decision and the end of its step the market moves, and the maker's mark is not quite the middle
/// of the touch: one part of so many of the limit.
const TOLERANCE: i128 = 200;

/// Everything that works, at every price, against one limit.
pub(super) struct GrossCheck {
    max: i128,
    /// 1e-9 of the reporting currency that a tick of a lot is worth, by instrument.
    per_tick_lot: Vec<i128>,
    /// The worst case in lots after the step before.
    before: Vec<i64>,
    decided: Vec<InstrumentId>,
    /// Of each book when it was trusted last, in ticks.
    middles: Vec<Option<i128>>,
}

impl GrossCheck {
    /// Linear instruments, quoted in the reporting currency.
    pub(super) fn new(config: &MakerConfig) -> GrossCheck {
        let per_tick_lot = config.instruments.iter().map(|instrument| match instrument.value() {
            ContractValue::Linear { nano_per_tick_lot, .. } => i128::from(nano_per_tick_lot),
            ContractValue::Inverse { .. } | ContractValue::Option { .. } => 0,
        });
        GrossCheck {
            max: config.portfolio.gross_max.0,
            per_tick_lot: per_tick_lot.collect(),
            before: vec![i64::MAX; config.instruments.len()],
            decided: Vec::new(),
            middles: vec![None; config.instruments.len()],
        }
    }

    /// A run begins with what it finds.
    pub(super) fn on_start(&mut self) {
        self.before.fill(i64::MAX);
        self.decided.clear();
        self.middles.fill(None);
    }

    /// A new order or a replace of an instrument.
    pub(super) fn on_decision(&mut self, instrument: InstrumentId) {
        self.decided.push(instrument);
    }

    /// After a step: what is wrong, if anything is. A book that is not trusted is worth what it was before.
    pub(super) fn on_step(
        &mut self,
        now: Nanos,
        watched: &[Watched],
        maker: &Maker,
    ) -> Option<String> {
        let mut sum = Some(0);
        let mut has_raised = false;
        for (place, watched) in watched.iter().enumerate() {
            let id = InstrumentId(u16::try_from(place).ok()?);
            let snapshot = maker.snapshot(id)?;
            let theirs = (snapshot.position.0, snapshot.open.map(|lots| lots.0));
            let worst = Side::BOTH.map(|side| worst_case(theirs, side)).into_iter().max()?.max(0);
            has_raised |= self.decided.contains(&id) && worst > self.before[place];
            self.before[place] = worst;
            if watched.distrust(now).is_none() {
                self.middles[place] = watched.middle();
            }
            let value = |middle: i128| i128::from(worst) * self.per_tick_lot[place] * middle;
            sum = sum.zip(self.middles[place].map(value)).map(|(sum, value)| sum + value);
        }
        self.decided.clear();
        let most = self.max + self.max / TOLERANCE;
        let beyond = sum.filter(|sum| has_raised && *sum > most)?;
        Some(format!("{beyond} of {}, in 1e-9", self.max))
    }
}
