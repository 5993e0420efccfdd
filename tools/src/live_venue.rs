//! One venue's two sessions, as the config describes them: the feed and order entry over TCP.
//!
//! Fed by the config; feeds `live.rs` with the two stages. Deliberately absent: rings and threads.

use crate::config::ConfigFile;
use crate::config::file::{RawConfig, RawSession, RawVenue, RunnerKind};
use crate::config::mass_quotes;
use crate::live::LiveError;
use crate::operator::desk::OrderLine;
use crate::session_watch::{SessionWatch, Told};
use crate::state_dir::StateDir;
use crate::venue_session::{self, SessionFault, rules};
use ballast_engine::event::{ExecId, InstrumentId, MarketEvent, OrderEvent, OrderIntent, VenueId};
use ballast_engine::latency::Probe;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::resumption::Delivered;
use ballast_engine::maker::stage::TimeBase as MakerTime;
use ballast_engine::orders::order::Order;
use ballast_engine::ring::{Consumer, Producer};
use ballast_gateway::fix::timestamp::Precision;
use ballast_gateway::market_data::refresh::{ENTRIES_MAX, fit_whole_books};
use ballast_gateway::market_data::{Feed, FeedConfig};
use ballast_gateway::message_log::{LogError, MessageLog, Tape};
use ballast_gateway::order_entry::earlier::deliver_from;
use ballast_gateway::order_entry::exec_ids::ExecIds;
use ballast_gateway::order_entry::{OrderEntry, OrderEntryConfig};
use ballast_gateway::session::{ReconnectConfig, Session, SessionConfig};
use ballast_gateway::store::{FileStore, FileStoreConfig, MemoryStore, Store, SyncPolicy};
use ballast_gateway::transport::{Cut, Tee};
use ballast_gateway::venue::binance::BinanceSession;
use ballast_gateway::venue::dial::SocketDial;
use ballast_gateway::venue::line::TcpDial;
use ballast_gateway::venue::notice::Notices;
use ballast_gateway::venue::symbols::Symbols;
use ballast_gateway::venue::time_base::TimeBase;

/// Dials a venue in clear or in TLS, and logs what passes.
pub type VenueDial = Tee<SocketDial<TcpDial>>;
/// A feed. Its session keeps nothing: a lost book is asked for anew.
pub type VenueFeed = Feed<VenueDial, MemoryStore>;
/// Order entry, with its messages on disk.
pub type VenueOrderEntry = OrderEntry<VenueDial, FileStore>;

/// Who listens to a session beside its stage: the message log, and whoever tells people of troubles and
/// of what the venue announces.
pub type Ears = (Option<Tape>, Told);

/// ExecID(17)s of a session that are remembered.
const EXEC_IDS: usize = 1 << 16;
/// After a run ends: how long order entry waits for the answers to its own last cancels.
const WIND_DOWN_NS: u64 = 2_000_000_000;
/// How long a snapshot may take.
const ASK_AGAIN_NS: u64 = 2_000_000_000;

/// What speaks against one thread for the whole front: where it hangs, nothing of this process can cancel.
pub fn front_warnings(config: &RawConfig) -> Vec<String> {
    let keeps = config.venues.iter().filter(|venue| !rules(venue).cancels_on_disconnect);
    let warning = |venue: &RawVenue| {
        format!(
            "run.runner: \"fused\" is one thread: where it hangs, a kill can only close its connections, and \
             venue {} is not known to cancel on disconnect: its orders would work on; with runner = \
             \"pinned\" order entry cancels from its own index",
            venue.name
        )
    };
    match config.run.runner {
        RunnerKind::Fused => keeps.map(warning).collect(),
        RunnerKind::Pinned => Vec::new(),
    }
}

/// What both stages of a venue are made from.
pub struct Venue<'a> {
    raw: &'a RawVenue,
    config: &'a MakerConfig,
    symbols: Symbols,
    mass_quotes: Vec<(InstrumentId, String)>,
    time: TimeBase,
    sync: SyncPolicy,
    opens_from_config: bool,
}

