//! What an operator says of an option's end, checked before the maker is given it.
//!
//! Fed by the operator's socket, with how the maker stood in its last sample; feeds acts. Cold. What the
//! maker holds by now it checks itself: an act that does not fit is refused and books nothing.

use super::rules::{Rules, count};
use super::standing::Standing;
use super::words::NANO;
use ballast_engine::event::InstrumentId;
use ballast_engine::instrument::Instrument;
use ballast_engine::maker::control::Act;
use ballast_engine::option_terms::{Delivery, ExerciseStyle, OptionTerms};
use ballast_engine::units::{Lots, Nanos, decimal_text};

impl Rules {
    fn option(&self, symbol: &str) -> Result<(InstrumentId, &Instrument, OptionTerms), String> {
        let instrument = self.of_instrument(symbol)?;
        let terms = instrument.option().ok_or_else(|| format!("{symbol} is no option"))?;
        Ok((instrument.id(), instrument, *terms))
    }

    /// The expiry of an option with its underlying at `price`.
    ///
    /// # Errors
    /// No option, one that lives or is not held, or no price that its underlying could have.
    pub fn expiry(&self, standing: &Standing, symbol: &str, price: &str) -> Result<Act, String> {
        let (instrument, _, terms) = self.option(symbol)?;
        if !terms.is_expired(standing.at) {
            return Err(format!("{symbol} lives until {}: it has not expired", time(terms.expiry)));
        }
        held(standing, instrument, symbol)?;
        let price = self.settlement(standing, instrument, price)?;
        Ok(Act::Expire { instrument, price })
    }

    /// The exercise of `size`, or, negative, its assignment.
    ///
    /// # Errors
    /// No option, no size that is held, a European one that lives, or a price where a future is
    /// delivered, or none, or one that its underlying cannot have, where it pays.
    pub fn exercise(
        &self,
        standing: &Standing,
        symbol: &str,
        size: &str,
        price: Option<&str>,
    ) -> Result<Act, String> {
        let (id, instrument, terms) = self.option(symbol)?;
        let lots = count(size, instrument.spec().lot).map_err(|why| format!("size: {why}"))?;
        if lots == 0 {
            return Err(format!("size {size:?}: nothing is exercised by that"));
        }
        if terms.style == ExerciseStyle::European && !terms.is_expired(standing.at) {
            let until = time(terms.expiry);
            return Err(format!("{symbol} is European: it is not exercised before {until}"));
        }
        let held = held(standing, id, symbol)?;
        if lots.signum() != held.signum() || lots.unsigned_abs() > held.unsigned_abs() {
            let (done, side) = if lots > 0 { ("exercised", "long") } else { ("assigned", "short") };
            return Err(format!(
                "size {size:?}: {} of {symbol} are held, and no more than what is {side} is {done}",
                instrument.size_text(Lots(held))
            ));
        }
        let price = match (terms.delivery, price) {
            (Delivery::Future, None) => 0,
            (Delivery::Future, Some(_)) => {
                return Err(format!(
                    "{symbol} delivers its future at the strike: leave out a price"
                ));
            }
            (Delivery::Cash | Delivery::Coin, Some(price)) => {
                self.settlement(standing, id, price)?
            }
            (Delivery::Cash | Delivery::Coin, None) => {
                return Err(format!("{symbol} pays: say the underlying's settlement price"));
            }
        };
        Ok(Act::Exercise { instrument: id, lots: Lots(lots), price })
    }
}

