//! Config files: TOML in, validated values out, every fault told at once.

pub mod collateral;
mod controls;
pub mod entries;
mod estimates;
mod fair_value;
pub mod firm;
mod ladder;
pub mod faults;
pub mod file;
mod guards;
pub mod hedge_basis;
mod hedging;
mod horizon;
pub mod instruments;
mod keys;
pub mod maker;
pub mod mass_quotes;
pub mod operator;
pub mod option_settings;
pub mod option_terms;
pub mod overrides;
pub mod portfolio;
mod rebalance;
mod self_trade;
pub mod session_options;
pub mod sessions;
mod spike;
pub mod syntax;
mod standing;
pub mod times;
pub mod venue_limits;

use faults::Faults;
use file::RawConfig;
use instruments::InstrumentTable;
use overrides::Overrides;
use std::path::Path;
use thiserror::Error;

/// Why a config file was not taken. Exit code 2.
#[derive(Debug, Error)]
pub enum ConfigFault {
    /// It cannot be read.
    #[error("{path}: {source}; name a readable file with --config")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is not TOML, or a key is missing or unknown; the text names line and key.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: String,
        /// What the parser said.
        message: String,
    },
    /// Values that may not stand.
    #[error("{path}: {faults}")]
    Values {
        /// The file.
        path: String,
        /// All of them.
        faults: Faults,
    },
}

/// A config file that parsed: its text, its tables and its instruments.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Where it came from, for messages.
    pub path: String,
    /// As it was read; journaled, so that a replay builds the same maker.
    pub text: String,
    /// Its tables.
    pub raw: RawConfig,
    /// Its instruments.
    pub table: InstrumentTable,
}

impl ConfigFile {
    /// Reads and parses a file.
    pub fn read(path: &Path) -> Result<ConfigFile, ConfigFault> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigFault::Unreadable { path: name.clone(), source })?;
        ConfigFile::parse(&name, text)
    }

    /// Parses a text; `path` names it in messages.
    pub fn parse(path: &str, text: String) -> Result<ConfigFile, ConfigFault> {
        let mut raw: RawConfig = toml::from_str(&text).map_err(|error| ConfigFault::Syntax {
            path: path.to_owned(),
            message: syntax::told(&text, &error),
        })?;
        option_terms::expand(&mut raw);
        let mut faults = Faults::default();
        let table = InstrumentTable::new(&raw.instruments, &mut faults);
        times::check(&raw, &mut faults);
        let path = path.to_owned();
        if !faults.is_empty() {
            // The rest cannot be judged without its instruments, but what can be is told as well.
            maker::maker_config(&raw, &table, 1, &mut faults);
            return Err(ConfigFault::Values { path, faults });
        }
        Ok(ConfigFile { path, text, raw, table })
    }

    /// The config of the demo, which is built in: `config/demo.toml`.
    pub fn demo() -> Result<ConfigFile, ConfigFault> {
        let text = include_str!("../../../config/demo.toml");
        ConfigFile::parse("config/demo.toml", text.to_owned())
    }

    /// The same file with changes. Its text changes too: what is journaled is what ran.
    pub fn changed(&self, overrides: &Overrides) -> Result<ConfigFile, ConfigFault> {
        if *overrides == Overrides::default() {
            return Ok(self.clone());
        }
        let wrong = |error: &dyn std::fmt::Display| ConfigFault::Syntax {
            path: self.path.clone(),
            message: error.to_string(),
        };
        let mut tables: toml::Table =
            self.text.parse().map_err(|e: toml::de::Error| wrong(&syntax::told(&self.text, &e)))?;
        overrides.apply(&mut tables);
        let text = toml::to_string(&tables).map_err(|error| wrong(&error))?;
        ConfigFile::parse(&self.path, text)
    }

    /// Its text with values at other keys than it has them.
    ///
    /// # Errors
    /// The config has no such key, or a value is not of its type.
    pub fn changed_text(&self, changes: &[(String, String)]) -> Result<String, ConfigFault> {
        let syntax = |message| ConfigFault::Syntax { path: self.path.clone(), message };
        let parsed = self.text.parse::<toml::Table>();
        let mut tables = parsed.map_err(|error| syntax(error.to_string()))?;
        for (key, value) in changes {
            keys::assign(&mut tables, key, value).map_err(syntax)?;
        }
        toml::to_string(&tables).map_err(|error| syntax(error.to_string()))
    }

    /// The same file with values at other keys than it has them.
    ///
    /// # Errors
    /// As [`ConfigFile::changed_text`], or the config that it makes is refused.
    pub fn with(&self, changes: &[(String, String)]) -> Result<ConfigFile, ConfigFault> {
        ConfigFile::parse(&self.path, self.changed_text(changes)?)
    }

    /// The same file with every venue at these addresses (market data, order entry), where they begin
    /// with the run.
    pub fn at(
        &self,
        addresses: [std::net::SocketAddr; 2],
        time: file::TimeKind,
    ) -> Result<ConfigFile, ConfigFault> {
        self.changed(&Overrides {
            addresses: Some(addresses),
            is_venue_time: time == file::TimeKind::Venue,
            has_new_venues: true,
            ..Overrides::default()
        })
    }

    /// What an instrument's quotes are made from, in ticks, for whoever refits it; `None` where it
    /// is not quoted.
    pub fn quote_parameters(
        &self,
        instrument: &ballast_engine::instrument::Instrument,
    ) -> Option<(ballast_engine::quote::Model, ballast_engine::calibration::QuoteParameters)> {
        let raw = self.raw.instrument.get(instrument.symbol())?.quote.as_ref()?;
        maker::quote_parameters("quote", raw, instrument, &mut Faults::default())
    }

    /// What the derived band that rests on an instrument's quotes is solved from; `None` where none
    /// does.
    pub fn hedge_inputs(
        &self,
        instrument: &ballast_engine::instrument::Instrument,
    ) -> Option<ballast_engine::calibration::hedge_table::HedgeInputs> {
        let place = usize::from(instrument.spec().underlying.0);
        let underlying = self.table.underlyings.name(place)?;
        hedging::of_underlying(&self.raw, &self.table, underlying)
            .filter(|inputs| inputs.quoted == instrument.id())
    }

    /// The maker's config for run number `epoch`.
    pub fn maker(
        &self,
        epoch: u32,
    ) -> Result<ballast_engine::maker::config::MakerConfig, ConfigFault> {
        let mut faults = Faults::default();
        let config = maker::maker_config(&self.raw, &self.table, epoch, &mut faults);
        faults.or(config).map_err(|faults| ConfigFault::Values { path: self.path.clone(), faults })
    }
}
