//! What an engine tells of itself: a shadow of the maker, stepped through the same inputs.
//!
//! Fed by inputs, of the run under way or of one before it; feeds the link with words and with fills. Cold
//! thread, no socket and no clock. What it tells is what the account says. Deliberately absent: when it is
//! sent, and what the others say.

use super::message::{FillWord, Share, Word};
use crate::config::ConfigFile;
use ballast_engine::event::OrderUpdate;
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::input::Input;
use ballast_engine::maker::intents::{Intents, Record};
use ballast_engine::units::{Decimal, Nanos, Side};

/// Room for a step's records.
const RECORDS_MAX: usize = 256;
const NANO: Decimal = Decimal { mantissa: 1, scale: 9 };

/// A maker that is stepped to be asked.
pub(super) struct Shadow {
    file: ConfigFile,
    engine: String,
    epoch: u32,
    maker: Maker,
    out: Intents,
    started: Option<Nanos>,
}

impl Shadow {
    /// As the run of this config began; `None` where no maker can be built from it.
    pub(super) fn new(file: &ConfigFile, config: &MakerConfig, engine: &str) -> Option<Shadow> {
        Some(Shadow {
            file: file.clone(),
            engine: engine.to_owned(),
            epoch: config.epoch,
            maker: Maker::new(config).ok()?,
            out: Intents::new(Maker::intents_max(config), RECORDS_MAX),
            started: None,
        })
    }

    /// The next input; the fill that it brought, where it did and that was booked.
    pub(super) fn step(&mut self, number: u64, now: Nanos, input: &Input) -> Option<FillWord> {
        self.started.get_or_insert(now);
        self.maker.step(now, input, &mut self.out);
        let is_booked = self.out.records().iter().any(|r| matches!(r, Record::Fill { .. }));
        self.out.clear();
        let Input::Order(event) = input else { return None };
        let OrderUpdate::Fill { side, last_px, last_qty, .. } = event.update else { return None };
        let instrument = self.file.table.instruments.get(usize::from(event.instrument.0))?;
        if !is_booked {
            return None;
        }
        let spec = instrument.spec();
        let position = self.maker.ledger().position(event.instrument).unwrap_or_default();
        let side = if side == Side::Buy { "buy" } else { "sell" };
        Some(FillWord {
            engine: self.engine.clone(),
            epoch: self.epoch,
            input: number,
            at_ns: now.0,
            symbol: instrument.symbol().to_owned(),
            side: side.into(),
            price: Decimal::text_of(last_px.0, spec.tick),
            size: Decimal::text_of(last_qty.0, spec.lot),
            position: Decimal::text_of(position.0, spec.lot),
        })
    }

    /// What it holds, as of the last input.
    pub(super) fn word(&self, number: u64, now: Nanos) -> Word {
        let table = &self.file.table;
        let deltas = table.underlyings.iter().enumerate().filter_map(|(n, name)| {
            let delta = self.maker.delta(n)?;
            Some((name.to_owned(), Decimal::text_of(delta.0, NANO)))
        });
        let positions = table.instruments.iter().filter_map(|instrument| {
            let lots = self.maker.ledger().position(instrument.id())?;
            Some((instrument.symbol().to_owned(), Decimal::text_of(lots.0, instrument.spec().lot)))
        });
        let shares = self.file.raw.firm.iter().flat_map(|firm| &firm.underlyings);
        let limits = shares.filter_map(|(name, shared)| {
            let (hard, part) = (shared.hard.clone(), shared.engines.get(&self.engine)?.clone());
            Some((name.clone(), Share { hard, part }))
        });
        Word {
            engine: self.engine.clone(),
            epoch: self.epoch,
            input: number,
            at_ns: now.0,
            started_ns: self.started.unwrap_or(now).0,
            limits: limits.collect(),
            deltas: deltas.collect(),
            positions: positions.collect(),
        }
    }
}
