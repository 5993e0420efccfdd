//! Lean's minute bars: quote, trade and open-interest csv in a zip a day, for crypto, futures, their
//! options, index options and indices.
//!
//! Fed by files under a Lean `Data` folder, whose path says the market (`…/future/cme/minute/es/…`);
//! feeds option chains and bar-driven tapes. Any one thread. All times come out in UTC: the files
//! are UTC, New York (index options) or Chicago (indices). Prices come out in units: index options
//! are written in 1/10000, a member's strike always is. Deliberately absent: filling the minutes
//! without a row (only changes are stored; the reader of a moment takes the last row before it).

pub mod archive;
pub mod bars;
pub mod chain;
pub mod funding;

use archive::{Archive, ArchiveError};
use ballast_engine::calibration::options::OptionType;
use ballast_engine::units::{Decimal, Nanos};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A bar covers one minute from its time.
pub const BAR_NS: u64 = 60_000_000_000;
const DAY_MS: u64 = 86_400_000;
/// US rules since 2007, which covers every recording. The database of time zones would be a file.
const NEW_YORK: &str = "EST5EDT,M3.2.0,M11.1.0";
const CHICAGO: &str = "CST6CDT,M3.2.0,M11.1.0";
/// Digits behind the point in the integers that stand for strikes and index option prices.
const SCALE_DIGITS: u8 = 4;

/// What a Lean file was not read for. Each names the file; rows count from 1.
#[derive(Debug, Error)]
pub enum LeanError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The zip is broken.
    #[error("{path}: {source}")]
    Archive {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: ArchiveError,
    },
    /// The path does not say the market.
    #[error(
        "{path}: no folder of the path is crypto, cryptofuture, future, futureoption, index or indexoption"
    )]
    Market {
        /// Which file.
        path: PathBuf,
    },
    /// A member is not named as Lean names members.
    #[error("{path}: member {member} is not named DATE_SYMBOL_minute_KIND…")]
    Name {
        /// Which file.
        path: PathBuf,
        /// Which member.
        member: String,
    },
    /// A row is not a bar.
    #[error("{path}: {member} row {row}: {reason}")]
    Row {
        /// Which file.
        path: PathBuf,
        /// Which member.
        member: String,
        /// Which row, from 1.
        row: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// The market that a folder of Lean's tree holds; it decides the clock and the price scale.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeanMarket {
    /// Spot coins: UTC.
    Crypto,
    /// Perpetuals: UTC.
    CryptoFuture,
    /// Dated futures: UTC.
    Future,
    /// Options on futures: UTC, prices in units.
    FutureOption,
    /// Index levels: Chicago. Not tradable.
    Index,
    /// Index options: New York, prices in 1/10000.
    IndexOption,
}

impl LeanMarket {
    fn of(path: &Path) -> Option<LeanMarket> {
        path.iter().rev().find_map(|folder| match folder.to_str()? {
            "crypto" => Some(LeanMarket::Crypto),
            "cryptofuture" => Some(LeanMarket::CryptoFuture),
            "future" => Some(LeanMarket::Future),
            "futureoption" => Some(LeanMarket::FutureOption),
            "index" => Some(LeanMarket::Index),
            "indexoption" => Some(LeanMarket::IndexOption),
            _ => None,
        })
    }

    /// The clock of the files' times.
    fn zone(self) -> TimeZone {
        match self {
            LeanMarket::Crypto
            | LeanMarket::CryptoFuture
            | LeanMarket::Future
            | LeanMarket::FutureOption => TimeZone::UTC,
            LeanMarket::Index => posix(CHICAGO),
            LeanMarket::IndexOption => posix(NEW_YORK),
        }
    }

    const fn price_digits(self) -> u8 {
        match self {
            LeanMarket::IndexOption => SCALE_DIGITS,
            LeanMarket::Crypto
            | LeanMarket::CryptoFuture
            | LeanMarket::Future
            | LeanMarket::FutureOption
            | LeanMarket::Index => 0,
        }
    }
}

