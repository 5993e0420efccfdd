//! The maker's config file as it is written: TOML tables with text for every exact number.
//!
//! Fed by `toml`; feeds `maker.rs` and `sessions.rs`, which validate it. Unknown keys are refused, and
//! a missing limit is an error of the parse: there are no defaults for what protects money.

use super::collateral::RawCollateral;
use super::entries::RawEntries;
use super::firm::RawFirm;
use super::guards::{RawGuards, RawShare};
use super::hedge_basis::RawBasis;
use super::horizon::RawHorizonEnd;
use super::instruments::RawInstrument;
use super::operator::{RawJournal, RawOperator};
use super::option_settings::RawOptions;
use super::option_terms::RawChain;
use super::portfolio::RawShared;
use super::rebalance::RawRebalance;
use super::session_options::RawSessionOptions;
use super::times::RawSchedule;
use super::venue_limits;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    /// Currency of all reports.
    pub reporting: String,
    /// How the process runs.
    pub run: RawRun,
    /// Limits on everything together.
    pub limits: RawPortfolio,
    /// Where it trades.
    pub venues: Vec<RawVenue>,
    /// What is traded.
    pub instruments: Vec<RawInstrument>,
    /// Options that share all but strike and right; they become instruments.
    #[serde(default)]
    pub chains: Vec<RawChain>,
    /// What the maker does with each, by symbol.
    pub instrument: BTreeMap<String, RawSettings>,
    /// Limits and hedging, by underlying.
    pub underlying: BTreeMap<String, RawUnderlying>,
    /// For every other settlement currency: the symbol whose mid converts it.
    #[serde(default)]
    pub conversion: BTreeMap<String, String>,
    /// Other engines of the firm, and where the broker is; left out, there are none.
    pub firm: Option<RawFirm>,
    /// What should be held where; left out: nothing is kept by venue.
    #[serde(default)]
    pub rebalance: Option<RawRebalance>,
    /// What `ballast doctor` checks this host against; the maker does not read it.
    #[serde(default)]
    pub host: Option<toml::Table>,
    /// Who may order, what watches.
    #[serde(default)]
    pub operator: RawOperator,
    /// Size and keeping of the journal.
    #[serde(default)]
    pub journal: RawJournal,
    /// Quotes that share one risk; left out, none do.
    pub portfolio: Option<RawShared>,
    /// What stands behind the positions; left out, it is not watched.
    pub collateral: Option<RawCollateral>,
    /// Cash at the start, by currency.
    #[serde(default)]
    pub opening_cash: BTreeMap<String, String>,
}

/// `[run]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRun {
    /// Journal, FIX stores and the run's number live here; made with mode 0700.
    pub state_dir: PathBuf,
    /// Who runs where.
    pub runner: RunnerKind,
    /// Cores of feed, maker and order entry (fused: the second is the front's); left out, the
    /// scheduler chooses.
    pub cores: Option<[usize; 3]>,
    /// SCHED_FIFO priority of the threads on these cores, 1 to 99; left out, they are ordinary ones. A
    /// system that does not give it ends the start.
    pub priority: Option<u8>,
    /// Everything that is allocated at the start is kept in memory; a host that does not allow that
    /// ends the start.
    #[serde(default)]
    pub lock_memory: bool,
    /// What the maker's time is.
    #[serde(default)]
    pub time: TimeKind,
    /// In what time the maker's timers look after every instrument once.
    pub timer_ms: u64,
    /// Distance of report samples, in the maker's time.
    pub sample_ms: u64,
    /// A request without an answer for so long is in doubt.
    pub ack_timeout_ms: u64,
    /// Refusals in a row that halt an instrument.
    pub rejects_max: u32,
    /// Most orders alive.
    pub orders_max: usize,
    /// Most levels a side of a book.
    pub book_levels_max: usize,
    /// A, k and the micro-price refitted while it runs; left out: as the config has them.
    pub refit: Option<RawRefit>,
}

/// `[run]` `refit = { … }`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawRefit {
    /// Distance of refits.
    pub every_s: u64,
    /// What each rests on.
    pub window_s: u64,
    /// How long before a trade its mid is taken, where books run ahead of trades; left out: not.
    pub lead_ms: Option<u64>,
}

/// How the stages share cores.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunnerKind {
    /// A core each.
    Pinned,
    /// One core for feed, maker and order entry.
    Fused,
}

/// What the maker's time is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeKind {
    /// This host's clock: live trading.
    #[default]
    Clock,
    /// The venue's own, carried in its messages: a recording at any speed.
    Venue,
}

