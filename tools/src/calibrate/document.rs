//! A calibration as one JSON document and as lines for people.
//!
//! Fed by [`Calibration`]; feeds `ballast calibrate`. Distances are in ticks unless a key says currency.

use super::gather::Gathered;
use super::{Calibration, Settings, Volatility};
use crate::report::svg::grouped;
use ballast_engine::calibration::intensity::{Intensity, IntensityError};
use ballast_engine::instrument::Instrument;
use ballast_engine::units::{Decimal, SubTicks};
use serde_json::{Value, json};

/// One tick in quote currency.
pub fn tick_of(instrument: &Instrument) -> f64 {
    let tick = instrument.spec().tick;
    tick.mantissa as f64 / 10f64.powi(tick.scale.into())
}

fn fit_value(fit: &Result<Intensity, IntensityError>) -> Value {
    match fit {
        Ok(fit) => json!({
            "A": fit.a, "k": fit.k, "k_error": fit.k_error, "window_ticks": [fit.window.0, fit.window.1],
            "orders_reached": fit.reached, "orders_ended": fit.ended, "log_error": fit.log_error,
        }),
        Err(error) => json!({"error": error.to_string()}),
    }
}

/// The document.
pub fn value(
    found: &Calibration,
    gathered: &Gathered,
    instrument: &Instrument,
    settings: &Settings,
) -> Value {
    let reaches = found
        .reaches
        .iter()
        .map(|(reach, fit)| json!({"reach_ticks": reach, "fit": fit_value(fit)}));
    let windows = found.windows.iter().map(|window| {
        json!({"from": window.span.0.0, "to": window.span.1.0, "fit": fit_value(&window.fit)})
    });
    json!({
        "instrument": instrument.symbol(),
        "tick": Decimal::text_of(1, instrument.spec().tick),
        "from": found.span.0.0,
        "to": found.span.1.0,
        "seconds": found.span.1.since(found.span.0) as f64 * 1e-9,
        "gamma_per_tick": settings.gamma,
        "order_size": settings.order_size,
        "prints": gathered.prints,
        "aggressive_orders": gathered.orders.len(),
        "orders_behind_mid": found.behind_mid,
        "touches": gathered.touches.len(),
        "rows": gathered.tape.rows,
        "off_grid": gathered.tape.off_grid,
        "gaps": gathered.tape.gaps,
        "volatility_ticks_per_sqrt_s": volatility(&found.volatility),
        "intensity": intensity(found, tick_of(instrument)),
        "intensity_by_reach": reaches.collect::<Vec<_>>(),
        "intensity_by_window": windows.collect::<Vec<_>>(),
        "micro_price": micro_price(found),
        "fair_value_error_ticks2": found.fair_value.map(|error| json!({
            "mid": error.mid, "weighted_mid": error.weighted_mid, "micro_price": error.micro_price,
            "moments": error.count,
        })),
        "flow": found.flow.map(|flow| json!({
            "window_s": flow.window_s, "in_sample": flow.in_sample,
            "out_of_sample": flow.out_of_sample, "error": flow.error, "markouts": flow.count,
        })),
        "warnings": found.warnings(),
    })
}

fn volatility(volatility: &Volatility) -> Value {
    json!({
        "ewma": volatility.ewma, "realised": volatility.realised,
        "two_scale": volatility.two_scale, "bipower": volatility.bipower,
        "noise_ticks": volatility.noise, "signature": volatility.signature,
    })
}

fn intensity(found: &Calibration, tick: f64) -> Value {
    match &found.settled {
        Ok(settled) => json!({
            "fit": fit_value(&Ok(settled.intensity)), "half_spread_ticks": settled.half_spread,
            "rounds": settled.rounds, "is_settled": settled.is_settled,
            "decay_per_currency": settled.intensity.k / tick,
            "half_spread_currency": settled.half_spread * tick,
        }),
        Err(error) => json!({"error": error.to_string()}),
    }
}

fn micro_price(found: &Calibration) -> Value {
    let Some((table, states)) = &found.micro_price else { return Value::Null };
    let ticks = |price: &SubTicks| price.0 as f64 / SubTicks::ONE.0 as f64;
    let rows = table.adjustments.iter().map(|row| row.iter().map(ticks).collect::<Vec<_>>());
    json!({
        "adjustments_ticks": rows.collect::<Vec<_>>(), "observations": states.observations(),
        "sub_ticks": table.adjustments.map(|row| row.map(|price| price.0)),
    })
}

/// Lines for a terminal.
pub fn for_people(found: &Calibration, gathered: &Gathered, instrument: &Instrument) -> String {
    let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
    let seconds = found.span.1.since(found.span.0) as f64 * 1e-9;
    let volatility = &found.volatility;
    let mut lines = vec![
        format!(
            "{}: {seconds:.1} s, {} prints in {} aggressive orders, {} changes of the touch; ticks of {}",
            instrument.symbol(),
            gathered.prints,
            gathered.orders.len(),
            gathered.touches.len(),
            Decimal::text_of(1, instrument.spec().tick),
        ),
        format!(
            "sigma      {} two-scale, {} bipower, {} realised, {} EWMA at the end (ticks per sqrt s); \
             noise {} ticks",
            number(volatility.two_scale),
            number(volatility.bipower),
            number(volatility.realised),
            number(volatility.ewma),
            number(volatility.noise),
        ),
    ];
    intensity_lines(found, tick_of(instrument), &mut lines);
    if let Some(error) = found.fair_value {
        lines.push(format!(
            "fair value squared error after 1 s, out of sample: mid {:.1}, weighted mid {:.1}, micro-price \
             {:.1} ticks²",
            error.mid, error.weighted_mid, error.micro_price
        ));
    }
    if let Some(flow) = found.flow {
        lines.push(format!(
            "flow       imbalance over {} s against the next second: rank correlation {:+.3} in sample, \
             {:+.3} ± {:.3} out of it",
            flow.window_s, flow.in_sample, flow.out_of_sample, flow.error
        ));
    }
    lines.extend(found.warnings().into_iter().map(|warning| format!("warning    {warning}")));
    lines.join("\n")
}

fn intensity_lines(found: &Calibration, tick: f64, lines: &mut Vec<String>) {
    let text = |fit: &Intensity| {
        format!(
            "A {:.3}/s  k {:.5} ± {:.5}/tick  from {:.0} to {:.0} ticks, {} orders, log error {:.2}",
            fit.a, fit.k, fit.k_error, fit.window.0, fit.window.1, fit.ended, fit.log_error
        )
    };
    match &found.settled {
        Ok(settled) => {
            let (fit, half) = (&settled.intensity, settled.half_spread);
            lines.push(format!("intensity  {}", text(fit)));
            lines.push(format!(
                "           half-spread {} ticks ({:.3} in currency), settled in {} rounds",
                grouped(half, 1),
                half * tick,
                settled.rounds
            ));
            lines.push(format!(
                "config     intensity = \"{:.4}\"   decay = \"{:.5}\"",
                fit.a,
                fit.k / tick
            ));
        }
        Err(error) => lines.push(format!("intensity  none: {error}")),
    }
    for (reach, fit) in &found.reaches {
        let text = match fit {
            Ok(fit) => text(fit),
            Err(error) => format!("none: {error}"),
        };
        lines.push(format!("  to {reach:>5}  {text}"));
    }
}
