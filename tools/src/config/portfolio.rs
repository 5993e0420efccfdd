//! `[portfolio]`: quotes of correlated underlyings that share one risk.
//!
//! Fed by TOML; feeds the maker with its members and their first rows, and whoever estimates their
//! covariance with the same assets. Cold path. May be left out: then each underlying's quotes know its
//! own inventory alone.

use super::faults::Faults;
use super::file::RawConfig;
use super::instruments::InstrumentTable;
use super::maker::{quote_parameters, real};
use ballast_engine::calibration::closed_form::Xi;
use ballast_engine::calibration::linear::Matrix;
use ballast_engine::calibration::multi_asset::{Asset, Solution, solve};
use ballast_engine::calibration::{CalibrationError, Real};
use ballast_engine::instrument::Instrument;
use ballast_engine::maker::portfolio::PortfolioMember;
use ballast_engine::quote::Model;
use serde::Deserialize;

/// `[portfolio]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawShared {
    /// Quoted symbols, one an underlying.
    pub members: Vec<String>,
    /// Between all of them, until the first covariance.
    pub correlation: String,
    /// Distance of the mids that returns are taken between.
    pub interval_ms: u64,
    /// What a covariance rests on.
    pub window_s: u64,
    /// Distance of covariances.
    pub every_s: u64,
    /// Fewer returns make none.
    pub returns_min: usize,
}

/// What the members' quotes are solved from.
#[derive(Clone, Debug)]
pub struct SharedRisk {
    /// Per unit of currency.
    pub gamma: Real,
    /// ξ = γ, or → 0.
    pub xi: Xi,
    /// In the members' order; σ is the floor of each one's volatility.
    pub assets: Vec<Asset>,
    /// The instruments.
    pub instruments: Vec<Instrument>,
}

impl SharedRisk {
    /// Solved for these volatilities (ticks per √s; `None`: the floors) and correlations.
    ///
    /// # Errors
    /// What the model is not made for.
    pub fn solve(
        &self,
        sigmas: Option<&[f64]>,
        correlations: &Matrix,
    ) -> Result<Solution, CalibrationError> {
        let mut assets = self.assets.clone();
        for (asset, sigma) in assets.iter_mut().zip(sigmas.unwrap_or_default()) {
            asset.sigma = Real::from(*sigma);
        }
        solve(self.gamma, self.xi, &assets, correlations)
    }
}

/// The maker's members; empty where the table is left out or `faults` says why.
pub(super) fn members(
    raw: &RawConfig,
    table: &InstrumentTable,
    faults: &mut Faults,
) -> Vec<PortfolioMember> {
    let Some(shared) = &raw.portfolio else { return Vec::new() };
    let clock = Timing {
        interval_ms: shared.interval_ms,
        window_s: shared.window_s,
        every_s: shared.every_s,
        returns_min: shared.returns_min,
    };
    timing("portfolio", &clock, faults);
    let risk = shared_risk(raw, table, faults);
    let correlation = real("portfolio.correlation", &shared.correlation, faults);
    let (Some(risk), Some(correlation)) = (risk, correlation) else { return Vec::new() };
    if correlation < Real::from(-1.0) || correlation > Real::ONE {
        faults.add("portfolio.correlation", &shared.correlation, "must lie between -1 and 1");
        return Vec::new();
    }
    let count = risk.assets.len();
    let start = Matrix::from_fn(count, count, |i, j| if i == j { Real::ONE } else { correlation });
    match risk.solve(None, &start) {
        Ok(solution) => {
            let instruments = risk.instruments.iter().enumerate();
            let member = |(n, instrument): (usize, &Instrument)| {
                let quoter = solution.quoter(n)?;
                Some(PortfolioMember { instrument: instrument.id(), quoter })
            };
            instruments.filter_map(member).collect()
        }
        Err(error) => {
            faults.add("portfolio", shared.members.join(", "), error);
            Vec::new()
        }
    }
}

/// When mids are sampled, and what is made of how many.
pub(super) struct Timing {
    /// Distance of the mids.
    pub interval_ms: u64,
    /// What an estimate rests on.
    pub window_s: u64,
    /// Distance of estimates.
    pub every_s: u64,
    /// Fewer changes make none.
    pub returns_min: usize,
}

/// Tells what is wrong with a clock.
pub(super) fn timing(key: &str, clock: &Timing, faults: &mut Faults) {
    if clock.interval_ms == 0 || clock.every_s == 0 {
        let value = format!("{} ms, {} s", clock.interval_ms, clock.every_s);
        faults.add(key, value, "interval_ms and every_s must be greater than zero");
        return;
    }
    let most = clock.window_s.saturating_mul(1_000) / clock.interval_ms;
    let least = u64::try_from(clock.returns_min).unwrap_or(u64::MAX);
    if least < 2 || least > most {
        let allowed = format!("2 to {most}: as many as the window has");
        faults.add(format!("{key}.returns_min"), clock.returns_min, allowed);
    }
    if most > 1_000_000 {
        faults.add(format!("{key}.window_s"), clock.window_s, "at most a million intervals");
    }
}

/// What the members are solved from; `None` where the table is left out or `faults` says why.
pub fn shared_risk(
    raw: &RawConfig,
    table: &InstrumentTable,
    faults: &mut Faults,
) -> Option<SharedRisk> {
    let shared = raw.portfolio.as_ref()?;
    let mut found = SharedRisk {
        gamma: Real::ZERO,
        xi: Xi::Gamma,
        assets: Vec::new(),
        instruments: Vec::new(),
    };
    let mut is_whole = true;
    for symbol in &shared.members {
        let key = format!("portfolio.members.{symbol}");
        let Some(instrument) = table.find(symbol) else {
            faults.add(key, symbol, "a symbol of [[instruments]]");
            is_whole = false;
            continue;
        };
        let Some((asset, gamma, xi)) = asset(raw, instrument, &key, faults) else {
            is_whole = false;
            continue;
        };
        if !found.assets.is_empty() && (gamma != found.gamma || xi != found.xi) {
            faults.add(key, symbol, "gamma and model must be the same for all members");
            is_whole = false;
        }
        (found.gamma, found.xi) = (gamma, xi);
        found.assets.push(asset);
        found.instruments.push(instrument.clone());
    }
    is_whole.then_some(found)
}

/// One member in its own ticks, and in size units whose tick is worth one of the currency.
fn asset(
    raw: &RawConfig,
    instrument: &Instrument,
    key: &str,
    faults: &mut Faults,
) -> Option<(Asset, Real, Xi)> {
    let settings = raw.instrument.get(instrument.symbol())?;
    let Some(quote) = &settings.quote else {
        faults.add(key, instrument.symbol(), "a quoted instrument");
        return None;
    };
    // What is wrong with the quote itself is told where it stands.
    let (model, own) = quote_parameters(key, quote, instrument, &mut Faults::default())?;
    let xi = match model {
        Model::Glft => Xi::Gamma,
        Model::GlftRiskNeutral => Xi::Zero,
        _ => {
            faults.add(key, &quote.model, "its model must be glft or glft_risk_neutral");
            return None;
        }
    };
    let tick = Real::from_decimal(instrument.spec().tick);
    let multiplier = Real::from_decimal(instrument.spec().multiplier);
    let floor = Real::parse(&settings.volatility.floor)?;
    let asset = Asset {
        sigma: floor / tick,
        intensity: own.intensity,
        decay: own.decay,
        order_size: own.order_size * multiplier * tick,
        lot: own.lot * multiplier * tick,
    };
    // Per price and size unit in the quote's own table, per currency here.
    Some((asset, Real::parse(&quote.gamma)? / multiplier, xi))
}