fn posix(rule: &str) -> TimeZone {
    TimeZone::posix(rule).expect("the rules above are POSIX time zones")
}

/// UTC of a local time; where clocks went back, the first of the two.
fn utc(date: Date, time: Time, zone: TimeZone) -> Option<Nanos> {
    let zoned = DateTime::from_parts(date, time).to_zoned(zone).ok()?;
    u64::try_from(zoned.timestamp().as_nanosecond()).ok().map(Nanos)
}

/// What the rows of a member are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeanKind {
    /// Bid and ask bars.
    Quote,
    /// Trade bars.
    Trade,
    /// Open interest.
    OpenInterest,
}

/// An option's terms, from its member's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeanOption {
    /// Call or put.
    pub option_type: OptionType,
    /// May be exercised before expiry.
    pub is_american: bool,
    /// In units of the underlying's price.
    pub strike: Decimal,
    /// Day of expiry.
    pub expiry: Date,
}

/// One member: a day of one contract.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeanMember {
    /// The member's name in the archive.
    pub name: String,
    /// Local day of its times.
    pub date: Date,
    /// `es`, `spxw`, `btcusdt`.
    pub symbol: String,
    /// What its rows are.
    pub kind: LeanKind,
    /// A future's month of delivery: year and month.
    pub contract_month: Option<(i16, i8)>,
    /// An option's terms.
    pub option: Option<LeanOption>,
}

/// Open, high, low, close of one minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bar {
    /// First.
    pub open: Decimal,
    /// Highest.
    pub high: Decimal,
    /// Lowest.
    pub low: Decimal,
    /// Last.
    pub close: Decimal,
    /// Quotes: the last size. Trades: the volume.
    pub size: Decimal,
}

/// One minute of quotes; a side without a quote is `None`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuoteBar {
    /// Start of the minute, UTC. Its closes are known [`BAR_NS`] later.
    pub starts_at: Nanos,
    /// Bids.
    pub bid: Option<Bar>,
    /// Asks.
    pub ask: Option<Bar>,
}

/// One minute of trades.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TradeBar {
    /// Start of the minute, UTC.
    pub starts_at: Nanos,
    /// Prices and volume.
    pub bar: Bar,
}

/// One zip of Lean's: the members of a day.
pub struct LeanFile {
    path: PathBuf,
    market: LeanMarket,
    archive: Archive,
    members: Vec<LeanMember>,
}

impl LeanFile {
    /// Opens a zip and reads its members' names.
    ///
    /// # Errors
    /// See [`LeanError`].
    pub fn open(path: &Path) -> Result<LeanFile, LeanError> {
        let io = |source| LeanError::Io { path: path.into(), source };
        let bytes = std::fs::read(path).map_err(io)?;
        LeanFile::from_bytes(path, bytes)
    }

    /// [`LeanFile::open`] of bytes that were read already.
    ///
    /// # Errors
    /// See [`LeanError`].
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<LeanFile, LeanError> {
        let market = LeanMarket::of(path).ok_or_else(|| LeanError::Market { path: path.into() })?;
        let broken = |source| LeanError::Archive { path: path.into(), source };
        let archive = Archive::new(bytes).map_err(broken)?;
        let members = archive
            .names()
            .map(|name| {
                member(name)
                    .ok_or_else(|| LeanError::Name { path: path.into(), member: name.into() })
            })
            .collect::<Result<_, _>>()?;
        Ok(LeanFile { path: path.into(), market, archive, members })
    }

    /// The market of the file's folder.
    pub fn market(&self) -> LeanMarket {
        self.market
    }

    /// The members, in the archive's order.
    pub fn members(&self) -> &[LeanMember] {
        &self.members
    }