impl Rules {
    /// A settlement price: within a factor of two of the price of what the option is on, as it was seen
    /// last, or where that is not believed, of the middle strike on it. A digit too many or too few would
    /// be booked as cash.
    fn settlement(
        &self,
        standing: &Standing,
        option: InstrumentId,
        text: &str,
    ) -> Result<i64, String> {
        let price = count(text, NANO).map_err(|why| format!("price {text:?}: {why}"))?;
        if price <= 0 {
            return Err(format!("price {text:?}: must be greater than zero"));
        }
        let reference = self.reference(option);
        let instruments = &self.table().instruments;
        let on = reference.and_then(|id| instruments.get(usize::from(id.0)));
        let seen = on.and_then(|on| {
            let snapshot = standing.instruments.get(usize::from(on.id().0))?.as_ref()?;
            let half_ticks = i128::from(snapshot.touch.ok()?.mid_half_ticks());
            i64::try_from(half_ticks * i128::from(on.nano_quote_per_tick()) / 2).ok()
        });
        let (by, from, to, what) = match seen {
            Some(seen) => (seen, seen / 2, seen.saturating_mul(2), "trades at"),
            None => {
                let mut strikes: Vec<i64> = instruments
                    .iter()
                    .filter(|other| self.reference(other.id()) == reference)
                    .filter_map(|other| other.option()?.nano_strike())
                    .collect();
                strikes.sort_unstable();
                let middle = strikes.get(strikes.len() / 2).copied().unwrap_or(price);
                let to = middle.saturating_mul(2);
                (middle, middle / 2, to, "is not seen now, and its middle strike is")
            }
        };
        if (from..=to).contains(&price) {
            return Ok(price);
        }
        let number = |nano: i64| {
            let text = decimal_text(nano.into(), 9);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        Err(format!(
            "price {text:?}: {} {what} {}: a settlement price is between {} and {}",
            on.map_or("its underlying", Instrument::symbol),
            number(by),
            number(from),
            number(to)
        ))
    }
}

/// What is held, as of the last sample.
fn held(standing: &Standing, option: InstrumentId, symbol: &str) -> Result<i64, String> {
    let snapshot = standing.instruments.get(usize::from(option.0)).and_then(Option::as_ref);
    match snapshot.map(|snapshot| snapshot.position.0) {
        None => Err(format!("{symbol}: what is held is not told yet; again in a moment")),
        Some(0) => Err(format!("nothing of {symbol} is held")),
        Some(lots) => Ok(lots),
    }
}

fn time(at: Nanos) -> String {
    let at_text = jiff::Timestamp::from_nanosecond(at.0.into());
    at_text.map_or_else(|_| at.0.to_string(), |text| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigFile;
    use ballast_engine::maker::Maker;
    use ballast_engine::units::Lots;

    const CALL: &str = "ES-20200320-C-3300";
    const EXPIRY_NS: u64 = 1_584_711_000_000_000_000;

    /// The example's options as European ones that pay cash, three of a call held.
    fn desk(at: u64) -> (Rules, Standing) {
        let text = include_str!("../../../config/es-options.toml");
        let text = text.replace("delivery = \"future\"", "delivery = \"cash\"");
        let text = text.replace("style = \"american\"", "style = \"european\"");
        let file = ConfigFile::parse("es.toml", text).unwrap();
        let config = file.maker(1).unwrap();
        let maker = Maker::new(&config).unwrap();
        let mut standing = Standing::new(config.instruments.len(), 1);
        standing.at = Nanos(at);
        for (seen, instrument) in standing.instruments.iter_mut().zip(&config.instruments) {
            let mut snapshot = maker.snapshot(instrument.id()).unwrap();
            snapshot.position = Lots(if instrument.symbol() == CALL { 3 } else { 0 });
            *seen = Some(snapshot);
        }
        (Rules::new(&file, &config), standing)
    }

    #[test]
    fn an_option_that_lives_neither_expires_nor_is_a_european_one_exercised() {
        let (rules, standing) = desk(EXPIRY_NS - 1);
        let told = rules.expiry(&standing, CALL, "3250").unwrap_err();
        assert!(told.contains("lives until 2020-03-20T13:30:00Z"), "{told}");
        let told = rules.exercise(&standing, CALL, "1", Some("3250")).unwrap_err();
        assert!(told.contains("is European"), "{told}");
        let (rules, standing) = desk(EXPIRY_NS);
        assert!(rules.expiry(&standing, CALL, "3250").is_ok());
        assert!(rules.exercise(&standing, CALL, "1", Some("3250")).is_ok());
    }

    #[test]
    fn no_more_ends_than_is_held_and_on_its_own_side() {
        let (rules, mut standing) = desk(EXPIRY_NS);
        for size in ["100", "4", "-1"] {
            let told = rules.exercise(&standing, CALL, size, Some("3250")).unwrap_err();
            assert!(told.contains("3 of ES-20200320-C-3300 are held"), "{size}: {told}");
        }
        assert!(rules.exercise(&standing, CALL, "3", Some("3250")).is_ok());
        let told = rules.expiry(&standing, "ES-20200320-C-3310", "3250").unwrap_err();
        assert!(told.contains("nothing of"), "{told}");
        standing.instruments.fill(None);
        let told = rules.expiry(&standing, CALL, "3250").unwrap_err();
        assert!(told.contains("not told yet"), "{told}");
    }

    #[test]
    fn a_settlement_price_in_another_unit_is_refused() {
        let (rules, mut standing) = desk(EXPIRY_NS);
        // The future is not seen: the middle strike is 3230.
        for (price, is_taken) in
            [("32.5", false), ("1614", false), ("1615", true), ("6460", true), ("6461", false)]
        {
            let told = rules.expiry(&standing, CALL, price);
            assert_eq!(told.is_ok(), is_taken, "{price}: {told:?}");
        }
        let touch = |price| ballast_engine::market::book::Level { price, size: Lots(1) };
        let (bid, ask) = (
            touch(ballast_engine::units::Ticks(12_999)),
            touch(ballast_engine::units::Ticks(13_001)),
        );
        let seen = standing.instruments[0].as_mut().unwrap();
        seen.touch = Ok(ballast_engine::market::book::Touch { bid, ask });
        for (price, is_taken) in [("1624", false), ("1625", true), ("6500", true), ("6501", false)]
        {
            let told = rules.exercise(&standing, CALL, "1", Some(price));
            assert_eq!(told.is_ok(), is_taken, "{price}: {told:?}");
        }
    }
}
