//! The Ballast process of a simulation: its stages and its journal, and what a kill leaves of them.
//!
//! Started by the loop, from nothing or from what the process before left; turned by it. A process knows
//! its host's clock alone, which it read when it started. One thread. Deliberately absent: the network and
//! the venue, which live on when it dies.

use super::SimulationError;
use super::alarm::Alarm;
use super::diary::{self, Diary};
use super::network::{Link, Net, WireDial};
use super::tap::{PlantedBug, Tap};
use crate::config::ConfigFile;
use crate::config::file::RawSession;
use crate::live::{self, Ends};
use crate::recovery::{self, Told};
use ballast_engine::clock::Counter;
use ballast_engine::event::{MarketEvent, OrderEvent, OrderIntent, VenueId};
use ballast_engine::journal::header::Header;
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::journal::record::Record as Entry;
use ballast_engine::maker::Maker;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::input::Control;
use ballast_engine::maker::resumption::Resumption;
use ballast_engine::maker::stage::{MakerStage, Telemetry, TimeBase as MakerTime};
use ballast_engine::orders::order::Order;
use ballast_engine::ring::{self, Consumer, Producer, RecordConsumer};
use ballast_engine::stage::{Stage, Turn};
use ballast_engine::units::Nanos;
use ballast_gateway::market_data::{Feed, FeedConfig};
use ballast_gateway::order_entry::earlier::deliver_from;
use ballast_gateway::order_entry::exec_ids::ExecIds;
use ballast_gateway::order_entry::{OrderEntry, OrderEntryConfig};
use ballast_gateway::session::{ReconnectConfig, Role, Session, SessionConfig};
use ballast_gateway::store::{MemoryStore, Store};
use ballast_gateway::venue::dialect::{Reconciliation, Rules};
use ballast_gateway::venue::plain;
use ballast_gateway::venue::symbols::Symbols;
use ballast_gateway::venue::time_base::TimeBase;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const SECOND_NS: u64 = 1_000_000_000;
/// Order events that the tap's ring holds: few, so that a full one is seen.
const TAPPED_EVENTS: usize = 8;
/// ExecIDs that are remembered.
const EXEC_IDS: usize = 1 << 16;
/// Inputs after which the planted bug hears no market.
const HEARD_INPUTS: u64 = 10_000;
/// Stages of a process that its turns are counted by.
pub const STAGES: u64 = 4;
/// As live: a plain venue is asked for all that it knows.
const RULES: Rules = Rules { reconciliation: Reconciliation::ALL, ..plain::RULES };

/// What outlives a process: its disk.
pub struct Remains {
    /// Messages of the order session.
    pub store: Arc<MemoryStore>,
    /// The ExecIDs that were heard.
    pub exec_ids: Option<ExecIds>,
    /// What of the journal was written, and the inputs in it where it was ended in order.
    pub journal: (Vec<u8>, Option<u64>),
}

/// How the run before ended, and what is wrong with its journal, if anything is.
pub type Ended = (Told, Option<String>);

/// How a process is started.
#[derive(Clone, Copy)]
pub struct Start {
    /// The run's number.
    pub epoch: u32,
    /// By the host's clock.
    pub at: Nanos,
    /// What a test planted.
    pub bug: Option<PlantedBug>,
}

/// All stages of one run.
pub struct Process {
    feed: Feed<WireDial, MemoryStore>,
    entry: OrderEntry<WireDial, Arc<MemoryStore>>,
    maker: MakerStage,
    is_done: bool,
    /// The rings between maker and order entry.
    pub tap: Tap,
    /// The operator's way in.
    pub control: Producer<Control>,
    /// What the maker journals.
    pub journal: RecordConsumer<Entry>,
    /// What it tells.
    pub telemetry: RecordConsumer<Telemetry>,
    /// Where the journal goes.
    pub diary: Diary,
    /// What its operator is told.
    pub alarm: Alarm,
}

fn session<S: Store>(raw: &RawSession, store: S) -> Session<S> {
    let mut config = SessionConfig::new(Role::Initiator, &raw.sender_comp_id, &raw.target_comp_id);
    config.heart_bt_int_s = raw.heartbeat_s;
    config.reset_on_logon = raw.reset_on_logon;
    // As live: a quote that did not arrive then is wrong now.
    config.resends_messages = false;
    Session::new(config, store)
}

