//! What an operator says of an option's end, checked before the maker is given it.
//!
//! Fed by the operator's socket; feeds acts. Cold. Deliberately absent: what is held; the maker books
//! nothing that it does not hold.

use super::rules::{Rules, count};
use super::words::NANO;
use ballast_engine::event::InstrumentId;
use ballast_engine::instrument::Instrument;
use ballast_engine::maker::control::Act;
use ballast_engine::option_terms::{Delivery, OptionTerms};
use ballast_engine::units::Lots;

impl Rules {
    fn option(&self, symbol: &str) -> Result<(InstrumentId, &Instrument, OptionTerms), String> {
        let instrument = self.of_instrument(symbol)?;
        let terms = instrument.option().ok_or_else(|| format!("{symbol} is no option"))?;
        Ok((instrument.id(), instrument, *terms))
    }

    /// The expiry of an option with its underlying at `price`.
    ///
    /// # Errors
    /// No option, or no price.
    pub fn expiry(&self, symbol: &str, price: &str) -> Result<Act, String> {
        let (instrument, ..) = self.option(symbol)?;
        Ok(Act::Expire { instrument, price: settlement(price)? })
    }

    /// The exercise of `size`, or, negative, its assignment.
    ///
    /// # Errors
    /// No option, no size, or a price where a future is delivered, or none where it pays.
    pub fn exercise(&self, symbol: &str, size: &str, price: Option<&str>) -> Result<Act, String> {
        let (id, instrument, terms) = self.option(symbol)?;
        let lots = count(size, instrument.spec().lot).map_err(|why| format!("size: {why}"))?;
        if lots == 0 {
            return Err(format!("size {size:?}: nothing is exercised by that"));
        }
        let price = match (terms.delivery, price) {
            (Delivery::Future, None) => 0,
            (Delivery::Future, Some(_)) => {
                return Err(format!(
                    "{symbol} delivers its future at the strike: leave out a price"
                ));
            }
            (Delivery::Cash | Delivery::Coin, Some(price)) => settlement(price)?,
            (Delivery::Cash | Delivery::Coin, None) => {
                return Err(format!("{symbol} pays: say the underlying's settlement price"));
            }
        };
        Ok(Act::Exercise { instrument: id, lots: Lots(lots), price })
    }
}

fn settlement(text: &str) -> Result<i64, String> {
    let price = count(text, NANO).map_err(|why| format!("price {text:?}: {why}"))?;
    if price > 0 { Ok(price) } else { Err(format!("price {text:?}: must be greater than zero")) }
}
