//! What to put into a config so that a recording's instrument can be traded.
//!
//! Fed by `found.rs` where nothing in the folder is the config's; feeds an error message. Any one
//! thread. Deliberately absent: fees, multipliers and limits, which no recording knows; what stands
//! there is marked as to be checked.

use super::TapeError;
use super::found::{Format, Found};
use super::lean::LeanMarket;
use std::collections::BTreeMap;
use std::path::Path;

/// Longest list of symbols in a message.
const LISTED_MAX: usize = 24;
const QUOTES: [&str; 10] =
    ["USDT", "USDC", "BUSD", "TUSD", "USD", "EUR", "GBP", "JPY", "BTC", "ETH"];

/// The error that lists what there is.
pub fn no_instrument(folder: &Path, files: &[Found]) -> TapeError {
    let mut listed: BTreeMap<String, &Found> = BTreeMap::new();
    for file in files {
        for (symbol, _) in &file.symbols {
            let venue = file.venue.as_deref().unwrap_or("unnamed");
            let name = format!("{symbol} at {venue} ({})", kind(symbol, file));
            listed.entry(name).or_insert(file);
        }
    }
    let mut found: Vec<&str> = listed.keys().take(LISTED_MAX).map(String::as_str).collect();
    let more = format!("and {} more", listed.len().saturating_sub(LISTED_MAX));
    if listed.len() > LISTED_MAX {
        found.push(&more);
    }
    let best = files.iter().max_by_key(|file| !file.symbols.is_empty());
    let stanza = best.and_then(|file| file.symbols.first().map(|s| (file, s)));
    let stanza = stanza.map_or_else(String::new, |(file, (symbol, market))| {
        let [tick, lot] = market.steps().map(|step| step.map_or("1".into(), |s| s.to_string()));
        table(symbol, file, &tick, &lot)
    });
    TapeError::NoInstrument { folder: folder.to_path_buf(), found: found.join(", "), stanza }
}

fn kind(symbol: &str, file: &Found) -> &'static str {
    let symbol = symbol.to_ascii_uppercase();
    let is_perpetual = ["PERP", "SWAP", "PERPETUAL"].iter().any(|tail| symbol.ends_with(tail))
        || symbol.starts_with("PI_")
        || symbol.starts_with("PF_");
    let is_inverse = symbol.contains("USD") && !symbol.contains("USDT") && !symbol.contains("USDC");
    let has_date = symbol.bytes().filter(u8::is_ascii_digit).count() >= 6;
    match file.format {
        Format::Lean(LeanMarket::Crypto) => "spot",
        Format::Lean(LeanMarket::CryptoFuture) if is_inverse => "inverse_perpetual",
        Format::Lean(LeanMarket::CryptoFuture) => "linear_perpetual",
        Format::Lean(LeanMarket::FutureOption | LeanMarket::IndexOption) => "option",
        Format::Lean(LeanMarket::Future | LeanMarket::Index) | Format::Databento(_) => {
            "dated_future"
        }
        Format::Tardis | Format::Capture | Format::BybitZip => {
            let is_derivative = file.venue.as_deref().is_some_and(|venue| {
                ["bybit", "bitmex", "binance-futures", "huobi-dm-swap"].contains(&venue)
            });
            match (is_perpetual || is_derivative, has_date) {
                (_, true) => "dated_future",
                (true, false) if is_inverse => "inverse_perpetual",
                (true, false) => "linear_perpetual",
                (false, false) => "spot",
            }
        }
    }
}

/// The coin and what prices are written in, as far as a symbol says them.
fn currencies(symbol: &str) -> (String, &'static str) {
    let upper = symbol.to_ascii_uppercase();
    let upper = upper.trim_start_matches("PI_").trim_start_matches("FI_").trim_start_matches("PF_");
    let quote = QUOTES
        .iter()
        .filter_map(|quote| upper.find(quote).filter(|at| *at > 0).map(|at| (at, *quote)));
    match quote.min() {
        Some((at, _)) => {
            let quote = QUOTES.iter().find(|quote| upper[at..].starts_with(**quote));
            let base = upper[..at].trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            (base.to_owned(), quote.copied().unwrap_or("USD"))
        }
        None => {
            let letters = upper.chars().take_while(char::is_ascii_alphabetic).collect();
            (letters, "USD")
        }
    }
}

fn table(symbol: &str, file: &Found, tick: &str, lot: &str) -> String {
    let kind = kind(symbol, file);
    let venue = file.venue.as_deref().unwrap_or("venue");
    let (base, quote) = currencies(symbol);
    let expiry = if kind == "dated_future" {
        "expiry = \"2099-12-31T00:00:00Z\"   # the contract's last moment of trading\n"
    } else {
        ""
    };
    format!(
        "[[instruments]]\nsymbol = \"{symbol}\"\nvenue = \"{venue}\"\nunderlying = \"{base}\"\n\
         kind = \"{kind}\"\n{expiry}tick = \"{tick}\"   # the finest step seen\nlot = \"{lot}\"   \
         # the finest step seen\nmultiplier = \"1\"   # of one contract\nbase = \"{base}\"\n\
         quote = \"{quote}\"\nmaker_fee_bps = \"0\"\ntaker_fee_bps = \"0\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_says_its_currencies() {
        for (symbol, base, quote) in [
            ("BTC-USDT", "BTC", "USDT"),
            ("PI_ETHUSD", "ETH", "USD"),
            ("xrpusdt", "XRP", "USDT"),
            ("BTC-PERPETUAL", "BTC", "USD"),
            ("ESM4", "ESM", "USD"),
        ] {
            let (found, of) = currencies(symbol);
            assert_eq!((found.as_str(), of), (base, quote), "{symbol}");
        }
    }
}
