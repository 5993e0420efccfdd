//! The simulated venue's config file: TOML in, a venue that can be run out, every fault told at once.
//!
//! Fed by `ballast venue --config`; feeds `fix_face.rs` with seats and options and says which tape
//! plays. Cold. Deliberately absent: what a maker does (`crate::config`).

use super::exchange::VenueOptions;
use super::fix_face::{FaceOptions, OrderTime, Speed};
use super::fix_seat::SeatConfig;
use super::matching::SelfMatch;
use super::queue::QueueModel;
use crate::backtest::window::Moment;
use crate::config::faults::Faults;
use crate::config::instruments::{InstrumentTable, RawInstrument};
use crate::config::option_terms::RawChain;
use crate::config::times::{self, RawSchedule};
use ballast_engine::event::InstrumentId;
use ballast_engine::units::Lots;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The file as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVenueFile {
    listen: Vec<String>,
    tls: Option<RawTls>,
    speed: String,
    order_time: String,
    order_latency_us: u64,
    feed_latency_us: u64,
    queue: String,
    self_match: String,
    logons_min: usize,
    subscriptions_min: usize,
    tape: RawTape,
    sessions: Vec<RawSeat>,
    /// By participant, by symbol: what it holds before it first trades.
    #[serde(default)]
    opening: BTreeMap<String, BTreeMap<String, String>>,
    instruments: Vec<RawInstrument>,
    #[serde(default)]
    chains: Vec<RawChain>,
}

/// `tls = { … }`: all that listens speaks TLS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTls {
    /// PEM file with the venue's certificate.
    pub cert: PathBuf,
    /// PEM file with its private key, mode 0600.
    pub key: PathBuf,
    /// PEM file of the CA whose certificates clients must show; left out, none is demanded.
    pub client_ca: Option<PathBuf>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTape {
    recording: Option<PathBuf>,
    #[serde(default)]
    clock_offset_us: i64,
    from: Option<String>,
    seed: Option<u64>,
    duration_s: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSeat {
    sender_comp_id: String,
    target_comp_id: String,
    participant: String,
    carries: String,
    #[serde(default)]
    cancel_on_disconnect: bool,
    schedule: Option<RawSchedule>,
}

/// What plays at the venue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TapeConfig {
    /// A folder of recordings.
    Recording {
        /// Where `spot`, `usdm` and `cm` are.
        folder: PathBuf,
        /// Added to every receive time.
        clock_offset_ns: i64,
        /// Where it begins to play; at its start where it is left out.
        from: Option<Moment>,
    },
    /// A market out of a seed.
    Synthetic {
        /// The seed.
        seed: u64,
        /// How long it plays; for ever where it is not said.
        duration_ns: Option<u64>,
    },
}

/// A venue that can be run.
#[derive(Clone)]
pub struct VenueConfig {
    /// Where it listens.
    pub listen: Vec<SocketAddr>,
    /// In TLS where it is given.
    pub tls: Option<RawTls>,
    /// How its sessions run.
    pub face: FaceOptions,
    /// How it matches.
    pub venue: VenueOptions,
    /// What plays.
    pub tape: TapeConfig,
    /// Who may come.
    pub seats: Vec<SeatConfig>,
    /// What participants hold before they first trade.
    pub openings: Vec<(String, InstrumentId, Lots)>,
    /// What is traded.
    pub table: InstrumentTable,
}

impl VenueConfig {
    /// Reads a config text; the error lists every fault with its key, its value and what is allowed.
    pub fn parse(text: &str) -> Result<VenueConfig, String> {
        let mut raw: RawVenueFile =
            toml::from_str(text).map_err(|error| crate::config::syntax::told(text, &error))?;
        let mut faults = Faults::default();
        for chain in std::mem::take(&mut raw.chains) {
            if chain.settings.is_some() {
                let key = format!("chains.{}.settings", chain.symbol);
                faults.add(key, "a table", "nothing: what a maker does stands in the maker's file");
            }
            raw.instruments.extend(chain.instruments());
        }
        let table = InstrumentTable::new(&raw.instruments, &mut faults);
        let listen = raw.listen.iter().filter_map(|text| address(text, &mut faults)).collect();
        if raw.listen.is_empty() {
            faults.add("listen", "[]", "name at least one address such as \"127.0.0.1:9878\"");
        }
        let face = FaceOptions {
            speed: speed(&raw.speed, &mut faults).unwrap_or(Speed::Max),
            order_time: order_time(&raw.order_time, &mut faults),
            logons_min: raw.logons_min,
            subscriptions_min: raw.subscriptions_min,
        };
        let limits = [
            ("logons_min", raw.logons_min, raw.sessions.len(), "sessions"),
            ("subscriptions_min", raw.subscriptions_min, raw.instruments.len(), "instruments"),
        ];
        for (key, value, most, what) in limits {
            if value > most {
                faults.add(key, value, format!("at most the {most} {what} of this file"));
            }
        }
        let venue = VenueOptions {
            order_latency_ns: raw.order_latency_us.saturating_mul(1_000),
            feed_latency_ns: raw.feed_latency_us.saturating_mul(1_000),
            queue_model: queue_model(&raw.queue, &mut faults),
            self_match: self_match(&raw.self_match, &mut faults),
        };
        let tape = tape(&raw.tape, &mut faults);
        let seats = seats(&raw.sessions, &mut faults);
        let openings = openings(&raw, &table, &mut faults);
        let tls = raw.tls;
        let config =
            tape.map(|tape| VenueConfig { listen, tls, face, venue, tape, seats, openings, table });
        faults.or(config).map_err(|faults| faults.to_string())
    }
}

