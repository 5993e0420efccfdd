//! The calibration's page: what was estimated, and pictures that say whether to believe it.
//!
//! Fed by [`Calibration`]; feeds `report.html`. One file: styles inside, no script, nothing fetched.
//! Light or dark follows the reader's system.

use super::{Calibration, FairValueError};
use crate::report::plot::{Axis, Plot, Scale};
use crate::report::svg::{escape, grouped};
use ballast_engine::estimate::micro_price::{IMBALANCE_BUCKETS, SPREAD_BUCKETS};
use ballast_engine::units::SubTicks;
use std::fmt::Write;

const STYLE: &str = include_str!("../report/page.css");

/// The whole document. `title` names the instrument and the recording, `unit` the tick.
pub fn html(found: &Calibration, title: &str, unit: &str) -> String {
    let title = escape(title);
    let mut out = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><main><h1>{title}</h1>\
         <p class=\"caption\">Distances in ticks of {}, times in seconds.</p>",
        escape(unit)
    );
    tiles(found, &mut out);
    let warnings = found.warnings();
    if !warnings.is_empty() {
        let items = warnings.iter().map(|text| format!("<p class=\"bad\">{}</p>", escape(text)));
        let _ = write!(out, "<section><h2>Warnings</h2>{}</section>", items.collect::<String>());
    }
    let mut section = |title: &str, caption: &str, picture: Option<String>| {
        if let Some(picture) = picture {
            let _ = write!(
                out,
                "<section><h2>{title}</h2><p class=\"caption\">{caption}</p>{picture}</section>"
            );
        }
    };
    section(
        "How often the market reaches a quote",
        "Aggressive orders per second and side that went at least so far from the mid. Shaded: ½ to 3 \
         half-spreads, where the line was fitted; dashed, other fits.",
        intensity(found),
    );
    section(
        "Is k one number?",
        "The decay by part of the recording, with its standard error. Far apart: refit while running.",
        decays(found),
    );
    section(
        "Volatility by sampling interval",
        "Rising to the left: bounce between bid and ask counts as movement there. Quote by the levels.",
        signature(found),
    );
    section(
        "Micro-price: where the mid goes next, by imbalance",
        "What to add to the mid, by the bid's share of the size at the touch.",
        micro_price(found),
    );
    out.push_str("</main></body></html>\n");
    out
}

fn tiles(found: &Calibration, out: &mut String) {
    out.push_str("<div class=\"tiles\">");
    let mut tile = |name: &str, value: String, note: String| {
        let _ = write!(
            out,
            "<div class=\"tile\"><span class=\"name\">{name}</span><span class=\"value\">{value}</span>\
             <span class=\"note\">{note}</span></div>"
        );
    };
    let volatility = &found.volatility;
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |value| grouped(value, 1));
    tile(
        "σ, ticks per √s",
        number(volatility.two_scale.or(volatility.realised)),
        format!("EWMA {}, bipower {}", number(volatility.ewma), number(volatility.bipower)),
    );
    if let Ok(settled) = &found.settled {
        let fit = &settled.intensity;
        tile(
            "k, per tick",
            format!("{:.5}", fit.k),
            format!("± {:.5}, {} orders, log error {:.2}", fit.k_error, fit.ended, fit.log_error),
        );
        tile("A, per second", format!("{:.3}", fit.a), "one side, at no distance".to_owned());
        tile(
            "half-spread, ticks",
            grouped(settled.half_spread, 1),
            format!("settled in {} rounds", settled.rounds),
        );
    }
    if let Some(flow) = found.flow {
        tile(
            "flow against 1 s markout",
            format!("{:+.3}", flow.out_of_sample),
            format!("rank correlation, out of sample, ± {:.3}", flow.error),
        );
    }
    if let Some(FairValueError { mid, micro_price, .. }) = found.fair_value {
        let better = 100.0 * (1.0 - micro_price / mid);
        tile(
            "micro-price against mid",
            format!("{better:+.2} %"),
            "less squared error after 1 s, out of sample".to_owned(),
        );
    }
    out.push_str("</div>");
}

