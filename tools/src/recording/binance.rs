//! Binance's messages as the hftbacktest collector stores them: spot, USD-M and COIN-M.
//!
//! Fed by `lines.rs`; feeds `merge.rs` with borrowed values. Any thread. Deliberately absent: state;
//! and the grid, so that texts stay exact until an instrument counts them.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Price and size as the venue wrote them.
pub type LevelText<'a> = (&'a str, &'a str);

/// A `depthUpdate`: levels that changed since the message before.
#[derive(Deserialize, Debug)]
pub struct Depth<'a> {
    /// Venue clock, ms.
    #[serde(rename = "E")]
    pub event_ms: u64,
    /// When the change happened (futures), ms.
    #[serde(rename = "T")]
    pub transaction_ms: Option<u64>,
    /// Symbol.
    #[serde(rename = "s")]
    pub symbol: &'a str,
    /// First update in it.
    #[serde(rename = "U")]
    pub first: u64,
    /// Last update in it.
    #[serde(rename = "u")]
    pub last: u64,
    /// Last update of the message before (futures).
    #[serde(rename = "pu")]
    pub previous: Option<u64>,
    /// Bids.
    #[serde(rename = "b", borrow)]
    pub bids: Vec<LevelText<'a>>,
    /// Asks.
    #[serde(rename = "a", borrow)]
    pub asks: Vec<LevelText<'a>>,
}

/// A `bookTicker`: best bid and ask after update `last`. Spot's carries no time.
#[derive(Deserialize, Debug)]
pub struct BookTicker<'a> {
    /// Venue clock, ms (futures).
    #[serde(rename = "E")]
    pub event_ms: Option<u64>,
    /// When it happened, ms (futures).
    #[serde(rename = "T")]
    pub transaction_ms: Option<u64>,
    /// Symbol.
    #[serde(rename = "s")]
    pub symbol: &'a str,
    /// The book's update number that it shows.
    #[serde(rename = "u")]
    pub last: u64,
    /// Best bid.
    #[serde(rename = "b")]
    pub bid: &'a str,
    /// Its size.
    #[serde(rename = "B")]
    pub bid_size: &'a str,
    /// Best ask.
    #[serde(rename = "a")]
    pub ask: &'a str,
    /// Its size.
    #[serde(rename = "A")]
    pub ask_size: &'a str,
}

/// A `trade`.
#[derive(Deserialize, Debug)]
pub struct Trade<'a> {
    /// When it was matched, ms.
    #[serde(rename = "T")]
    pub transaction_ms: u64,
    /// Symbol.
    #[serde(rename = "s")]
    pub symbol: &'a str,
    /// Price.
    #[serde(rename = "p")]
    pub price: &'a str,
    /// Size.
    #[serde(rename = "q")]
    pub size: &'a str,
    /// The buyer's order rested, so the seller took.
    #[serde(rename = "m")]
    pub buyer_is_maker: bool,
    /// Futures: MARKET for a trade in the book.
    #[serde(rename = "X")]
    pub kind: Option<&'a str>,
}

/// A REST depth snapshot.
#[derive(Deserialize, Debug)]
pub struct Snapshot<'a> {
    /// The last update in it.
    #[serde(rename = "lastUpdateId")]
    pub last: u64,
    /// When it was taken (futures), ms.
    #[serde(rename = "T")]
    pub transaction_ms: Option<u64>,
    /// Symbol (COIN-M alone writes it).
    pub symbol: Option<&'a str>,
    /// Bids.
    #[serde(borrow)]
    pub bids: Vec<LevelText<'a>>,
    /// Asks.
    #[serde(borrow)]
    pub asks: Vec<LevelText<'a>>,
}

/// One line's meaning.
#[derive(Debug)]
pub enum Message<'a> {
    /// Levels that changed.
    Depth(Depth<'a>),
    /// Best bid and ask.
    BookTicker(BookTicker<'a>),
    /// A trade.
    Trade(Trade<'a>),
    /// The whole book.
    Snapshot(Snapshot<'a>),
    /// A known stream that is not needed, or the answer to a subscription.
    Skipped,
    /// A stream that is not known.
    Unknown(&'a str),
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    stream: Option<&'a str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(rename = "lastUpdateId", borrow)]
    last_update_id: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// Reads one message. The error says what the JSON lacks and where in the line.
pub fn decode(body: &[u8]) -> Result<Message<'_>, serde_json::Error> {
    // Text is checked once here; the parts below borrow from it.
    let text = std::str::from_utf8(body).map_err(serde::de::Error::custom)?;
    if let Some((stream, data)) = split_plain(text)
        && let Ok(message) = decode_stream(stream, data)
    {
        return Ok(message);
    }
    let envelope: Envelope = serde_json::from_str(text)?;
    match (envelope.stream, envelope.data) {
        (Some(stream), Some(data)) => decode_stream(stream, data.get()),
        (None, _) if envelope.last_update_id.is_some() => {
            serde_json::from_str(text).map(Message::Snapshot)
        }
        (None, None) if envelope.id.is_some() => Ok(Message::Skipped),
        (Some(_), None) | (None, _) => {
            Err(serde::de::Error::custom("neither a stream with data nor a snapshot"))
        }
    }
}

/// The two parts of a line in the venue's own spelling, without a pass over the data; `None` for
/// any other spelling, which the full parser then reads.
fn split_plain(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("{\"stream\":\"")?.strip_suffix('}')?;
    let (stream, rest) = rest.split_at(rest.find('"')?);
    Some((stream, rest.strip_prefix("\",\"data\":")?))
}

fn decode_stream<'a>(stream: &'a str, data: &'a str) -> Result<Message<'a>, serde_json::Error> {
    let mut parts = stream.split('@').skip(1);
    Ok(match parts.next() {
        Some("depth") => Message::Depth(serde_json::from_str(data)?),
        Some("bookTicker") => Message::BookTicker(serde_json::from_str(data)?),
        Some("trade") => Message::Trade(serde_json::from_str(data)?),
        Some("aggTrade" | "markPrice" | "forceOrder") => Message::Skipped,
        Some(_) | None => Message::Unknown(stream),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_spelling_of_the_envelope_reads_the_same() {
        let trade =
            r#"{"e":"trade","E":2,"s":"X","t":1,"p":"1.0","q":"2","T":1,"m":true,"M":true}"#;
        for line in [
            format!(r#"{{"stream":"x@trade","data":{trade}}}"#),
            format!(r#"{{ "data": {trade}, "stream": "x@trade" }}"#),
        ] {
            let Message::Trade(found) = decode(line.as_bytes()).unwrap() else { panic!("{line}") };
            assert_eq!((found.price, found.size, found.buyer_is_maker), ("1.0", "2", true));
        }
    }

    #[test]
    fn text_that_is_no_message_is_an_error_and_an_unknown_stream_is_named() {
        for line in
            ["", "{}", "[]", "{\"stream\":\"x@trade\"}", "{\"stream\":\"x@depth\",\"data\":{}}"]
        {
            assert!(decode(line.as_bytes()).is_err(), "{line}");
        }
        assert!(matches!(
            decode(br#"{"stream":"x@kline_1m","data":{}}"#).unwrap(),
            Message::Unknown("x@kline_1m")
        ));
        assert!(matches!(decode(br#"{"result":null,"id":1}"#).unwrap(), Message::Skipped));
    }
}
