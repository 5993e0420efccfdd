//! Refitted coefficients: how they reach a maker that runs.
//!
//! Fed by whoever refits, off the hot path, as a journaled control; changes an instrument's quoter
//! and requotes it. The maker's thread, hot for a moment. Coefficients and not A, k and γ travel:
//! deriving them takes logarithms and roots to 31 digits, which is calibration's arithmetic and not
//! the maker's. They fit 128 bytes, as an order event does, so that no ring grows. Deliberately
//! absent: the exact table of a kilobyte ([`Quoter::GlftExact`] keeps what its config gave it), and a
//! change of model or of what is quoted around: a refit moves numbers, an operator decides on models.
//! A refitted micro-price travels as half of its table, of which the other is the mirror image.

use super::Maker;
use super::intents::Intents;
use crate::estimate::fair_value::FairValue;
use crate::estimate::micro_price::{Leans, MicroPriceTable};
use crate::event::InstrumentId;
use crate::quote::{AvellanedaStoikov, Glft, Quoter};

/// New coefficients for one instrument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// Whose.
    pub instrument: InstrumentId,
    /// What.
    pub coefficients: Coefficients,
}

/// A refitted micro-price for one instrument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MicroPriceUpdate {
    /// Whose.
    pub instrument: InstrumentId,
    /// The table, by its half.
    pub leans: Leans,
}

/// Coefficients of a closed form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coefficients {
    /// Of [`Quoter::Symmetric`].
    Symmetric(Glft),
    /// Of [`Quoter::Glft`].
    Glft(Glft),
    /// Of [`Quoter::AvellanedaStoikov`].
    AvellanedaStoikov(AvellanedaStoikov),
}

impl Parameters {
    /// What `quoter` has, for `instrument`; `None` for a table.
    pub fn of(instrument: InstrumentId, quoter: &Quoter) -> Option<Parameters> {
        let coefficients = match quoter {
            Quoter::Symmetric(glft) => Coefficients::Symmetric(*glft),
            Quoter::Glft(glft) => Coefficients::Glft(*glft),
            Quoter::AvellanedaStoikov(model) => Coefficients::AvellanedaStoikov(*model),
            Quoter::GlftExact(_) => return None,
        };
        Some(Parameters { instrument, coefficients })
    }
}

impl Coefficients {
    /// As a quoter.
    pub fn quoter(&self) -> Quoter {
        match self {
            Coefficients::Symmetric(glft) => Quoter::Symmetric(*glft),
            Coefficients::Glft(glft) => Quoter::Glft(*glft),
            Coefficients::AvellanedaStoikov(model) => Quoter::AvellanedaStoikov(*model),
        }
    }

    /// Whether they are of the model that `quoter` is.
    fn is_of(&self, quoter: &Quoter) -> bool {
        match (self, quoter) {
            (Coefficients::Symmetric(_), Quoter::Symmetric(_))
            | (Coefficients::Glft(_), Quoter::Glft(_)) => true,
            (Coefficients::AvellanedaStoikov(new), Quoter::AvellanedaStoikov(old)) => {
                new.horizon == old.horizon
            }
            (
                Coefficients::Symmetric(_)
                | Coefficients::Glft(_)
                | Coefficients::AvellanedaStoikov(_),
                Quoter::Symmetric(_)
                | Quoter::Glft(_)
                | Quoter::AvellanedaStoikov(_)
                | Quoter::GlftExact(_),
            ) => false,
        }
    }
}

impl Maker {
    /// Takes refitted coefficients in; those of another model, or of an instrument that is not
    /// quoted, change nothing and are counted.
    pub(super) fn on_parameters(&mut self, parameters: &Parameters, out: &mut Intents) {
        let line = self.line_mut(parameters.instrument);
        let quote = line.and_then(|line| line.settings.quote.as_mut());
        let quote = quote.filter(|quote| parameters.coefficients.is_of(&quote.quoter));
        let Some(quote) = quote else {
            self.counters.parameters_refused = self.counters.parameters_refused.saturating_add(1);
            return;
        };
        quote.quoter = parameters.coefficients.quoter();
        self.counters.parameters = self.counters.parameters.saturating_add(1);
        self.requote(parameters.instrument, out);
    }

