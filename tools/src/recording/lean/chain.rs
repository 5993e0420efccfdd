//! Option chains of a moment, with their future or index, from a Lean `Data` folder.
//!
//! Fed by the bar readers; feeds the volatility surface. Any one thread. A moment's quote is the
//! close of the last bar that had ended, because only changes are stored. Deliberately absent:
//! holidays: an expiry is taken at the hour that its contract settles on an ordinary day.

use super::{BAR_NS, Bar, LeanError, LeanFile, LeanMarket, LeanOption, QuoteBar, TradeBar};
use super::{NEW_YORK, interest_rate, posix, utc};
use ballast_engine::calibration::options::surface::{Chain, Exercise, OptionQuote, Premium};
use ballast_engine::units::{Decimal, Nanos};
use jiff::civil::{Date, Time};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A quote that did not change for so long is not believed any more.
pub const QUOTE_AGE_MAX_NS: u64 = 15 * BAR_NS;
const NS_PER_YEAR: f64 = 365.0 * 86_400.0 * 1e9;

/// One day of one root's options and what they are options on.
pub struct OptionDay {
    /// `es`, `spx`, `spxw`.
    pub root: String,
    /// The day, on the file's clock.
    pub date: Date,
    /// The zip that the option quotes came from.
    pub path: PathBuf,
    /// The rate in force, continuously compounded a year; 0 where the folder has none.
    pub rate: f64,
    options: Vec<(LeanOption, Vec<QuoteBar>)>,
    future: Vec<QuoteBar>,
    index: Vec<TradeBar>,
}

/// A chain and when it expires.
pub struct DatedChain {
    /// Day of expiry.
    pub expiry: Date,
    /// The moment.
    pub expires_at: Nanos,
    /// Level of the index, where there is one: to look at, not to trade.
    pub index: Option<f64>,
    /// The quotes.
    pub chain: Chain,
}

