//! `ballast-bench scale`: what one tick costs as the maker has more to look after, as curves with
//! their exponents: 0 is a cost that does not grow, 1 one that grows in proportion.
//!
//! A tick is `engine.update_to_two_orders`: one change of one instrument's touch that moves all of its
//! quotes, to the bytes of the messages. All other instruments have books and working quotes. For
//! `rings` it is a turn of the maker's stage with one event in one ring and the rings of so many other
//! sessions to look at, to the intents in their ring: the sockets of those sessions, and what it takes to
//! look at them, are not in it. For `timers` it is the longest timer of a round, behind which a tick waits.
//! Points of a curve are measured in turn, round after round.

use crate::bracket::Bracket;
use crate::document::{Document, Measurement};
use crate::hiccup::Hiccups;
use crate::histogram::{OverRuns, RUNS_MIN};
use crate::ratio::Ratio;
use crate::rig::{BATCH, Rig};
use crate::session::Session;
use crate::turns::StageRig;
use ballast::config::ConfigFile;
use ballast_engine::pin;
use std::fmt::Write as _;
use std::time::Duration;

/// Ticks in a run.
const TICKS: u64 = 16 * BATCH;
/// Rounds of the maker's timers in a run.
const TIMER_ROUNDS: u64 = 64;
/// Cost at 1,000 instruments relative to one.
const INSTRUMENTS_BOUND: f64 = 1.3;

/// How large a maker is.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Instruments, all quoted.
    pub instruments: usize,
    /// How many share an underlying.
    pub per_underlying: usize,
    /// Levels a side of instrument 0.
    pub levels: usize,
    /// Levels a side of all others.
    pub levels_of_others: usize,
    /// Venues, each with a session for market data and one for orders.
    pub venues: usize,
}

const ONE: Shape =
    Shape { instruments: 1, per_underlying: 10, levels: 1, levels_of_others: 1, venues: 1 };

/// What a point of a curve times.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Timed {
    /// A tick of the maker and its encoder, alone.
    Tick,
    /// A turn of the maker's stage with its rings.
    Turn,
    /// The longest of a round of the maker's timers: how long a tick waits that comes just after it.
    Timer,
}

/// One curve: what grows, and the shapes at its points.
struct Curve {
    name: &'static str,
    points: Vec<(usize, Shape)>,
    timed: Timed,
}

fn curves() -> Vec<Curve> {
    let instruments = [1, 10, 100, 1_000];
    let orders = [0, 1, 10, 100, 312];
    vec![
        Curve {
            name: "instruments",
            timed: Timed::Tick,
            points: instruments.map(|n| (n, Shape { instruments: n, ..ONE })).to_vec(),
        },
        Curve {
            name: "instruments_of_one_underlying",
            timed: Timed::Tick,
            points: instruments
                .map(|n| (n, Shape { instruments: n, per_underlying: n, ..ONE }))
                .to_vec(),
        },
        Curve {
            name: "levels",
            timed: Timed::Tick,
            points: [1, 2, 4, 8, 16, 20].map(|n| (n, Shape { levels: n, ..ONE })).to_vec(),
        },
        Curve {
            name: "orders",
            timed: Timed::Tick,
            points: orders
                .map(|n| {
                    let shape = Shape { instruments: 1 + n, levels_of_others: 16, ..ONE };
                    (2 + 32 * n, shape)
                })
                .to_vec(),
        },
        Curve {
            name: "timers",
            timed: Timed::Timer,
            points: [10, 100, 1_000].map(|n| (n, Shape { instruments: n, ..ONE })).to_vec(),
        },
        Curve {
            name: "rings",
            points: [1, 4, 16, 64]
                .map(|n| (n, Shape { instruments: n, venues: n, ..ONE }))
                .to_vec(),
            timed: Timed::Turn,
        },
    ]
}

