//! Calibration from a recording: σ, A and k, the micro-price, order flow.
//!
//! Fed by `gather.rs`; feeds `ballast calibrate`: its document, its lines and its page. Main thread.
//! The estimators are the engine's (`calibration/`). Deliberately absent: a choice of γ, which is the
//! desk's taste and not in any recording.

pub mod document;
pub mod gather;
pub mod page;

use ballast_engine::calibration::book_states::BookStates;
use ballast_engine::calibration::intensity::{
    Depths, Intensity, IntensityError, Settled, unstable,
};
use ballast_engine::calibration::order_flow::{FlowFit, validate};
use ballast_engine::calibration::realised::Samples;
use ballast_engine::calibration::{QuoteParameters, Real, quoter};
use ballast_engine::estimate::fair_value::FairValue;
use ballast_engine::estimate::micro_price::MicroPriceTable;
use ballast_engine::fixed::Scaled;
use ballast_engine::quote::Model;
use ballast_engine::units::{Lots, Nanos, SubTicks};
use gather::Gathered;

/// k may move by this share from one window to the next before a warning.
pub const DECAY_SHARE_MAX: f64 = 0.25;
/// Windows for signed flow among which the first half of the recording chooses, in seconds.
pub const FLOW_WINDOWS_S: [f64; 7] = [0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0];
/// What order flow and fair values are judged against.
pub const MARKOUT_S: f64 = 1.0;
/// Distances to which k is fitted beside the window of the quotes, in ticks: how little it is one
/// number.
pub const REACHES: [f64; 4] = [50.0, 200.0, 1000.0, 3000.0];
/// Sampling intervals of the signature plot, in fine samples.
const SIGNATURE: [usize; 10] = [1, 2, 3, 5, 10, 20, 50, 100, 200, 300];

/// How to calibrate.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Settings {
    /// The fine clock of the volatility.
    pub fine_ns: u64,
    /// The coarse clock, in fine samples: the maker's sampling interval.
    pub coarse: usize,
    /// A sample of the coarse clock weighs 2^-this in the EWMA.
    pub weight_shift: u32,
    /// Parts of the recording that k is compared over.
    pub windows: u32,
    /// By how long the mid is taken before a trade: where books run ahead of trades.
    pub lead_ns: u64,
    /// Risk aversion per tick and size unit; `None` for a maker without one.
    pub gamma: Option<f64>,
    /// Order size, in size units.
    pub order_size: f64,
}

/// Volatility, in ticks per √s.
#[derive(Clone, PartialEq, Debug)]
pub struct Volatility {
    /// EWMA on the coarse clock, at the end.
    pub ewma: Option<f64>,
    /// Realised on the coarse clock.
    pub realised: Option<f64>,
    /// Noise-robust.
    pub two_scale: Option<f64>,
    /// Jump-robust, on the coarse clock.
    pub bipower: Option<f64>,
    /// Standard deviation of the fine clock's noise, in ticks.
    pub noise: Option<f64>,
    /// Realised by sampling interval: seconds and σ.
    pub signature: Vec<(f64, f64)>,
}

/// k of one part of the recording.
#[derive(Clone, PartialEq, Debug)]
pub struct Window {
    /// Its start and end.
    pub span: (Nanos, Nanos),
    /// Fitted in the window of distances that the whole recording settled on.
    pub fit: Result<Intensity, IntensityError>,
}

/// Mean squared distance, in ticks², of a fair value from the mid a second later, on the second half.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct FairValueError {
    /// Of the mid itself.
    pub mid: f64,
    /// Of the size-weighted mid.
    pub weighted_mid: f64,
    /// Of the micro-price calibrated on the first half.
    pub micro_price: f64,
    /// How many moments.
    pub count: usize,
}