impl OptionDay {
    /// All days of option quotes under a Lean `Data` folder, in order of path.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn load_all(data: &Path) -> Result<Vec<OptionDay>, LeanError> {
        let mut paths = Vec::new();
        for market in ["futureoption", "indexoption"] {
            find_quotes(&data.join(market), &mut paths)?;
        }
        paths.sort();
        let rates = data.join("alternative/interest-rate/usa/interest-rate.csv");
        let mut days = Vec::new();
        for path in paths {
            days.extend(OptionDay::load(data, &rates, &path)?);
        }
        Ok(days)
    }

    fn load(data: &Path, rates: &Path, path: &Path) -> Result<Option<OptionDay>, LeanError> {
        let file = LeanFile::open(path)?;
        let Some(first) = file.members().first().cloned() else { return Ok(None) };
        let mut options = Vec::new();
        for member in file.members() {
            if let Some(option) = member.option {
                options.push((option, file.quotes(member)?));
            }
        }
        let stamp = first.date.strftime("%Y%m%d").to_string();
        let (mut future, mut index) = (Vec::new(), Vec::new());
        if file.market() == LeanMarket::FutureOption {
            // …/futureoption/cme/minute/es/202003/…: the folder names the future underneath.
            let parent = path.parent().unwrap_or(path);
            let month = parent.file_name().and_then(|n| super::year_month(n.to_str()?));
            let tail = parent.parent().unwrap_or(parent);
            let tail = tail.strip_prefix(data.join("futureoption")).unwrap_or(tail);
            let under = data.join("future").join(tail).join(format!("{stamp}_quote.zip"));
            if under.exists() {
                let under = LeanFile::open(&under)?;
                for member in under.members().iter().filter(|m| m.contract_month == month) {
                    future = under.quotes(member)?;
                }
            }
        } else {
            // Weekly roots are options on the index of their first letters: spxw on spx.
            let under = data.join("index/usa/minute").join(first.symbol.trim_end_matches('w'));
            let under = under.join(format!("{stamp}_trade.zip"));
            if under.exists() {
                let under = LeanFile::open(&under)?;
                if let Some(member) = under.members().first() {
                    index = under.trades(member)?;
                }
            }
        }
        let rate = if rates.exists() { interest_rate(rates, first.date)? } else { None };
        // The file's rate is simple; money market rates a year and continuous ones differ little.
        let rate = libm::log1p(rate.unwrap_or(0.0));
        let (root, date) = (first.symbol, first.date);
        Ok(Some(OptionDay { root, date, path: path.into(), rate, options, future, index }))
    }

    /// Start of the first and end of the last minute with an option quote.
    pub fn span(&self) -> Option<(Nanos, Nanos)> {
        let bars = || self.options.iter().flat_map(|(_, bars)| bars).map(|bar| bar.starts_at);
        Some((bars().min()?, bars().max()?.plus(BAR_NS)))
    }

    /// Every two-sided close of the day, with the option and the time at which it was known.
    pub fn two_sided(&self) -> impl Iterator<Item = (&LeanOption, Nanos, OptionQuote)> {
        self.options.iter().flat_map(|(option, bars)| {
            bars.iter().filter_map(move |bar| {
                Some((option, bar.starts_at.plus(BAR_NS), quote(option, bar)?))
            })
        })
    }

    /// The chains of every expiry that is still to come at `at`, in order.
    pub fn chains(&self, at: Nanos) -> Vec<DatedChain> {
        let mut by_expiry: BTreeMap<Date, Vec<(&LeanOption, OptionQuote)>> = BTreeMap::new();
        for (option, bars) in &self.options {
            let bar = last_ended(bars, at, |bar| bar.starts_at);
            if let Some(quote) = bar.and_then(|bar| quote(option, bar)) {
                by_expiry.entry(option.expiry).or_default().push((option, quote));
            }
        }
        let mut chains = Vec::new();
        for (expiry, quotes) in by_expiry {
            let Some(expires_at) = self.expires_at(expiry) else { continue };
            let Some(years) = self.years_to(expiry, at) else { continue };
            let is_american = quotes.iter().any(|(option, _)| option.is_american);
            let exercise =
                if is_american { Exercise::AmericanOnFuture } else { Exercise::European };
            chains.push(DatedChain {
                expiry,
                expires_at,
                index: self.index(at),
                chain: Chain {
                    premium: Premium::Money,
                    years,
                    exercise,
                    future: self.future(at),
                    rate: self.rate,
                    quotes: quotes.into_iter().map(|(_, quote)| quote).collect(),
                },
            });
        }
        chains
    }

    /// Years of 365 days from `at` until an expiry settles; `None` once it has.
    pub fn years_to(&self, expiry: Date, at: Nanos) -> Option<f64> {
        let left = self.expires_at(expiry)?.since(at);
        (left > 0).then_some(left as f64 / NS_PER_YEAR)
    }

    /// Mid of the future underneath, where it was quoted on both sides.
    pub fn future(&self, at: Nanos) -> Option<f64> {
        let bar = last_ended(&self.future, at, |bar| bar.starts_at)?;
        Some(0.5 * (float(bar.bid?.close) + float(bar.ask?.close)))
    }

    /// Last level of the index.
    pub fn index(&self, at: Nanos) -> Option<f64> {
        Some(float(last_ended(&self.index, at, |bar| bar.starts_at)?.bar.close))
    }

    /// When an expiry settles: SPXW at the close, 16:00 in New York; SPX and the quarterly ES
    /// options at the opening of the stock market, 09:30 there.
    fn expires_at(&self, expiry: Date) -> Option<Nanos> {
        let time = if self.root == "spxw" { Time::constant(16, 0, 0, 0) } else { MORNING };
        utc(expiry, time, posix(NEW_YORK))
    }
}

const MORNING: Time = Time::constant(9, 30, 0, 0);

/// All `*_quote_*.zip` below a folder; none where there is no folder.
fn find_quotes(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<(), LeanError> {
    let io = |source| LeanError::Io { path: folder.into(), source };
    if !folder.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.is_dir() {
            find_quotes(&path, paths)?;
        } else if path.extension().is_some_and(|e| e == "zip")
            && path.file_name().is_some_and(|n| n.to_string_lossy().contains("_quote_"))
        {
            paths.push(path);
        }
    }
    Ok(())
}

/// The last bar that had ended at `at` and is not too old.
fn last_ended<T>(bars: &[T], at: Nanos, starts_at: impl Fn(&T) -> Nanos) -> Option<&T> {
    let ended = bars.partition_point(|bar| starts_at(bar).plus(BAR_NS) <= at);
    let bar = bars.get(ended.checked_sub(1)?)?;
    (at.since(starts_at(bar).plus(BAR_NS)) <= QUOTE_AGE_MAX_NS).then_some(bar)
}

fn quote(option: &LeanOption, bar: &QuoteBar) -> Option<OptionQuote> {
    let close = |side: Option<Bar>| side.map(|bar| float(bar.close));
    Some(OptionQuote {
        strike: float(option.strike),
        option_type: option.option_type,
        bid: close(bar.bid)?,
        ask: close(bar.ask)?,
    })
}

/// The nearest double.
fn float(number: Decimal) -> f64 {
    number.to_string().parse().unwrap_or(f64::NAN)
}