/// Runs the scale benchmark into `document`.
pub fn measure(session: &Session, document: &mut Document) -> Result<(), String> {
    let cores = session.two_cores()?;
    let bracket = Bracket::new(session, cores);
    pin::pin_current_thread(cores[0]);
    let mut hiccups = Hiccups::new();
    let curves = curves();
    for curve in &curves {
        let share = session.share(1.0 / curves.len() as f64);
        let mut subjects: Vec<Subject> = curve
            .points
            .iter()
            .map(|(_, shape)| Subject::new(session, *shape, curve.timed))
            .collect::<Result<_, _>>()?;
        let mut figures = vec![Vec::new(); subjects.len()];
        let (mut rounds, mut dropped) = (0, 0);
        while share.is_left() || rounds < RUNS_MIN {
            rounds += 1;
            hiccups.watch(session.counter, &cores[..1], Duration::from_millis(2));
            // A round is kept or dropped whole: points of a curve belong together.
            let (round, floor) = bracket.around(|| {
                subjects.iter_mut().map(Subject::run).collect::<Result<Vec<f64>, String>>()
            })?;
            dropped += usize::from(floor.is_none());
            if floor.is_some() {
                figures.iter_mut().zip(round).for_each(|(all, figure)| all.push(figure));
            }
        }
        report(curve, figures, dropped, document);
    }
    document.add_hiccups(&hiccups);
    Ok(())
}

enum Subject {
    Tick(Box<Rig>),
    Turn(Box<StageRig>),
    Timer(Box<Rig>),
}

impl Subject {
    fn new(session: &Session, shape: Shape, timed: Timed) -> Result<Subject, String> {
        let file = ConfigFile::parse("the bench's config", config_text(shape))
            .map_err(|fault| fault.to_string())?;
        if timed == Timed::Turn {
            return Ok(Subject::Turn(Box::new(StageRig::new(session, &file)?)));
        }
        let rig = Rig::new(session, &file, shape.levels)?;
        let expected = 2 * shape.levels + 2 * shape.levels_of_others * (shape.instruments - 1);
        if rig.live_orders() != expected {
            return Err(format!("{} orders work where {expected} should", rig.live_orders()));
        }
        let rig = Box::new(rig);
        Ok(if timed == Timed::Timer { Subject::Timer(rig) } else { Subject::Tick(rig) })
    }

    /// The median of a run's batches, in ns a tick; of its rounds' longest timers, in ns.
    fn run(&mut self) -> Result<f64, String> {
        match self {
            Subject::Tick(rig) => rig.run(TICKS).map(|run| run.batches[0].at(0.5)),
            Subject::Turn(rig) => rig.run(TICKS),
            Subject::Timer(rig) => rig.run_timers(TIMER_ROUNDS),
        }
    }
}

fn report(curve: &Curve, figures: Vec<Vec<f64>>, dropped: usize, document: &mut Document) {
    let name = curve.name;
    if figures.iter().all(Vec::is_empty) {
        document.fail(format!("scale.{name}: the floor moved around all {dropped} rounds"));
    }
    let mut points = Vec::new();
    for ((size, _), figures) in curve.points.iter().zip(&figures) {
        if let Some(over) = OverRuns::of(figures.clone()) {
            points.push((*size as f64, over.median));
        }
        let name = format!("scale.{name}.{size}");
        document.measurements.extend(Measurement::new(&name, figures.clone(), dropped, None));
    }
    let title = format!("scale.{name}: exponent");
    document.add_ratio(Ratio::single(&title, exponent(&points), None));
    if let (Some(first), Some(last)) = (figures.first(), figures.last()) {
        let growth = first.iter().zip(last).map(|(first, last)| last / first).collect();
        let (from, to) = (curve.points[0].0, curve.points[curve.points.len() - 1].0);
        let bound = (name == "instruments").then_some(INSTRUMENTS_BOUND);
        let title = format!("scale.{name}: cost at {to} / at {from}");
        document.add_ratio(Ratio::new(&title, growth, bound));
    }
}