/// Everything that was found.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// First and last touch.
    pub span: (Nanos, Nanos),
    /// σ.
    pub volatility: Volatility,
    /// Depths of all aggressive orders.
    pub depths: Depths,
    /// Orders whose prints lie on the wrong side of the mid: how far the book runs ahead of trades.
    pub behind_mid: usize,
    /// A and k where the quotes stand.
    pub settled: Result<Settled, IntensityError>,
    /// A and k from a tick beyond the touch to other reaches.
    pub reaches: Vec<(f64, Result<Intensity, IntensityError>)>,
    /// k by part of the recording.
    pub windows: Vec<Window>,
    /// Parts in which k moved by more than [`DECAY_SHARE_MAX`] from the part before.
    pub moved: Vec<usize>,
    /// Micro-price adjustments of the whole recording; `None` where its equations have no solution.
    pub micro_price: Option<(MicroPriceTable, BookStates)>,
    /// How well each fair value foretells the mid.
    pub fair_value: Option<FairValueError>,
    /// What signed flow says.
    pub flow: Option<FlowFit>,
}

impl Calibration {
    /// Estimates everything.
    ///
    /// # Errors
    /// Text for people where the recording holds no market of the instrument.
    pub fn of(gathered: &Gathered, settings: &Settings) -> Result<Calibration, String> {
        let span = gathered.span().filter(|(from, to)| from < to);
        let span = span.ok_or("the recording has no two-sided market of this instrument")?;
        let samples = gathered.samples(settings.fine_ns);
        let volatility = volatility(&samples, settings);
        let seconds = span.1.since(span.0) as f64 * 1e-9;
        let all = gathered.depths(span.0, span.1.plus(1), settings.lead_ns);
        let behind_mid = all.iter().filter(|depth| **depth < 0.0).count();
        let depths = Depths::new(all, seconds);
        let sigma = volatility.two_scale.or(volatility.realised).unwrap_or(0.0);
        let settled = depths.settle(&|fit| half_spread(fit, sigma, settings));
        let reaches = REACHES.map(|reach| (reach, depths.fit(1.0, reach))).to_vec();
        let windows = windows(gathered, settings, span, settled.as_ref().ok());
        let decays: Vec<f64> =
            windows.iter().filter_map(|w| w.fit.as_ref().ok()).map(|fit| fit.k).collect();
        Ok(Calibration {
            span,
            volatility,
            depths,
            behind_mid,
            settled,
            reaches,
            moved: unstable(&decays, DECAY_SHARE_MAX),
            windows,
            micro_price: micro_price(gathered, span),
            fair_value: fair_value(gathered, span),
            flow: flow(gathered),
        })
    }

    /// What people should be told before they use it.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        match &self.settled {
            Err(error) => warnings.push(format!("no intensity: {error}")),
            Ok(settled) if !settled.is_settled => warnings.push(format!(
                "the fit's window did not settle in {} rounds: k = {:.5} is one of several",
                settled.rounds, settled.intensity.k
            )),
            Ok(_) => {}
        }
        let fitted: Vec<(usize, f64)> = self
            .windows
            .iter()
            .enumerate()
            .filter_map(|(n, window)| Some((n + 1, window.fit.as_ref().ok()?.k)))
            .collect();
        for &place in &self.moved {
            if let (Some((before, from)), Some((after, to))) =
                (place.checked_sub(1).and_then(|n| fitted.get(n)), fitted.get(place))
            {
                warnings.push(format!(
                    "k moves from {from:.5} in window {before} to {to:.5} in window {after}, {:+.0} %: more \
                     than {:.0} %, so refit while running",
                    100.0 * (to / from - 1.0),
                    100.0 * DECAY_SHARE_MAX
                ));
            }
        }
        for (n, window) in self.windows.iter().enumerate() {
            if let Err(error) = &window.fit {
                warnings.push(format!("window {}: {error}", n + 1));
            }
        }
        let behind = 100 * self.behind_mid;
        if behind > 5 * self.depths.len() {
            warnings.push(format!(
                "{} of {} orders printed on the wrong side of the mid: the book runs ahead of the trades; \
                 try a larger --lead-ms",
                self.behind_mid,
                self.depths.len()
            ));
        }
        warnings
    }
}

/// The half-spread that the quoting code makes of a fit, in ticks.
fn half_spread(fit: &Intensity, sigma: f64, settings: &Settings) -> Result<f64, String> {
    let Some(gamma) = settings.gamma else { return Ok(1.0 / fit.k) };
    let real = |value: f64| Real::from(value);
    let parameters = QuoteParameters {
        order_size: real(settings.order_size),
        ..QuoteParameters::new(real(gamma), real(fit.a), real(fit.k))
    };
    let quoter = quoter(Model::Glft, &parameters).map_err(|error| error.to_string())?;
    let quotes = quoter.half_spreads(Lots(0), real(sigma).scaled(), Scaled::ZERO);
    let half = quotes.bid.map(|half| half.0 as f64 / SubTicks::ONE.0 as f64);
    half.filter(|half| *half > 0.0).ok_or_else(|| "the model quotes nothing".to_owned())
}