/// `[[venues]]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawVenue {
    /// Name that instruments refer to.
    pub name: String,
    /// How the venue differs from FIX as it is written.
    #[serde(default)]
    pub dialect: DialectKind,
    /// Session that market data comes over.
    pub market_data: RawSession,
    /// Session that orders go over.
    pub order_entry: RawSession,
    /// Session on which the venue repeats every report of the account; may be left out.
    pub drop_copy: Option<RawSession>,
    /// Budget of the order session.
    pub message_rate: RawMessageRate,
    /// The venue's own limits, where they are not its dialect's.
    #[serde(default)]
    pub limits: venue_limits::RawLimits,
    /// What an entry of its market data is, where it is no level.
    #[serde(default)]
    pub entries: RawEntries,
    /// Messages for the trades of a day.
    pub order_to_trade: RawOrderToTrade,
    /// Account(1), in orders and in the question for positions; a plain venue's alone.
    pub account: Option<String>,
    /// What the venue answers after a Logon; left out, all of it at a plain venue and what the dialect
    /// has elsewhere.
    pub reconcile: Option<Vec<ReconcileKind>>,
}

impl RawVenue {
    /// Its sessions by their keys.
    pub fn sessions(&self) -> impl Iterator<Item = (&'static str, &RawSession)> {
        let always = [("market_data", &self.market_data), ("order_entry", &self.order_entry)];
        always.into_iter().chain(self.drop_copy.as_ref().map(|copy| ("drop_copy", copy)))
    }
}

/// A question about our orders and holdings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReconcileKind {
    /// OrderMassCancelRequest(q).
    MassCancel,
    /// OrderMassStatusRequest(AF).
    MassStatus,
    /// OrderStatusRequest(H).
    OrderStatus,
    /// RequestForPositions(AN).
    Positions,
}

/// A venue's dialect of FIX; `gateway/src/venue` has a file for each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DialectKind {
    /// FIX 4.4 as it is written.
    #[default]
    Plain,
    /// Binance spot.
    Binance,
    /// Deribit.
    Deribit,
}

/// `tls = { … }`; `tls = {}` trusts the compiled-in roots and checks the address's host.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTls {
    /// PEM file with the certificates that are trusted instead of the compiled-in roots.
    pub ca: Option<PathBuf>,
    /// The name that the counterparty's certificate must have, where it is not the address's host.
    pub server_name: Option<String>,
    /// PEM file with our certificate, where the counterparty demands one.
    pub client_cert: Option<PathBuf>,
    /// PEM file with its private key, mode 0600.
    pub client_key: Option<PathBuf>,
}

/// A FIX session.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSession {
    /// `host:port`.
    pub address: String,
    /// Further hosts, tried in turn where one does not log us on.
    #[serde(default)]
    pub backups: Vec<String>,
    /// When the session is logged on; left out for always.
    pub schedule: Option<RawSchedule>,
    /// What the counterparty wants beside.
    #[serde(default)]
    pub options: RawSessionOptions,
    /// SenderCompID(49).
    pub sender_comp_id: String,
    /// TargetCompID(56).
    pub target_comp_id: String,
    /// HeartBtInt(108).
    pub heartbeat_s: u32,
    /// Both sequence numbers begin at 1 at every Logon: for venues that keep none.
    #[serde(default)]
    pub reset_on_logon: bool,
    /// Username(553): a name, an API key or a client id.
    pub username: Option<String>,
    /// File with Password(554), mode 0600; never the password itself.
    pub password_file: Option<PathBuf>,
    /// File with what a dialect signs with, mode 0600; never the secret itself.
    pub secret_file: Option<PathBuf>,
    /// In TLS where it is given, in clear where not.
    pub tls: Option<RawTls>,
}

/// `message_rate`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMessageRate {
    /// Most messages in any window.
    pub max: u32,
    /// The window.
    pub window_ms: u64,
    /// How many of them only cancels may use.
    pub cancel_reserve: u32,
}

/// `[limits]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawPortfolio {
    /// Worst case over all instruments, longs and shorts added up, in the reporting currency.
    pub gross_notional_max: String,
    /// Most that a trading day may lose, in the reporting currency.
    pub daily_loss_max: String,
    /// Furthest fall from the day's best, in the reporting currency.
    pub drawdown_max: String,
    /// How long nothing is quoted after a drawdown.
    pub drawdown_cooldown_s: u64,
    /// When the trading day ends: `HH:MM`.
    pub day_end: String,
    /// Where that is said: an IANA time zone.
    pub time_zone: String,
}

/// A count in a sliding window.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWindow {
    /// Most in any window.
    pub max: u32,
    /// The window.
    pub window_ms: u64,
}

/// `order_to_trade`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawOrderToTrade {
    /// Most messages for each fill of the day.
    pub max: u32,
    /// Messages of the day that need no fill.
    pub grace: u32,
}

/// `protection`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawProtection {
    /// Most fills of quotes in the window.
    pub fills_max: u32,
    /// Most net exposure by them, in units of the underlying.
    pub delta_max: String,
    /// The window.
    pub window_ms: u64,
    /// How long nothing is quoted afterwards.
    pub cooldown_ms: u64,
}