    /// The quote bars of a member.
    ///
    /// # Errors
    /// A broken member or row.
    pub fn quotes(&self, member: &LeanMember) -> Result<Vec<QuoteBar>, LeanError> {
        self.rows(member, |starts_at, fields, digits| {
            let fields: &[&str; 10] = fields.try_into().map_err(|_| "has not 11 fields")?;
            let [bo, bh, bl, bc, bs, ao, ah, al, ac, size] = *fields;
            Ok(QuoteBar {
                starts_at,
                bid: side([bo, bh, bl, bc, bs], digits)?,
                ask: side([ao, ah, al, ac, size], digits)?,
            })
        })
    }

    /// The trade bars of a member.
    ///
    /// # Errors
    /// A broken member or row.
    pub fn trades(&self, member: &LeanMember) -> Result<Vec<TradeBar>, LeanError> {
        self.rows(member, |starts_at, fields, digits| {
            let fields: &[&str; 5] = fields.try_into().map_err(|_| "has not 6 fields")?;
            let bar = side(*fields, digits)?.ok_or("has no price")?;
            Ok(TradeBar { starts_at, bar })
        })
    }

    fn rows<T>(
        &self,
        member: &LeanMember,
        parse: impl Fn(Nanos, &[&str], u8) -> Result<T, &'static str>,
    ) -> Result<Vec<T>, LeanError> {
        let broken = |source| LeanError::Archive { path: self.path.clone(), source };
        let bytes = self.archive.read(&member.name).map_err(broken)?.unwrap_or_default();
        let fault = |row, reason| LeanError::Row {
            path: self.path.clone(),
            member: member.name.clone(),
            row,
            reason,
        };
        let text = std::str::from_utf8(&bytes).map_err(|_| fault(1, "is not text"))?;
        let zone = self.market.zone();
        let digits = self.market.price_digits();
        let mut last_ms = 0;
        let mut rows = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let fault = |reason| fault(index + 1, reason);
            let fields: Vec<&str> = line.split(',').collect();
            let (ms, fields) = fields.split_first().ok_or_else(|| fault("is empty"))?;
            let ms: u64 = ms.parse().map_err(|_| fault("has no time in milliseconds"))?;
            if ms >= DAY_MS {
                return Err(fault("has a time beyond its day"));
            }
            if ms < last_ms {
                return Err(fault("has a time before the row in front of it"));
            }
            last_ms = ms;
            let starts_at =
                local(member.date, ms, &zone).ok_or_else(|| fault("has no such time"))?;
            rows.push(parse(starts_at, fields, digits).map_err(fault)?);
        }
        Ok(rows)
    }
}

/// UTC of so many milliseconds after midnight on the clock of the zone.
fn local(date: Date, ms: u64, zone: &TimeZone) -> Option<Nanos> {
    let ms = u32::try_from(ms).ok()?;
    let part = |per: u32, of: u32| i8::try_from(ms / per % of).ok();
    let nanos = i32::try_from(ms % 1000).ok()?.checked_mul(1_000_000)?;
    let time = Time::new(part(3_600_000, 24)?, part(60_000, 60)?, part(1000, 60)?, nanos).ok()?;
    utc(date, time, zone.clone())
}

/// Five fields of one side; `None` where its prices are empty (its size is 0 then).
fn side(fields: [&str; 5], digits: u8) -> Result<Option<Bar>, &'static str> {
    let [open, high, low, close, size] = fields;
    if [open, high, low, close].iter().all(|field| field.is_empty()) {
        return Ok(None);
    }
    Ok(Some(Bar {
        open: number(open, digits)?,
        high: number(high, digits)?,
        low: number(low, digits)?,
        close: number(close, digits)?,
        size: number(size, 0)?,
    }))
}

/// A decimal, moved `digits` behind the point.
fn number(text: &str, digits: u8) -> Result<Decimal, &'static str> {
    let number = Decimal::parse(text.as_bytes()).map_err(|_| "has a field that is no number")?;
    let scale = number.scale + digits;
    if scale > Decimal::SCALE_MAX {
        return Err("has a field with too many digits");
    }
    Ok(Decimal { scale, ..number })
}