impl<'a> Venue<'a> {
    /// Venue number `n` of the config.
    pub fn new(
        file: &'a ConfigFile,
        config: &'a MakerConfig,
        n: usize,
        time: MakerTime,
        answer_delay_ns: u64,
    ) -> Result<Venue<'a>, LiveError> {
        let name = file.table.venues.name(n).unwrap_or_default();
        let names = |why: String| LiveError::Names { venue: name.to_owned(), why };
        let raw = file.raw.venues.iter().find(|venue| venue.name == name);
        let raw = raw.ok_or_else(|| names("is not in [[venues]]".into()))?;
        let id = VenueId(u8::try_from(n).unwrap_or(u8::MAX));
        let symbols =
            Symbols::new(id, &config.instruments).map_err(|error| names(error.to_string()))?;
        let time = match time {
            MakerTime::Clock => TimeBase::Arrival,
            MakerTime::Events => TimeBase::Venue { answer_delay_ns },
        };
        let mass_quotes = mass_quotes::groups(&file.raw, &config.instruments, id);
        let sync = file.raw.journal.store_sync();
        let opens_from_config = false;
        Ok(Venue { raw, config, symbols, mass_quotes, time, sync, opens_from_config })
    }

    /// The same where positions and cash are the config's by an operator's word: what the stores hold is in
    /// them.
    pub fn opening_from_config(self, opens_from_config: bool) -> Venue<'a> {
        Venue { opens_from_config, ..self }
    }

    /// What its two sessions are called in messages: market data, order entry.
    pub fn names(&self) -> [String; 2] {
        [
            self.name_of("market_data", &self.raw.market_data),
            self.name_of("order_entry", &self.raw.order_entry),
        ]
    }

    /// The same for its drop copy, where it has one.
    pub fn copy_name(&self) -> Option<String> {
        self.raw.drop_copy.as_ref().map(|session| self.name_of("drop_copy", session))
    }

    /// Its order session, from outside its thread.
    pub fn order_line(&self, entry: &VenueOrderEntry, watch: &SessionWatch, cut: Cut) -> OrderLine {
        let (watch, switch) = (watch.clone(), entry.cancel_switch());
        let cancels_on_disconnect = rules(self.raw).cancels_on_disconnect;
        OrderLine { watch, switch, cut, cancels_on_disconnect }
    }

    fn name_of(&self, purpose: &str, session: &RawSession) -> String {
        let RawSession { address, sender_comp_id, target_comp_id, .. } = session;
        let venue = &self.raw.name;
        format!("venues.{venue} {purpose} at {address} ({sender_comp_id} to {target_comp_id})")
    }

    fn fault(&self, source: SessionFault) -> LiveError {
        LiveError::Session { venue: self.raw.name.clone(), source }
    }

    /// The dial of one session, and where its troubles and its bytes go.
    fn dial(
        &self,
        raw: &RawSession,
        (tape, (trouble, _)): Ears,
        cut: &Cut,
    ) -> Result<VenueDial, LiveError> {
        let tls = venue_session::tls(raw).map_err(|source| self.fault(source))?;
        let hosts = venue_session::hosts(raw).map_err(|source| self.fault(source))?;
        let tcp = TcpDial::to(hosts).with_cut(cut);
        Ok(Tee::new(SocketDial::each(tcp, tls, trouble), tape))
    }

    fn store(&self, state: &StateDir, purpose: &str) -> FileStoreConfig {
        let folder = state.store(&self.raw.name, purpose);
        FileStoreConfig { sync: self.sync, ..FileStoreConfig::new(folder) }
    }

    fn session_config(
        &self,
        raw: &RawSession,
        purpose: BinanceSession,
        notices: &Notices,
    ) -> Result<SessionConfig, LiveError> {
        venue_session::session_config(self.raw, raw, purpose, notices)
            .map_err(|source| self.fault(source))
    }

    /// The ends of its sessions' message logs, where one is asked for: market data, order entry.
    pub fn ears(
        &self,
        log: &mut Option<MessageLog>,
        [feed, entry]: [Told; 2],
    ) -> Result<[Ears; 2], LogError> {
        let mut tape = |purpose: &str| {
            let name = format!("{}-{purpose}", self.raw.name);
            log.as_mut().map(|log| log.session(&name)).transpose()
        };
        Ok([(tape("market-data")?, feed), (tape("order-entry")?, entry)])
    }

    /// The end of the drop copy's message log, where the venue has a drop copy and a log is asked for.
    pub fn copy_ears(
        &self,
        log: &mut Option<MessageLog>,
        watch: Option<&SessionWatch>,
    ) -> Result<Option<Ears>, LogError> {
        let Some(watch) = watch else { return Ok(None) };
        let name = format!("{}-drop-copy", self.raw.name);
        let tape = log.as_mut().map(|log| log.session(&name)).transpose()?;
        Ok(Some((tape, watch.told())))
    }

    /// The market data stage.
    pub fn feed(
        &self,
        ring: Producer<MarketEvent>,
        probe: Probe,
        ears: Ears,
    ) -> Result<VenueFeed, LiveError> {
        let raw = &self.raw.market_data;
        let mut session = self.session_config(raw, BinanceSession::MarketData, &ears.1.1)?;
        // What was missed of a market is not asked for again: a new snapshot says more.
        session.reset_on_logon = true;
        fit_whole_books(&mut session);
        let config = FeedConfig {
            market_depth: rules(self.raw).market_depth,
            levels_max: self.config.book_levels_max,
            entries_max: ENTRIES_MAX,
            time_base: self.time,
            ask_again_ns: ASK_AGAIN_NS,
            redial: ReconnectConfig::default(),
        };
        let dial = self.dial(raw, ears, &Cut::default())?;
        let session = Session::new(session, MemoryStore::outbound_only());
        let (symbols, rules) = (self.symbols.clone(), rules(self.raw));
        Ok(Feed::new(config, (dial, session), (symbols, rules), ring, Some(probe)))
    }

    /// The order entry stage.
    pub fn order_entry(
        &self,
        state: &StateDir,
        rings: (Consumer<OrderIntent>, Producer<OrderEvent>),
        probe: Probe,
        (ears, copy_ears): (Ears, Option<Ears>),
        cut: &Cut,
    ) -> Result<VenueOrderEntry, LiveError> {
        let raw = &self.raw.order_entry;
        let store = self.store(state, "order-entry");
        let mut session = self.session_config(raw, BinanceSession::OrderEntry, &ears.1.1)?;
        if let TimeBase::Venue { .. } = self.time {
            // TransactTime(60) is the maker's time to the simulated venue: in milliseconds, as FIX 4.4
            // has it, an order would reach the matching up to one too early.
            session.sending_time = Precision::Nanos;
        }
        let ids_path = store.folder.join("exec-ids");
        let store = FileStore::open(store)?;
        let has_ids = ids_path.exists();
        let venue = self.symbols.venue();
        let resumption = self.config.resumption.as_ref();
        let delivered = resumption.and_then(|r| r.delivered.iter().find(|d| d.venue == venue));
        let from = deliver_from(&store, delivered.copied());
        let exec_ids = ExecIds::open(&ids_path, EXEC_IDS, (store.created_at(), from))?;
        // Where the ExecIDs are gone nobody could say which of a drop copy's were told.
        let goes_on = resumption.is_some_and(|r| r.epoch > 0) && has_ids && !self.opens_from_config;
        let exec_ids =
            self.exec_ids_after(exec_ids, goes_on, delivered).beginning_with(state.epoch());
        let session = Session::new(session, store);
        let config = OrderEntryConfig {
            epoch: state.epoch(),
            orders_max: self.config.orders_max,
            time_base: self.time,
            account: self.raw.account.clone(),
            redial: ReconnectConfig::default(),
            wind_down_ns: WIND_DOWN_NS,
        };
        let dial = self.dial(raw, ears, cut)?;
        let (symbols, rules) = (self.symbols.clone(), rules(self.raw));
        let mut entry = OrderEntry::new(
            config,
            (dial, session),
            (symbols, rules),
            exec_ids,
            rings,
            Some(probe),
        )
        .map_err(|error| LiveError::Names { venue: self.raw.name.clone(), why: error.to_string() })?
        .with_mass_quotes(&self.mass_quotes);
        if let Some(resumption) = resumption {
            let is_here = |order: &&Order| self.symbols.place_of(order.instrument).is_some();
            let orders: Vec<Order> = resumption.orders.iter().filter(is_here).copied().collect();
            entry.resume(&orders, &resumption.renamed, from);
        }
        let Some(copy) = self.drop_copy(state, copy_ears)? else { return Ok(entry) };
        let entry = entry.with_drop_copy(copy, ReconnectConfig::default());
        Ok(entry.with_copies_taken_up(!goes_on))
    }

    /// What of a drop copy's words the journal before this run has. All of it, where it is not gone on from,
    /// and where there is no copy any more.
    fn exec_ids_after(
        &self,
        exec_ids: ExecIds,
        goes_on: bool,
        delivered: Option<&Delivered>,
    ) -> ExecIds {
        let has_copy = self.raw.drop_copy.is_some();
        let newest = delivered.map_or(Some(ExecId(0)), |delivered| delivered.exec_id);
        let mut exec_ids = exec_ids.forget_copied(newest.filter(|_| goes_on && has_copy));
        if !has_copy {
            exec_ids.forget_copy_mark();
        }
        exec_ids
    }

    /// The session on which the venue repeats the account's reports, where the config has one. Its numbers
    /// are kept as order entry's are; no cut ends it, since no order goes over it.
    fn drop_copy(
        &self,
        state: &StateDir,
        ears: Option<Ears>,
    ) -> Result<Option<(VenueDial, Session<FileStore>)>, LiveError> {
        let (Some(raw), Some(ears)) = (&self.raw.drop_copy, ears) else { return Ok(None) };
        let session = self.session_config(raw, BinanceSession::DropCopy, &ears.1.1)?;
        let store = self.store(state, "drop-copy");
        let session = Session::new(session, FileStore::open(store)?);
        Ok(Some((self.dial(raw, ears, &Cut::default())?, session)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::DialectKind;
    use ballast_engine::clock::Counter;
    use ballast_engine::latency::probe;
    use ballast_engine::ring::slots;

    #[test]
    fn the_session_of_a_feed_takes_a_whole_book_in_one_message() {
        let text = include_str!("../../config/demo.toml").to_owned();
        let file = ConfigFile::parse("t", text).unwrap();
        let config = file.maker(1).unwrap();
        let venue = Venue::new(&file, &config, 0, MakerTime::Clock, 0).unwrap();
        let (probe, _samples) = probe(Counter::monotonic(), 1);
        let feed = venue.feed(slots(1).0, probe, (None, Told::default())).unwrap();
        let session = feed.session().config();
        assert!(session.message_len_max >= 1 << 20 && session.fields_max >= 8 * ENTRIES_MAX);
    }

    #[test]
    fn a_fused_front_is_warned_about_where_a_venue_does_not_cancel_on_disconnect() {
        let told = |runner, dialect| {
            let mut raw = ConfigFile::demo().unwrap().raw;
            raw.run.runner = runner;
            raw.venues[0].dialect = dialect;
            front_warnings(&raw)
        };
        let warnings = told(RunnerKind::Fused, DialectKind::Plain);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].contains("venue sim is not known to cancel"), "{warnings:?}");
        assert!(warnings[0].contains("runner = \"pinned\""), "{warnings:?}");
        assert_eq!(told(RunnerKind::Fused, DialectKind::Deribit), Vec::<String>::new());
        assert_eq!(told(RunnerKind::Pinned, DialectKind::Plain), Vec::<String>::new());
    }
}