/// `[instrument.SYMBOL]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSettings {
    /// Position at the start, in size units.
    #[serde(default)]
    pub opening: Option<String>,
    /// Market data older than this is not believed.
    pub stale_after_ms: u64,
    /// All mandatory.
    pub limits: RawLimits,
    /// Volatility estimate.
    pub volatility: RawVolatility,
    /// What holding it costs; left out: nothing is charged by itself.
    pub standing: Option<RawStanding>,
    /// Left out for an instrument that is only watched or hedged with.
    pub quote: Option<RawQuote>,
    /// What restrains quoting beyond the limits; each of it may be left out.
    pub guards: Option<RawGuards>,
    /// Jumps of the touch that are not believed at once; left out, every touch is.
    pub spike: Option<RawSpike>,
    /// `cancel_new` (left out), `cancel_resting` or `decrement`: who gives way to an order of this
    /// instrument that would meet one of our own.
    pub self_trade: Option<String>,
    /// The symbol whose book this one is too: the same contract over another session.
    pub same_book_as: Option<String>,
}

/// `[instrument.SYMBOL.spike]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSpike {
    /// How far a side of the touch may move in one message, in quote currency.
    pub width: String,
    /// Or so many times σ, where that is further.
    #[serde(default)]
    pub sigmas: u32,
    /// Further messages that confirm a jump.
    pub messages: u32,
    /// A jump that stands so long is confirmed without them.
    pub after_ms: u64,
}

/// `[instrument.SYMBOL.standing]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawStanding {
    /// Hours between the venue's funding instants, counted from midnight UTC.
    pub funding_every_h: Option<u64>,
    /// Of the value at each of them, basis points, until somebody says otherwise; longs pay.
    pub funding_bps: Option<String>,
    /// Size units of the opening that are borrowed.
    pub borrowed: Option<String>,
    /// Of the borrowed value, basis points a day.
    pub borrow_bps_day: Option<String>,
    /// Share of the position's value that is tied up, 0 to 1.
    pub margin: Option<String>,
    /// What tied-up capital costs, basis points a day.
    pub capital_bps_day: Option<String>,
}

/// `[instrument.SYMBOL.limits]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLimits {
    /// Size units.
    pub order_size_max: String,
    /// Quote currency.
    pub order_value_max: String,
    /// Size units, either way, worst case.
    pub position_max: String,
    /// Distance from the mid, in quote currency.
    pub collar: String,
    /// Fills in a window, before a person must look.
    pub executions: RawWindow,
    /// New orders alike in a window.
    pub duplicates: RawWindow,
}

/// `[instrument.SYMBOL.volatility]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawVolatility {
    /// Sampling interval.
    pub interval_ms: u64,
    /// A sample weighs 2^-this.
    pub weight_shift: u32,
    /// Floor and start of σ, in quote currency per √s.
    pub floor: String,
    /// `ewma` (left out), `bipower` or `two_scale`.
    pub kind: Option<String>,
    /// The coarse scale is 2^this intervals; `two_scale` alone.
    pub coarse_shift: Option<u32>,
}

/// `[instrument.SYMBOL.quote.sources]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawSources {
    /// Symbol → weight while fresh; one for a lead, up to four.
    pub books: BTreeMap<String, u32>,
    /// Weight of the instrument's own mid; `consolidated` alone.
    pub own_weight: Option<u32>,
    /// A weight halves with this much silence.
    pub half_life_ms: u64,
    /// Distance of the basis's samples.
    pub basis_interval_ms: u64,
    /// A sample of the basis weighs 2^-this.
    pub basis_weight_shift: u32,
}

/// `[instrument.SYMBOL.quote.markout]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawMarkout {
    /// After how long the mid is looked at: 100, 1000, 10000 or 60000.
    pub horizon_ms: u64,
    /// Which part of the mean move against our fills is added to that side's half-spread, 0 to 1.
    pub share: String,
    /// Most that is added, in quote currency.
    pub cap: String,
    /// A fill weighs 2^-this in the mean.
    pub weight_shift: u32,
}