fn intensity(found: &Calibration) -> Option<String> {
    let farthest = found.depths.quantile(0.998)?.max(2.0);
    let points: Vec<(f64, f64)> = (0..=160)
        .map(|n| 0.5 * (farthest / 0.5).powf(f64::from(n) / 160.0))
        .map(|distance| (distance, found.depths.rate(distance)))
        .filter(|(_, rate)| *rate > 0.0)
        .collect();
    let x = Axis::over("ticks from the mid", Scale::Log, points.iter().map(|p| p.0));
    let y = Axis::over("orders per second and side", Scale::Log, points.iter().map(|p| p.1));
    let mut plot = Plot::new(360.0, x, y);
    if let Ok(settled) = &found.settled {
        let (lo, hi) = settled.intensity.window;
        plot.stripe(lo.min(farthest), hi.min(farthest), "band");
    }
    plot.line(&points, "ink", "observed");
    let curve = |fit: &ballast_engine::calibration::intensity::Intensity| -> Vec<(f64, f64)> {
        let end = fit.window.1.min(farthest);
        let inside = points.iter().filter(|(distance, _)| *distance <= end);
        inside.map(|(distance, _)| (*distance, fit.rate(*distance))).collect()
    };
    for (reach, fit) in &found.reaches {
        if let Ok(fit) = fit {
            plot.line(&curve(fit), "c6 thin dashed", &format!("to {reach}: k {:.4}", fit.k));
        }
    }
    if let Ok(settled) = &found.settled {
        let name = format!("fit: k {:.4}", settled.intensity.k);
        plot.line(&curve(&settled.intensity), "c2 thick", &name);
    }
    Some(plot.finish())
}

fn decays(found: &Calibration) -> Option<String> {
    let settled = found.settled.as_ref().ok()?;
    let fits: Vec<_> = found
        .windows
        .iter()
        .filter_map(|window| window.fit.as_ref().ok().map(|fit| (window.span, fit)))
        .collect();
    let start = found.span.0;
    let middle = |span: (ballast_engine::units::Nanos, ballast_engine::units::Nanos)| {
        0.5e-9 * (span.0.since(start) as f64 + span.1.since(start) as f64)
    };
    let whole = found.span.1.since(start) as f64 * 1e-9;
    let ends = fits.iter().flat_map(|(_, fit)| [fit.k - fit.k_error, fit.k + fit.k_error]);
    let x = Axis::over("seconds since the start", Scale::Linear, [0.0, whole]);
    let y = Axis::over("k per tick", Scale::Linear, ends.chain([0.0, settled.intensity.k]));
    let mut plot = Plot::new(220.0, x, y);
    plot.level(settled.intensity.k, "the whole", "quiet");
    for (n, (span, fit)) in fits.iter().enumerate() {
        let class = if found.moved.contains(&n) { "bad" } else { "c1" };
        let tip = format!("k {:.5} ± {:.5}, {} orders", fit.k, fit.k_error, fit.ended);
        plot.point(middle(*span), fit.k, fit.k_error, class, &tip);
    }
    (!fits.is_empty()).then(|| plot.finish())
}

fn signature(found: &Calibration) -> Option<String> {
    let volatility = &found.volatility;
    let levels = [
        (volatility.two_scale, "two-scale", "good"),
        (volatility.bipower, "bipower", "warn"),
        (volatility.ewma, "EWMA, last", "quiet"),
    ];
    let shown = levels.iter().filter_map(|level| level.0);
    let of_line = volatility.signature.iter().map(|point| point.1);
    let x = Axis::over(
        "sampling interval, seconds",
        Scale::Log,
        volatility.signature.iter().map(|point| point.0),
    );
    let y = Axis::over("ticks per √s", Scale::Linear, shown.chain(of_line).chain([0.0]));
    let mut plot = Plot::new(260.0, x, y);
    for (value, name, class) in levels {
        if let Some(value) = value {
            plot.level(value, &format!("{name} {}", grouped(value, 1)), class);
        }
    }
    plot.line(&volatility.signature, "c1", "realised");
    (!volatility.signature.is_empty()).then(|| plot.finish())
}

fn micro_price(found: &Calibration) -> Option<String> {
    let (table, states) = found.micro_price.as_ref()?;
    let share = |bucket: usize| (bucket as f64 + 0.5) / IMBALANCE_BUCKETS as f64;
    let ticks = |price: SubTicks| price.0 as f64 / SubTicks::ONE.0 as f64;
    let line = |spread: usize| -> Vec<(f64, f64)> {
        (0..IMBALANCE_BUCKETS)
            .filter(|n| states.seen(spread, *n) > 0.0)
            .map(|n| (share(n), ticks(table.adjustments[spread][n])))
            .collect()
    };
    let lines: Vec<Vec<(f64, f64)>> = (0..SPREAD_BUCKETS).map(line).collect();
    let all = lines.iter().flatten().map(|point| point.1);
    let x = Axis::over("bid's share of the size at the touch", Scale::Linear, [0.0, 1.0]);
    let y = Axis::over("ticks", Scale::Linear, all.chain([0.0]));
    let mut plot = Plot::new(260.0, x, y);
    let names = ["spread 1 tick", "spread 2", "spread wider"];
    for ((line, name), class) in lines.iter().zip(names).zip(["c1", "c2", "c3"]) {
        if !line.is_empty() {
            plot.line(line, class, name);
        }
    }
    Some(plot.finish())
}
