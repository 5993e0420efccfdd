//! What a config says of self-trade prevention.
//!
//! Fed by an instrument's table; feeds [`super::maker`]. Every fault is told with key, value and what is
//! allowed.

use super::faults::Faults;
use super::file::RawSettings;
use super::instruments::InstrumentTable;
use ballast_engine::risk::self_trade::{Prevention, SelfTrade};

/// `self_trade` and `same_book_as`; `key` is that of the instrument's table.
pub(super) fn self_trade(
    key: &str,
    raw: &RawSettings,
    table: &InstrumentTable,
    faults: &mut Faults,
) -> Option<SelfTrade> {
    let name = raw.self_trade.as_deref().unwrap_or(Prevention::default().name());
    let prevention = Prevention::named(name);
    if prevention.is_none() {
        let names: Vec<_> = Prevention::ALL.iter().map(|mode| mode.name()).collect();
        faults.add(format!("{key}.self_trade"), name, format!("one of {}", names.join(", ")));
    }
    let same_book_as = match &raw.same_book_as {
        None => None,
        Some(symbol) => {
            let other = table.find(symbol);
            if other.is_none() {
                faults.add(format!("{key}.same_book_as"), symbol, "a symbol of [[instruments]]");
            }
            Some(other?.id())
        }
    };
    Some(SelfTrade { prevention: prevention?, same_book_as })
}