/// `[instrument.SYMBOL.quote]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawQuote {
    /// Name of the model.
    pub model: String,
    /// `mid`, `weighted_mid`, `micro_price`, `lead` or `consolidated`.
    pub fair_value: String,
    /// The other books that it looks at; `lead` and `consolidated` alone.
    pub sources: Option<RawSources>,
    /// Adjustments of the mid by spread and imbalance, in 2^-32 tick, as `ballast calibrate --json`
    /// prints them; `micro_price` alone.
    pub micro_price: Option<Vec<Vec<i64>>>,
    /// Spread widened by the markouts of our own fills; left out: not at all.
    pub markout: Option<RawMarkout>,
    /// Risk aversion γ, per unit of quote currency and size unit.
    pub gamma: String,
    /// Intensity A at no distance, per second.
    pub intensity: String,
    /// Decay k of the intensity, per unit of quote currency.
    pub decay: String,
    /// Rolling horizon τ in seconds, for the models that have one.
    pub horizon_s: Option<String>,
    /// When the horizon ends, for the two models that count down to an end: they are refused without it.
    pub horizon_end: Option<RawHorizonEnd>,
    /// σ that the table of `glft_exact` is made for, quote currency per √s; it must say it.
    pub table_sigma: Option<String>,
    /// How many orders of `size` the table of `glft_exact` goes either way, 1 to 64; it must say it.
    pub inventory_bound: Option<u32>,
    /// Drift μ of the price, quote currency per second; `glft` and `glft_risk_neutral` alone.
    pub drift: Option<String>,
    /// By how much the price jumps against us with our own fill, ζ, quote currency; these two and
    /// `symmetric` alone.
    pub adverse_jump: Option<String>,
    /// Skew for what the venue holds, beside that for net delta; left out: none.
    pub holdings: Option<RawHoldings>,
    /// Levels a side.
    pub levels: usize,
    /// Size of the innermost level, in size units, and of every level where nothing else is said.
    pub size: String,
    /// What each further level adds to the size.
    pub size_step: Option<String>,
    /// How many times the size of the level before each further level has, such as 1.5; at most three decimals.
    pub size_growth: Option<String>,
    /// Distance between levels, in quote currency; of the first two where it grows.
    pub spacing: String,
    /// How many times the distance before each further distance is, such as 1.5; at most three decimals.
    pub spacing_growth: Option<String>,
    /// Least distance from fair value after fees, in quote currency.
    pub edge_min: String,
    /// A quote closer to the market than wanted by no more than this stays; quote currency.
    pub tolerance_aggressive: String,
    /// A quote further from the market than wanted by no more than this stays; quote currency.
    pub tolerance_passive: String,
    /// Open size may differ by this from what is wanted; size units.
    pub tolerance_size: String,
    /// How long a level rests after a refusal.
    pub reject_holdoff_ms: u64,
    /// The venue's MMP group that it is quoted in by MassQuote(i); left out, by orders of their own.
    pub mmp_group: Option<String>,
}

/// `[instrument.SYMBOL.quote.holdings]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawHoldings {
    /// What the venue should hold, in size units.
    pub target: String,
    /// This far from it the skew is whole, in size units.
    pub full_at: String,
    /// The whole skew, in quote currency.
    pub skew_max: String,
}

/// `[underlying.NAME]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawUnderlying {
    /// Wanted exposure, in units of the underlying.
    pub target: String,
    /// Beyond it one side is quoted.
    pub soft: String,
    /// Beyond it nothing is quoted.
    pub stop: String,
    /// The worst case never passes it.
    pub hard: String,
    /// Fills in a window that pull every quote.
    pub protection: RawProtection,
    /// Stop on its share of the portfolio; left out: none.
    pub share: Option<RawShare>,
    /// Left out for a maker that only quotes.
    pub hedge: Option<RawHedge>,
    /// How its options are valued, quoted and limited; mandatory where it has any.
    pub options: Option<RawOptions>,
}

/// `[underlying.NAME.hedge]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawHedge {
    /// `fixed` (left out) or `derived`.
    pub mode: Option<String>,
    /// No hedge within this; `fixed` alone.
    pub band: Option<String>,
    /// A hedge comes back to this; `fixed` alone.
    pub return_to: Option<String>,
    /// η: what a hedge costs more for each unit of the underlying a second, in the quote currency;
    /// `derived` alone.
    pub eta: Option<String>,
    /// What a hedge of one unit of the underlying moves the price for good, in the quote currency;
    /// `derived` alone.
    pub k_impact: Option<String>,
    /// Whose quotes bring the inventory home, where several instruments are quoted; `derived` alone.
    pub quoted: Option<String>,
    /// Hedges in a row that trade nothing before quoting halts.
    pub failures_max: u32,
    /// How long no hedge is tried after one that traded nothing.
    pub retry_holdoff_ms: u64,
    /// How long a hedge is held: what its funding and capital are counted for when one is chosen; left
    /// out: not at all.
    pub holding_s: Option<u64>,
    /// Which part of a hedge's cost a quote is credited that unwinds what is hedged, 0 to 1.
    pub unwind_credit: Option<String>,
    /// Minimum-variance ratios, and what basis risk costs; left out: one for one, and nothing.
    pub basis: Option<RawBasis>,
    /// Symbol → how far beyond the touch an order may pay, in quote currency.
    pub instruments: BTreeMap<String, String>,
}