/// `max`, or how many times faster than it was recorded.
pub fn speed(text: &str, faults: &mut Faults) -> Option<Speed> {
    match (text, text.parse::<u32>()) {
        ("max", _) => Some(Speed::Max),
        (_, Ok(times)) if times > 0 => Some(Speed::Times(times)),
        (_, Ok(_) | Err(_)) => {
            faults.add("speed", format!("{text:?}"), "\"max\" or a whole number from \"1\"");
            None
        }
    }
}

fn address(text: &str, faults: &mut Faults) -> Option<SocketAddr> {
    let address = text.parse().ok();
    if address.is_none() {
        faults.add("listen", format!("{text:?}"), "an address such as \"127.0.0.1:9878\"");
    }
    address
}

fn order_time(text: &str, faults: &mut Faults) -> OrderTime {
    match text {
        "transact_time" => OrderTime::TransactTime,
        "arrival" => OrderTime::Arrival,
        _ => {
            faults.add("order_time", format!("{text:?}"), "\"transact_time\" or \"arrival\"");
            OrderTime::Arrival
        }
    }
}

fn queue_model(text: &str, faults: &mut Faults) -> QueueModel {
    let power = text.strip_prefix("probabilistic_").and_then(|power| power.parse().ok());
    match (text, power) {
        ("back_of_queue", _) => QueueModel::BackOfQueue,
        (_, Some(power @ 1..=4)) => QueueModel::Probabilistic { power },
        (_, Some(_) | None) => {
            let allowed = "\"back_of_queue\" or \"probabilistic_1\" to \"probabilistic_4\"";
            faults.add("queue", format!("{text:?}"), allowed);
            QueueModel::BackOfQueue
        }
    }
}

fn self_match(text: &str, faults: &mut Faults) -> SelfMatch {
    match text {
        "allow" => SelfMatch::Allow,
        "cancel_resting" => SelfMatch::CancelResting,
        "cancel_incoming" => SelfMatch::CancelIncoming,
        _ => {
            let allowed = "\"allow\", \"cancel_resting\" or \"cancel_incoming\"";
            faults.add("self_match", format!("{text:?}"), allowed);
            SelfMatch::CancelIncoming
        }
    }
}

fn tape(raw: &RawTape, faults: &mut Faults) -> Option<TapeConfig> {
    let from = raw.from.as_deref().and_then(|text| match Moment::parse(text) {
        Ok(moment) => Some(moment),
        Err(allowed) => {
            faults.add("tape.from", format!("{text:?}"), allowed);
            None
        }
    });
    match (&raw.recording, raw.seed) {
        (Some(folder), None) => Some(TapeConfig::Recording {
            folder: folder.clone(),
            clock_offset_ns: raw.clock_offset_us.saturating_mul(1_000),
            from,
        }),
        (None, Some(seed)) => Some(TapeConfig::Synthetic {
            seed,
            duration_ns: raw.duration_s.map(|s| s.saturating_mul(1_000_000_000)),
        }),
        (Some(_), Some(_)) | (None, None) => {
            faults.add("tape", "recording and seed", "name exactly one of the two");
            None
        }
    }
}

fn seats(raw: &[RawSeat], faults: &mut Faults) -> Vec<SeatConfig> {
    if raw.is_empty() {
        faults.add("sessions", "[]", "name at least one session");
    }
    let mut seats: Vec<SeatConfig> = Vec::with_capacity(raw.len());
    for seat in raw {
        let ids = (&seat.sender_comp_id, &seat.target_comp_id);
        let key = format!("sessions.{}.{}", ids.0, ids.1);
        let (has_orders, has_market_data) = match seat.carries.as_str() {
            "orders" => (true, false),
            "market_data" => (false, true),
            "both" => (true, true),
            other => {
                let allowed = "\"orders\", \"market_data\" or \"both\"";
                faults.add(format!("{key}.carries"), format!("{other:?}"), allowed);
                (false, false)
            }
        };
        if seats.iter().any(|known| (&known.sender_comp_id, &known.target_comp_id) == ids) {
            faults.add(&key, "the same comp ids", "each pair of comp ids once");
        }
        let schedule = seat.schedule.as_ref().and_then(|raw| {
            raw.read().map_err(|error| times::add(format!("{key}.schedule"), &error, faults)).ok()
        });
        seats.push(SeatConfig {
            sender_comp_id: seat.sender_comp_id.clone(),
            target_comp_id: seat.target_comp_id.clone(),
            participant: seat.participant.clone(),
            has_orders,
            has_market_data,
            cancel_on_disconnect: seat.cancel_on_disconnect,
            credentials: None,
            schedule,
        });
    }
    seats
}