/// What a member's name says: `DATE_SYMBOL_minute_KIND[_MONTH | _STYLE_TYPE_STRIKE_EXPIRY | _perp].csv`.
fn member(name: &str) -> Option<LeanMember> {
    let stem = name.strip_suffix(".csv")?;
    let mut parts = stem.split('_');
    let date = day(parts.next()?)?;
    let symbol = parts.next()?.to_owned();
    if parts.next()? != "minute" {
        return None;
    }
    let kind = match parts.next()? {
        "quote" => LeanKind::Quote,
        "trade" => LeanKind::Trade,
        "openinterest" => LeanKind::OpenInterest,
        _ => return None,
    };
    let rest: Vec<&str> = parts.collect();
    let (contract_month, option) = match rest.as_slice() {
        [] | ["perp"] => (None, None),
        [month] => (Some(year_month(month)?), None),
        [style, right, strike, expiry] => {
            let is_american = match *style {
                "american" => true,
                "european" => false,
                _ => return None,
            };
            let option_type = match *right {
                "call" => OptionType::Call,
                "put" => OptionType::Put,
                _ => return None,
            };
            let mantissa = strike.parse().ok().filter(|strike| *strike > 0)?;
            let strike = Decimal { mantissa, scale: SCALE_DIGITS };
            (None, Some(LeanOption { option_type, is_american, strike, expiry: day(expiry)? }))
        }
        _ => return None,
    };
    Some(LeanMember { name: name.into(), date, symbol, kind, contract_month, option })
}

fn day(text: &str) -> Option<Date> {
    let (year_month_digits, day) = text.split_at_checked(6)?;
    let (year, month) = year_month(year_month_digits)?;
    if day.len() != 2 {
        return None;
    }
    Date::new(year, month, day.parse().ok()?).ok()
}

fn year_month(text: &str) -> Option<(i16, i8)> {
    let (year, month) = text.split_at_checked(4)?;
    let month = month.parse().ok().filter(|m| text.len() == 6 && (1..=12).contains(m))?;
    Some((year.parse().ok()?, month))
}