/// The market data stage.
fn feed(
    config: &MakerConfig,
    net: &Net,
    raw: &RawSession,
    symbols: &Symbols,
    ring: Producer<MarketEvent>,
) -> Feed<WireDial, MemoryStore> {
    let settings = FeedConfig {
        market_depth: 0,
        levels_max: config.book_levels_max,
        entries_max: 4096,
        time_base: TimeBase::Arrival,
        ask_again_ns: 2 * SECOND_NS,
        redial: ReconnectConfig::default(),
    };
    let line = (WireDial::new(net.clone(), Link::Feed), session(raw, MemoryStore::outbound_only()));
    Feed::new(settings, line, (symbols.clone(), RULES), ring, None)
}

/// The order entry stage, with what the run before left.
fn entry(
    config: &MakerConfig,
    epoch: u32,
    (dial, raw): (WireDial, &RawSession),
    symbols: Symbols,
    rings: (Consumer<OrderIntent>, Producer<OrderEvent>),
    remains: Option<Remains>,
) -> Result<OrderEntry<WireDial, Arc<MemoryStore>>, SimulationError> {
    let settings = OrderEntryConfig {
        epoch,
        orders_max: config.orders_max,
        time_base: TimeBase::Arrival,
        account: None,
        redial: ReconnectConfig::default(),
        wind_down_ns: 2 * SECOND_NS,
    };
    let resumption = config.resumption.as_ref();
    let delivered = resumption.and_then(|r| r.delivered.iter().find(|d| d.venue == VenueId(0)));
    let (store, heard) = match remains {
        Some(remains) => (remains.store, remains.exec_ids),
        None => (Arc::default(), None),
    };
    let from = deliver_from(&store, delivered.copied());
    let exec_ids = match heard {
        Some(heard) => heard.carried_on((store.created_at(), from)),
        None => ExecIds::new(EXEC_IDS),
    };
    let exec_ids = exec_ids.beginning_with(epoch);
    let line = (dial, session(raw, store));
    let mut entry = OrderEntry::new(settings, line, (symbols, RULES), exec_ids, rings, None)?;
    let orders: Vec<Order> = resumption.map_or(Vec::new(), |r| r.orders.clone());
    let renamed = resumption.map_or(&[][..], |r| r.renamed.as_slice());
    entry.resume(&orders, renamed, from);
    Ok(entry)
}

/// Where this run begins: as the config says, or where the one before ended.
fn beginning(
    file: &ConfigFile,
    epoch: u32,
    remains: Option<&Remains>,
) -> Result<(MakerConfig, Option<Ended>), SimulationError> {
    let mut config = file.maker(epoch)?;
    let Some(remains) = remains else {
        let mut resumption = Resumption::default();
        resumption.open_as(&config);
        resumption.begin(&mut config);
        return Ok((config, None));
    };
    let path = Path::new(diary::NAME);
    let (journal, whole) = &remains.journal;
    let reader = JournalReader::over(&journal[..], path)?;
    let open = |_: &str| Ok(Some(Arc::clone(&remains.store)));
    let every = diary::SNAPSHOT_INPUTS;
    let (told, proof) = recovery::go_on((reader, path), every, &open, file, &mut config)?;
    Ok((config, Some((told, diary::judge(&proof, *whole)))))
}

/// This run's journal, begun on an empty disk.
fn begin_diary(
    file: &ConfigFile,
    config: &MakerConfig,
    start: Start,
) -> Result<Diary, SimulationError> {
    let header = Header {
        epoch: start.epoch,
        started: start.at,
        binary: env!("CARGO_PKG_VERSION").to_owned(),
        config: file.text.clone(),
        resumption: config.resumption.clone(),
    };
    Ok(Diary::new(&header, start.bug == Some(PlantedBug::TornJournal))?)
}

