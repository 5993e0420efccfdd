//! The line that shows how a run goes: on a terminal, and nowhere else.

use crate::back_office::Progress;
use crate::config::ConfigFile;
use crate::observer::Observer;
use ballast_engine::units::{Decimal, Nanos};
use indicatif::{ProgressBar, ProgressStyle};

/// The progress line: on a terminal, and nowhere else.
pub(super) struct Line {
    bar: ProgressBar,
    price_step: Option<Decimal>,
    drawn_at: Nanos,
}

impl Line {
    pub(super) fn new(file: &ConfigFile) -> Line {
        let bar = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let quoted = |symbol: &str| {
            file.raw.instrument.get(symbol).is_some_and(|settings| settings.quote.is_some())
        };
        let first = file.table.instruments.iter().find(|i| quoted(i.symbol()));
        Line { bar, price_step: first.map(|i| i.spec().tick), drawn_at: Nanos(0) }
    }
}

impl Progress for Line {
    fn show(&mut self, now: Nanos, observer: &Observer) {
        if now.since(self.drawn_at) < 100_000_000 {
            return;
        }
        self.drawn_at = now;
        let latest = observer.latest();
        let price = |ticks: Option<ballast_engine::units::Ticks>| match (ticks, self.price_step) {
            (Some(ticks), Some(step)) => Decimal::text_of(ticks.0, step),
            (Some(_) | None, _) => "-".to_owned(),
        };
        let [bid, ask] = latest.quotes.map(price);
        let latency = observer.tick_to_order_p50().map_or("-".to_owned(), |ns| format!("{ns} ns"));
        let delta = latest.delta.map_or("unknown".to_owned(), |delta| delta.to_string());
        self.bar.set_message(format!(
            "quotes {bid} / {ask}   net delta {delta}   fills {}   pnl {}   tick-to-order p50 {latency}",
            latest.fills, latest.total
        ));
        self.bar.tick();
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