fn volatility(samples: &Samples, settings: &Settings) -> Volatility {
    let interval_s = settings.fine_ns as f64 * 1e-9;
    let signature = SIGNATURE.iter().filter(|step| samples.len() > 10 * **step);
    let signature =
        signature.filter_map(|step| Some((*step as f64 * interval_s, samples.realised(*step)?)));
    Volatility {
        ewma: samples.ewma(settings.coarse, settings.weight_shift),
        realised: samples.realised(settings.coarse),
        two_scale: samples.two_scale(settings.coarse),
        bipower: samples.bipower(settings.coarse),
        noise: samples.noise(settings.coarse),
        signature: signature.collect(),
    }
}

fn windows(
    gathered: &Gathered,
    settings: &Settings,
    span: (Nanos, Nanos),
    settled: Option<&Settled>,
) -> Vec<Window> {
    let Some(settled) = settled else { return Vec::new() };
    let (lo, hi) = settled.intensity.window;
    let length = span.1.since(span.0) / u64::from(settings.windows.max(1));
    (0..u64::from(settings.windows))
        .map(|n| {
            let from = span.0.plus(n * length);
            let to = from.plus(length);
            let depths = gathered.depths(from, to, settings.lead_ns);
            let fit = Depths::new(depths, length as f64 * 1e-9).fit(lo, hi);
            Window { span: (from, to), fit }
        })
        .collect()
}

/// The states between two moments.
pub(crate) fn states(gathered: &Gathered, from: Nanos, to: Nanos) -> BookStates {
    let mut states = BookStates::default();
    for (at, touch) in gathered.touches.iter().filter(|(at, _)| from <= *at && *at < to) {
        debug_assert!(*at >= from, "filtered");
        match touch {
            Some(touch) => states.observe(touch),
            None => states.interrupt(),
        }
    }
    states
}

fn micro_price(gathered: &Gathered, span: (Nanos, Nanos)) -> Option<(MicroPriceTable, BookStates)> {
    let states = states(gathered, span.0, span.1.plus(1));
    let table = states.table().ok()?;
    Some((table, states))
}

fn fair_value(gathered: &Gathered, span: (Nanos, Nanos)) -> Option<FairValueError> {
    const INTERVAL_NS: u64 = 100_000_000;
    let middle = span.0.plus(span.1.since(span.0) / 2);
    let table = states(gathered, span.0, middle).table().ok()?;
    let later_ns = (MARKOUT_S * 1e9) as u64;
    let ticks = |price: SubTicks| price.0 as f64 / SubTicks::ONE.0 as f64;
    let mut sums = [0.0; 3];
    let mut count = 0;
    let mut now = middle;
    while now.plus(later_ns) <= span.1 {
        let later = gathered.touch_before(now.plus(later_ns));
        if let (Some(touch), Some(later)) = (gathered.touch_before(now), later) {
            let later = ticks(FairValue::Mid.estimate(&later));
            let found = [
                FairValue::Mid.estimate(&touch),
                FairValue::WeightedMid.estimate(&touch),
                table.estimate(&touch),
            ];
            for (sum, found) in sums.iter_mut().zip(found) {
                *sum += (ticks(found) - later).powi(2);
            }
            count += 1;
        }
        now = now.plus(INTERVAL_NS);
    }
    let [mid, weighted_mid, micro_price] = sums.map(|sum| sum / count.max(1) as f64);
    (count > 0).then_some(FairValueError { mid, weighted_mid, micro_price, count })
}

fn flow(gathered: &Gathered) -> Option<FlowFit> {
    let interval_ns = (MARKOUT_S * 1e9) as u64;
    let samples = gathered.samples(interval_ns);
    validate(&gathered.flow(), samples.mids(), MARKOUT_S, &FLOW_WINDOWS_S)
}
