//! What an operator of a simulated run is told: the way from telemetry to alerts, as live.
//!
//! Fed by the loop with everything that the maker tells and with time; feeds the checker with the alerts.
//! What is known and what is to be told are the code that runs live; the thread that looks, the log and
//! the command are not here. One thread. Dies with its process.

use super::tap::PlantedBug;
use crate::operator::alerting::{Alerting, Telling};
use crate::operator::standing::Standing;
use ballast_engine::event::InstrumentId;
use ballast_engine::maker::config::MakerConfig;
use ballast_engine::maker::stage::Telemetry;
use ballast_engine::units::Nanos;

/// The alerts of one run.
pub struct Alarm {
    standing: Standing,
    alerting: Alerting,
    symbols: Vec<String>,
    is_mute: bool,
}

impl Alarm {
    /// Of a run on `config`.
    pub fn new(config: &MakerConfig, bug: Option<PlantedBug>) -> Alarm {
        Alarm {
            standing: Standing::new(config.instruments.len(), config.underlyings.len()),
            alerting: Alerting::default(),
            symbols: config.instruments.iter().map(|i| i.symbol().to_owned()).collect(),
            is_mute: bug == Some(PlantedBug::LostAlerts),
        }
    }

    /// Takes one piece of telemetry.
    pub fn see(&mut self, telemetry: &Telemetry) {
        self.standing.see(telemetry);
    }

    /// The journal can no longer be written.
    pub fn lose_journal(&mut self) {
        self.standing.lose_journal();
    }

    /// As the guard does every few milliseconds: `tell` is shown each alert.
    pub fn look(&mut self, now: Nanos, mut tell: impl FnMut(&Telling)) {
        let symbols = &self.symbols;
        let symbol = |id: InstrumentId| symbols.get(usize::from(id.0)).cloned().unwrap_or_default();
        while let Some(news) = self.standing.next_news() {
            let telling = self.alerting.take(now, news, symbol).filter(|_| !self.is_mute);
            telling.iter().for_each(&mut tell);
        }
        while let Some(owed) = self.alerting.next_owed(now) {
            tell(&owed);
        }
    }
}