fn openings(
    raw: &RawVenueFile,
    table: &InstrumentTable,
    faults: &mut Faults,
) -> Vec<(String, InstrumentId, Lots)> {
    let mut openings = Vec::new();
    for (participant, sizes) in &raw.opening {
        let key = format!("opening.{participant}");
        if raw.sessions.iter().all(|seat| seat.participant != *participant) {
            faults.add(&key, participant, "a participant of [[sessions]]");
        }
        for (symbol, size) in sizes {
            let key = format!("{key}.{symbol}");
            let Some(instrument) = table.find(symbol) else {
                // What is wrong with one that stands there is told where it stands.
                if raw.instruments.iter().all(|instrument| instrument.symbol != *symbol) {
                    faults.add(key, symbol, "a symbol of [[instruments]]");
                }
                continue;
            };
            let lots = faults.count(&key, size, instrument.spec().lot, i64::MIN);
            openings.extend(lots.map(|lots| (participant.clone(), instrument.id(), Lots(lots))));
        }
    }
    openings
}

#[cfg(test)]
mod tests {
    use super::*;
    use ballast_gateway::session::Schedule;

    const EXAMPLE: &str = include_str!("../../../config/venue.toml");

    #[test]
    fn the_example_is_a_valid_config() {
        let config = VenueConfig::parse(EXAMPLE).map_err(|text| panic!("{text}")).unwrap();
        assert_eq!((config.seats.len(), config.table.instruments.len()), (2, 3));
    }

    #[test]
    fn every_fault_is_told_with_its_key_value_and_what_is_allowed() {
        let broken = EXAMPLE
            .replace("speed = \"1\"", "speed = \"fast\"")
            .replace("queue = \"back_of_queue\"", "queue = \"front\"")
            .replace("tick = \"0.01\"", "tick = \"a cent\"")
            .replace("carries = \"orders\"", "carries = \"news\"\nschedule = SCHEDULE")
            .replace("SCHEDULE", "{ zone = \"UTC\", open = \"25:00:00\", close = \"17:00:00\" }");
        let text = VenueConfig::parse(&broken).err().unwrap();
        for part in ["5 faults", "speed", "\"front\"", "a cent", "carries", "probabilistic_1"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(text.contains("sessions.SIM-OE.BALLAST.schedule = 25:00:00: "), "{text}");
    }

    #[test]
    fn a_session_keeps_the_hours_that_it_is_told() {
        let kept = "carries = \"orders\"\nschedule = { zone = \"UTC\", open = \"08:00:00\", \
                    close = \"17:00:00\", days = \"weekdays\" }";
        let config = VenueConfig::parse(&EXAMPLE.replace("carries = \"orders\"", kept));
        let config = config.map_err(|text| panic!("{text}")).unwrap();
        let times = Schedule::parse("UTC", "08:00:00", "17:00:00", Some("weekdays")).unwrap();
        assert_eq!(config.seats[1].schedule, Some(times));
        assert_eq!(config.seats[0].schedule, None);
    }

    const CHAIN: &str = r#"
[[chains]]
symbol = "BTC-20260327-{strike}-{right}"
calls = ["70000", "80000"]
puts = ["50000"]
expiry = "2026-03-27T08:00:00Z"
style = "european"
delivery = "cash"
reference = "BTCUSDT-PERP"
venue = "sim"
underlying = "BTC"
tick = "5"
lot = "0.1"
multiplier = "1"
base = "BTC"
quote = "USDT"
maker_fee_bps = "3"
taker_fee_bps = "3"
"#;

    #[test]
    fn a_chain_is_an_instrument_for_every_strike_and_has_no_makers_settings() {
        let config = VenueConfig::parse(&format!("{EXAMPLE}{CHAIN}")).unwrap();
        let option = config.table.find("BTC-20260327-50000-P").unwrap();
        assert_eq!((config.table.instruments.len(), option.id()), (6, InstrumentId(5)));
        assert!(option.option().is_some());
        let maker: toml::Table = include_str!("../../../config/es-options.toml").parse().unwrap();
        let chains = toml::Table::from_iter([("chains".to_owned(), maker["chains"].clone())]);
        let text = VenueConfig::parse(&format!("{EXAMPLE}{chains}")).err().unwrap();
        assert!(text.contains("}.settings = a table: nothing: what a maker does"), "{text}");
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let text = VenueConfig::parse(&format!("lissten = []\n{EXAMPLE}")).err().unwrap();
        assert!(text.contains("lissten"), "{text}");
    }
}