impl Process {
    /// Starts a run on `file`; says how the run before ended, where there was one.
    ///
    /// # Errors
    /// The built-in world is wrong, or what the run before left cannot be gone on from.
    pub fn start(
        net: &Net,
        file: &ConfigFile,
        start: Start,
        remains: Option<Remains>,
    ) -> Result<(Process, Option<Ended>), SimulationError> {
        let (config, ended) = beginning(file, start.epoch, remains.as_ref())?;
        let diary = begin_diary(file, &config, start)?;
        let alarm = Alarm::new(&config, start.bug);
        let wired = live::wire_maker(&config, MakerTime::Clock, 0, Counter::monotonic());
        let (maker, ends) = wired.map_err(SimulationError::Maker)?;
        let Ends { mut orders, control, mut market, mut intents, journal, telemetry, .. } = ends;
        let (Some(events_out), Some(market), Some(intents_in)) =
            (orders.pop(), market.pop(), intents.pop())
        else {
            return Err(SimulationError::NoVenue);
        };
        let symbols = Symbols::new(VenueId(0), &config.instruments)?;
        let raw = &file.raw.venues[0];
        let (intents_out, intents) = ring::slots(1024);
        let (events, events_in) = ring::slots(TAPPED_EVENTS);
        let feed = feed(&config, net, &raw.market_data, &symbols, market);
        let line = (WireDial::new(net.clone(), Link::Orders), &raw.order_entry);
        let entry = entry(&config, start.epoch, line, symbols, (intents, events), remains)?;
        let rings = (intents_in, intents_out, events_in, events_out);
        let tap = Tap::new(rings, start.bug);
        let process = Process {
            feed,
            entry,
            maker,
            is_done: false,
            tap,
            control,
            journal,
            telemetry,
            diary,
            alarm,
        };
        Ok((process, ended))
    }

    /// One turn of the stage at a place below [`STAGES`]; `see` is shown each intent that goes out.
    pub fn turn(
        &mut self,
        place: u64,
        (host, world): (Nanos, Nanos),
        is_killed: bool,
        see: impl FnMut(&OrderIntent),
    ) -> bool {
        let is_deaf = self.tap.bug == Some(PlantedBug::DeafFeed) && self.inputs() > HEARD_INPUTS;
        match place {
            0 if is_deaf => false,
            0 => self.feed.turn(host) == Turn::Busy,
            1 if self.is_done => false,
            1 => {
                let turn = self.maker.turn(host);
                self.is_done = turn == Turn::Done;
                turn == Turn::Busy
            }
            2 => self.tap.turn(world, is_killed, see),
            _ => self.entry.turn(host) == Turn::Busy,
        }
    }

    /// As an operator's kill begins: nothing that asks for risk goes out any more, whatever of it lies in
    /// the rings.
    pub fn shut(&self) {
        if self.tap.bug != Some(PlantedBug::OrderAfterKillUnseen) {
            self.entry.cancel_switch().shut();
        }
    }

    /// The maker.
    pub fn maker(&self) -> &Maker {
        self.maker.maker()
    }

    /// How many inputs the maker consumed.
    pub fn inputs(&self) -> u64 {
        self.maker.inputs()
    }

    /// The maker was shut down and has nothing out any more.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// The order session.
    pub fn session(&self) -> &Session<Arc<MemoryStore>> {
        self.entry.session()
    }

    /// What is left of it where it dies now, or where it `has_ended` in order.
    pub fn remains(mut self, has_ended: bool) -> Remains {
        let never = (Nanos(u64::MAX), u64::MAX);
        let whole = (has_ended && self.diary.end()).then(|| self.inputs());
        Remains {
            store: self.entry.session().store().clone(),
            // Which of them are to be told again is known when the journal has been read.
            exec_ids: Some(self.entry.desk().exec_ids().carried_over(never)),
            journal: (self.diary.into_disk(), whole),
        }
    }

    /// What it has counted, by name.
    pub fn add_counts(&self, sums: &mut BTreeMap<&'static str, u64>) {
        let counters = self.maker().counters();
        let sessions = [self.feed.session().counters(), self.entry.session().counters()];
        let counts = [
            ("market_events", counters.market_events),
            ("orders", counters.intents[0]),
            ("replaces", counters.intents[1]),
            ("cancels", counters.intents[2]),
            ("fills", counters.fills),
            ("rejected", counters.rejected),
            ("unsent", counters.unsent),
            ("expired_requests", counters.expired_requests),
            ("duplicates", self.entry.desk_counts().duplicates),
            ("duplicate_fills", counters.duplicate_fills),
            ("resends_asked", sessions.iter().map(|s| s.resend_requests_out).sum()),
            ("snapshots", self.feed.counts().snapshots),
            ("stalled_turns", self.entry.counts().stalled_turns),
        ];
        for (name, count) in counts {
            *sums.entry(name).or_default() += count;
        }
    }
}