/// The rate in force on `date`, a year: the US discount window's primary credit rate of Lean's
/// `alternative/interest-rate/usa/interest-rate.csv`; `None` before its first row.
///
/// # Errors
/// A file or row that cannot be read.
pub fn interest_rate(path: &Path, date: Date) -> Result<Option<f64>, LeanError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| LeanError::Io { path: path.into(), source })?;
    let mut rate = None;
    for (index, line) in text.lines().enumerate().skip(1) {
        let row = line.split_once(',').and_then(|(since, percent)| {
            Some((since.parse::<Date>().ok()?, percent.trim().parse::<f64>().ok()?))
        });
        let Some((since, percent)) = row else {
            let reason = "is not DATE,PERCENT";
            let member = String::new();
            return Err(LeanError::Row { path: path.into(), member, row: index + 1, reason });
        };
        if since <= date {
            rate = Some(percent / 100.0);
        }
    }
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::archive::tests::zip;
    use super::*;

    fn file(path: &str, member: &str, rows: &str) -> Result<LeanFile, LeanError> {
        LeanFile::from_bytes(Path::new(path), zip(&[(member, rows)]))
    }

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    const NEW_YEAR_2021_UTC: u64 = 1_609_459_200;

    #[test]
    fn an_index_option_is_in_new_york_time_and_ten_thousandths() {
        let file = file(
            "Data/indexoption/usa/minute/spxw/20210104_quote_european.zip",
            "20210104_spxw_minute_quote_european_call_37000000_20210106.csv",
            "34200000,651000,671000,635000,649000,48,692000,707000,674000,679000,15\n",
        )
        .unwrap();
        let member = &file.members()[0];
        let option = member.option.unwrap();
        assert_eq!(option.strike.count_of(decimal("1")), Ok(3700));
        assert_eq!((option.option_type, option.is_american), (OptionType::Call, false));
        let bars = file.quotes(member).unwrap();
        // 09:30 in New York is 14:30 UTC in January.
        let seconds = NEW_YEAR_2021_UTC + 3 * 86_400 + 14 * 3600 + 1800;
        assert_eq!(bars[0].starts_at, Nanos(seconds * 1_000_000_000));
        let bid = bars[0].bid.unwrap();
        assert_eq!(bid.close.count_of(decimal("0.1")), Ok(649));
        assert_eq!(bid.size, decimal("48"));
    }

    #[test]
    fn an_index_is_in_chicago_time_and_units() {
        let file = file(
            "Data/index/usa/minute/spx/20210104_trade.zip",
            "20210104_spx_minute_trade.csv",
            "30600000,3764.61,3769.99,3764.61,3766.63,59",
        )
        .unwrap();
        let bars = file.trades(&file.members()[0]).unwrap();
        // The index's 30600000 is the options' 34200000.
        let seconds = NEW_YEAR_2021_UTC + 3 * 86_400 + 14 * 3600 + 1800;
        assert_eq!(bars[0].starts_at, Nanos(seconds * 1_000_000_000));
        assert_eq!(bars[0].bar.close, decimal("3766.63"));
    }

    #[test]
    fn a_side_without_a_quote_is_none() {
        let file = file(
            "Data/futureoption/cme/minute/es/202003/20200105_quote_american.zip",
            "20200105_es_minute_quote_american_put_30000000_20200320.csv",
            "82500000,,,,,0,264.75,264.75,264.75,264.75,1\n82800000,1,1,1,1,0.3,,,,,0",
        )
        .unwrap();
        let bars = file.quotes(&file.members()[0]).unwrap();
        assert!(bars[0].bid.is_none() && bars[0].ask.is_some());
        assert!(bars[1].bid.is_some() && bars[1].ask.is_none());
    }

    #[test]
    fn a_broken_row_is_named() {
        let rows = |text: &str| {
            let file = file(
                "Data/future/cme/minute/es/20200106_quote.zip",
                "20200106_es_minute_quote_202003.csv",
                text,
            )
            .unwrap();
            let error = file.quotes(&file.members()[0]).unwrap_err();
            error.to_string()
        };
        let good = "60000,1,1,1,1,1,1,1,1,1,1\n";
        for (bad, why) in [
            ("0,1,1,1,1,1,1,1,1,1,1", "row 2: has a time before"),
            ("86400000,1,1,1,1,1,1,1,1,1,1", "beyond its day"),
            ("60000,1,1,1,1,1,1,1,1,1", "has not 11 fields"),
            ("60000,1,1,,1,1,1,1,1,1,1", "no number"),
            ("60000,1,1,1,1e3,1,1,1,1,1,1", "no number"),
            ("x,1,1,1,1,1,1,1,1,1,1", "no time"),
            ("", "no time"),
        ] {
            let error = rows(&format!("{good}{bad}\n{good}"));
            assert!(error.contains(why) && error.contains("20200106_quote.zip"), "{error}");
        }
    }

    #[test]
    fn names_that_lean_does_not_write_are_refused() {
        for name in [
            "20200106_es_minute_quote_202013.csv",
            "20201306_es_minute_quote_202003.csv",
            "20200106_es_hour_quote_202003.csv",
            "20200106_es_minute_depth_202003.csv",
            "20200106_es_minute_quote_american_call_0_20200320.csv",
            "20200106_es_minute_quote_asian_call_1_20200320.csv",
            "20200106_es_minute_quote_202003",
            "",
        ] {
            assert_eq!(member(name), None, "{name}");
        }
        let perp = member("20221213_btcusd_minute_quote_perp.csv").unwrap();
        assert_eq!((perp.symbol.as_str(), perp.contract_month), ("btcusd", None));
        assert!(matches!(
            file("elsewhere/20200106_quote.zip", "20200106_es_minute_quote_202003.csv", ""),
            Err(LeanError::Market { .. })
        ));
    }
}