    /// Takes a refitted micro-price in; one for an instrument that is quoted around something else
    /// changes nothing and is counted.
    pub(super) fn on_micro_price(&mut self, update: &MicroPriceUpdate, out: &mut Intents) {
        let line = self.line_mut(update.instrument);
        let quote = line.and_then(|line| line.settings.quote.as_mut());
        let Some(FairValue::MicroPrice(table)) = quote.map(|quote| &mut quote.fair_value) else {
            self.counters.parameters_refused = self.counters.parameters_refused.saturating_add(1);
            return;
        };
        *table = MicroPriceTable::mirrored(&update.leans);
        self.counters.parameters = self.counters.parameters.saturating_add(1);
        self.requote(update.instrument, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::{QuoteParameters, Real, quoter};
    use crate::event::MarketUpdate;
    use crate::maker::input::Control;
    use crate::maker::tests::{Desk, config};
    use crate::quote::Model;
    use crate::units::{Lots, Side, SubTicks, Ticks};

    const QUOTED: InstrumentId = InstrumentId(0);

    fn refitted(instrument: InstrumentId, model: Model, k: f64) -> Control {
        let parameters = QuoteParameters::new(Real::from(0.001), Real::from(1.0), Real::from(k));
        let quoter = quoter(model, &parameters).unwrap();
        Control::Parameters(Parameters::of(instrument, &quoter).unwrap())
    }

    #[test]
    fn a_refit_replaces_the_quoter_and_nothing_else() {
        let mut desk = Desk::new();
        let before = desk.maker.clone();
        desk.control(refitted(QUOTED, Model::Glft, 0.05));
        let quoter = |maker: &Maker| maker.line(QUOTED).unwrap().settings.quote.unwrap().quoter;
        assert_ne!(quoter(&desk.maker), quoter(&before));
        let (old, new) = (before.line(QUOTED).unwrap(), desk.maker.line(QUOTED).unwrap());
        assert_eq!(old.settings.limits, new.settings.limits);
        assert_eq!(old.settings.quote.unwrap().ladder, new.settings.quote.unwrap().ladder);
        assert_eq!(desk.maker.counters().parameters, 1);
    }

    #[test]
    fn another_models_coefficients_and_an_unquoted_instrument_change_nothing() {
        let mut desk = Desk::new();
        let quoter = |maker: &Maker| maker.line(QUOTED).unwrap().settings.quote.unwrap().quoter;
        let before = quoter(&desk.maker);
        desk.control(refitted(QUOTED, Model::Symmetric, 0.05));
        desk.control(refitted(QUOTED, Model::AvellanedaStoikovRolling, 0.05));
        desk.control(refitted(InstrumentId(1), Model::Glft, 0.05));
        desk.control(refitted(InstrumentId(999), Model::Glft, 0.05));
        assert_eq!(quoter(&desk.maker), before);
        let counters = desk.maker.counters();
        assert_eq!((counters.parameters, counters.parameters_refused), (0, 4));
    }

    #[test]
    fn a_refitted_micro_price_moves_the_quotes_of_an_instrument_that_stands_around_one() {
        let mut around_the_mid = Desk::new();
        around_the_mid.begin();
        let leaning = |lean: i64| {
            let leans = [[SubTicks::from_ticks(Ticks(lean)); 4]; 3];
            Control::MicroPrice(MicroPriceUpdate { instrument: QUOTED, leans })
        };
        assert!(around_the_mid.control(leaning(5)).is_empty());
        assert_eq!(around_the_mid.maker.counters().parameters_refused, 1);
        let mut config = config();
        let quote = config.settings[0].quote.as_mut().unwrap();
        quote.fair_value = FairValue::MicroPrice(MicroPriceTable::NONE);
        let mut desk = Desk::with(&config);
        let quotes = desk.begin();
        assert!(desk.control(leaning(5)).is_empty(), "an even book is worth its mid");
        // Nine tenths stand on the ask: the lightest bid.
        let level = |side, price, size| MarketUpdate::Level { side, price, size: Lots(size) };
        desk.market(QUOTED, level(Side::Buy, Ticks(599_999), 50), false);
        let moved = desk.market(QUOTED, level(Side::Sell, Ticks(600_001), 950), true);
        assert_eq!(moved.len(), quotes.len());
        for quote in &quotes {
            let to = moved.iter().find(|to| to.orig_cl_ord_id == quote.cl_ord_id).unwrap();
            assert_eq!(to.price.0 - quote.price.0, 5, "{:?}", quote.side);
        }
        assert_eq!(desk.maker.counters().parameters, 1);
    }

    #[test]
    fn a_table_does_not_travel() {
        let parameters = QuoteParameters::new(Real::from(0.001), Real::from(1.0), Real::from(0.1));
        let table = quoter(Model::GlftExact, &parameters).unwrap();
        assert_eq!(Parameters::of(QUOTED, &table), None);
        assert!(size_of::<Control>() <= 128, "the ring's slots keep to two lines");
    }
}
