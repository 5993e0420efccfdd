//! What a run looked like: one page with pictures, one document of figures, latency files.
//!
//! Fed by [`recorder::SeriesRecorder`] during a run; feeds people (`report.html`), programs
//! (`summary.json`) and HdrHistogram's plotter (`latency-NAME.hgrm`). After the run, any thread. The page
//! is one file without anything from outside, bounded in size whatever the run's length. Absent:
//! judgement; the page shows, the acceptance decides.

pub mod charts;
pub mod hgrm;
pub mod key_figures;
pub mod latency_chart;
pub mod page;
pub mod plot;
pub mod provision;
pub mod recorder;
pub mod series;
pub mod svg;

use crate::private_files;
use ballast_engine::pnl::attribution::Cause;
use ballast_engine::units::{Nanos, Notional, Side};
use hdrhistogram::Histogram;
use series::Series;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The limits of an underlying's net delta, in its units, as distances from the target.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Limits {
    /// Hedging starts beyond this.
    pub band: f64,
    /// One-sided quoting beyond this.
    pub soft: f64,
    /// No quotes beyond this.
    pub stop: f64,
    /// Nothing may go beyond this.
    pub hard: f64,
}

/// A fill, as the pictures show it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FillMark {
    /// When.
    pub at: Nanos,
    /// Our side.
    pub side: Side,
    /// Price in quote currency.
    pub price: f64,
    /// Size in the instrument's size unit.
    pub size: f64,
    /// A hedge, or a quote that was hit.
    pub is_hedge: bool,
}

/// Fills of one kind, summed.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct FillSum {
    /// How many.
    pub fills: u64,
    /// Their sizes' sum.
    pub size: f64,
}

/// One instrument over the run.
#[derive(Clone, Debug, Default)]
pub struct InstrumentSeries {
    /// Symbol(55).
    pub symbol: String,
    /// Place of its underlying.
    pub underlying: usize,
    /// Digits behind the point of a price.
    pub price_digits: u8,
    /// Digits behind the point of a size.
    pub size_digits: u8,
    /// The market's mid.
    pub mid: Series,
    /// Our best bid.
    pub bid: Series,
    /// Our best ask.
    pub ask: Series,
    /// Our best bid less the mid.
    pub bid_distance: Series,
    /// Our best ask less the mid.
    pub ask_distance: Series,
    /// Position in size units.
    pub position: Series,
    /// Position in units of the underlying.
    pub exposure: Series,
    /// Our fills.
    pub fills: Vec<FillMark>,
    /// Fills of quotes.
    pub quoted: FillSum,
    /// Fills of hedges.
    pub hedged: FillSum,
}

/// One underlying over the run.
#[derive(Clone, Debug)]
pub struct UnderlyingSeries {
    /// Its name.
    pub name: String,
    /// Limits of its net delta.
    pub limits: Limits,
    /// Net delta from the target.
    pub delta: Series,
}

/// The account over the run.
#[derive(Clone, Debug, Default)]
pub struct PnlSeries {
    /// The reporting currency's name.
    pub currency: String,
    /// The total.
    pub total: Series,
    /// Each cause.
    pub causes: BTreeMap<Cause, Series>,
    /// The total at the end, exact.
    pub final_total: Notional,
    /// The causes at the end, exact.
    pub final_causes: BTreeMap<Cause, Notional>,
}

/// Everything that a report shows.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// What ran.
    pub title: String,
    /// What it ran on: names and values, shown as they are.
    pub facts: Vec<(String, String)>,
    /// First sample, on the run's time base.
    pub started: Nanos,
    /// Last sample.
    pub ended: Nanos,
    /// The instruments, in the config's order.
    pub instruments: Vec<InstrumentSeries>,
    /// The underlyings, in the config's order.
    pub underlyings: Vec<UnderlyingSeries>,
    /// The account.
    pub pnl: PnlSeries,
    /// Latencies by name, in nanoseconds.
    pub latencies: Vec<(&'static str, Histogram<u64>)>,
    /// The document that `--json` prints.
    pub summary: serde_json::Value,
}

/// A file of the report could not be written.
#[derive(Debug, Error)]
#[error("{path}: cannot be written: {source}; name another folder with --report", path = path.display())]
pub struct ReportError {
    path: PathBuf,
    source: io::Error,
}

impl RunReport {
    /// Writes all files into `folder`, which is made where it is missing. A file stands under its
    /// name only once it is whole.
    pub fn write(&self, folder: &Path) -> Result<(), ReportError> {
        private_files::make_folder(folder)
            .map_err(|source| ReportError { path: folder.to_path_buf(), source })?;
        let summary = format!("{:#}\n", self.summary);
        write_whole(&folder.join("summary.json"), &summary)?;
        for (name, histogram) in &self.latencies {
            write_whole(&folder.join(format!("latency-{name}.hgrm")), &hgrm::text(histogram))?;
        }
        write_whole(&folder.join("report.html"), &page::html(self))
    }
}

fn write_whole(path: &Path, text: &str) -> Result<(), ReportError> {
    private_files::write_whole(path, text.as_bytes())
        .map_err(|source| ReportError { path: path.to_path_buf(), source })
}