/// The slope of the logarithm of cost over the logarithm of size, by least squares.
fn exponent(points: &[(f64, f64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logs.len() as f64;
    let (sum_x, sum_y) = logs.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let above: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let below: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    (below > 0.0).then(|| above / below)
}

/// A config file of this shape: linear perpetuals, GLFT, quotes that follow every change.
fn config_text(shape: Shape) -> String {
    let orders_max = 64 + 2 * (shape.levels + shape.levels_of_others * shape.instruments);
    let mut text = format!(
        "reporting = \"USDT\"\n[run]\nstate_dir = \"unused\"\nrunner = \"fused\"\ntimer_ms = 10\n\
         sample_ms = 100\nack_timeout_ms = 5000\nrejects_max = 200\norders_max = {orders_max}\n\
         book_levels_max = 64\n[limits]\ngross_notional_max = \"9000000000\"\n\
         daily_loss_max = \"9000000000\"\ndrawdown_max = \"9000000000\"\n\
         drawdown_cooldown_s = 1\nday_end = \"00:00\"\ntime_zone = \"UTC\"\n"
    );
    for venue in 0..shape.venues {
        let session = |kind: &str| {
            format!(
                "{kind} = {{ address = \"127.0.0.1:1\", sender_comp_id = \"BALLAST\", \
                 target_comp_id = \"V{venue}\", heartbeat_s = 30 }}\n"
            )
        };
        let _ = write!(
            text,
            "[[venues]]\nname = \"v{venue}\"\n{}{}message_rate = {{ max = 4000, window_ms = 1000, \
             cancel_reserve = 100 }}\norder_to_trade = {{ max = 1000, grace = 4000000000 }}\n",
            session("market_data"),
            session("order_entry"),
        );
    }
    for place in 0..shape.instruments {
        let (venue, underlying) = (place % shape.venues, place / shape.per_underlying);
        let levels = if place == 0 { shape.levels } else { shape.levels_of_others };
        let _ = write!(
            text,
            "[[instruments]]\nsymbol = \"P{place}\"\nvenue = \"v{venue}\"\nunderlying = \
             \"U{underlying}\"\nkind = \"linear_perpetual\"\ntick = \"0.01\"\nlot = \"0.00001\"\n\
             base = \"U{underlying}\"\nquote = \"USDT\"\nmaker_fee_bps = \"0\"\n\
             taker_fee_bps = \"5\"\n[instrument.P{place}]\nstale_after_ms = 1000000000\n\
             limits = {{ order_size_max = \"0.1\", order_value_max = \"10000\", position_max = \"100\", \
             collar = \"200.00\", executions = {{ max = 1000, window_ms = 1 }}, \
             duplicates = {{ max = 64, window_ms = 1 }} }}\nvolatility = {{ interval_ms = 1000, weight_shift = 5, \
             floor = \"1.00\" }}\n[instrument.P{place}.quote]\nmodel = \"glft\"\n\
             fair_value = \"weighted_mid\"\ngamma = \"0.5\"\nintensity = \"1.0\"\ndecay = \"0.3\"\n\
             levels = {levels}\nsize = \"0.01\"\nspacing = \"2.00\"\nedge_min = \"0.01\"\n\
             tolerance_aggressive = \"0\"\ntolerance_passive = \"0\"\ntolerance_size = \"0.005\"\n\
             reject_holdoff_ms = 100\n",
        );
    }
    for underlying in 0..shape.instruments.div_ceil(shape.per_underlying) {
        let _ = write!(
            text,
            "[underlying.U{underlying}]\ntarget = \"0\"\nsoft = \"100\"\nstop = \"200\"\n\
             hard = \"500\"\nprotection = {{ fills_max = 1000, delta_max = \"500\", \
             window_ms = 1, cooldown_ms = 1 }}\n"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponent_of_a_square_is_two_and_of_a_constant_none() {
        let square = [(1.0, 3.0), (10.0, 300.0), (100.0, 30_000.0)];
        assert!((exponent(&square).unwrap() - 2.0).abs() < 1e-9);
        assert!(exponent(&[(1.0, 7.0), (64.0, 7.0)]).unwrap().abs() < 1e-9);
        assert_eq!(exponent(&[(1.0, 7.0)]), None);
    }

    #[test]
    fn every_small_point_of_every_curve_has_a_config_that_ticks() {
        let session = Session::in_tests();
        for curve in curves() {
            for (_, shape) in curve.points.iter().filter(|(size, _)| *size <= 34) {
                assert!(Subject::new(&session, *shape, curve.timed).unwrap().run().unwrap() > 0.0);
            }
        }
    }
}
