//! Metrics in the OpenMetrics text format on a loopback port, where the config names one.
//!
//! Fed by the desk's standing, read anew for every scrape; feeds Prometheus. A thread of its own that
//! answers one connection at a time. Loopback alone, which the config's check enforces. Absent: labels
//! with more values than the config has names.

use super::desk::Desk;
use super::standing::Latency;
use super::status::Names;
use crate::session_watch::SessionWatch;
use ballast_engine::risk::collateral::CollateralView;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

type Labels = Vec<(&'static str, String)>;
type Values = Family<Labels, Gauge<f64, AtomicU64>>;

/// The port.
pub struct Metrics {
    door: TcpListener,
}

impl Metrics {
    /// Listens.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn open(address: SocketAddr) -> io::Result<Metrics> {
        let door = TcpListener::bind(address)?;
        door.set_nonblocking(true)?;
        Ok(Metrics { door })
    }

    /// Answers scrapes until told to end.
    pub fn serve(self, names: &Names, desk: &Desk, end: &Arc<AtomicBool>) {
        let look = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        while !end.load(Ordering::Acquire) {
            let mut waits = [PollFd::new(&self.door, PollFlags::IN)];
            let _ = poll(&mut waits, Some(&look));
            while let Ok((stream, _)) = self.door.accept() {
                // A scrape that fails is the scraper's to repeat.
                let _ = answer(stream, names, desk);
            }
        }
    }
}

fn answer(mut stream: TcpStream, names: &Names, desk: &Desk) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.set_write_timeout(Some(Duration::from_secs(1)))?;
    let mut request = [0; 4096];
    let count = stream.read(&mut request)?;
    let is_scrape = request[..count].starts_with(b"GET /metrics ");
    let (status, body) = match is_scrape {
        true => ("200 OK", text(names, desk)),
        false => ("404 Not Found", "GET /metrics\n".to_owned()),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/openmetrics-text; version=1.0.0; \
         charset=utf-8\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// How the collateral stands.
fn collateral(view: CollateralView) -> [(&'static str, &'static str, f64); 4] {
    let part = |ppm: u32| f64::from(ppm) * 1e-6;
    let distance = "Least move of all prices that liquidates, as a part; 1 for none";
    let addable = "How often every quote may be filled before a scenario passes the stress's limit";
    let loss = "Of the worst scenario, in the reporting currency";
    [
        ("collateral_utilisation", "Margin over collateral", part(view.utilisation_ppm)),
        ("liquidation_distance", distance, part(view.distance_ppm)),
        ("stressed_loss", loss, view.stressed_loss as f64 * 1e-9),
        ("collateral_addable", addable, part(view.addable_ppm)),
    ]
}

/// What came over the drop copies.
fn drop_copies(desk: &Desk) -> Vec<(Labels, f64)> {
    let copies = desk.sessions().iter().filter_map(|watch| Some((&watch.name, watch.copies()?)));
    let rows = copies.flat_map(|(name, counts)| {
        ["seen", "confirmed", "missed"].into_iter().zip(counts).map(|(what, count)| {
            (vec![("session", name.clone()), ("what", what.to_owned())], count as f64)
        })
    });
    rows.collect()
}

/// Syncs of the message stores that their device refused.
fn unsynced(desk: &Desk) -> Vec<(Labels, f64)> {
    let row = |watch: &SessionWatch| {
        (vec![("session", watch.name.clone())], watch.sync_failures() as f64)
    };
    desk.sessions().iter().map(row).collect()
}

fn latencies(all: &[Latency]) -> Vec<(Labels, f64)> {
    let rows = all.iter().flat_map(|latency| {
        ["p50", "p99", "p99.9", "max"].into_iter().zip(latency.nanos).map(|(at, nanos)| {
            let labels = vec![("stretch", latency.name.to_owned()), ("at", at.to_owned())];
            (labels, nanos as f64 * 1e-9)
        })
    });
    rows.collect()
}

/// All metrics as they are now.
pub fn text(names: &Names, desk: &Desk) -> String {
    let standing = desk.standing().clone();
    let mut registry = Registry::with_prefix("ballast");
    let mut family = |name: &str, help: &str, rows: Vec<(Labels, f64)>| {
        let values = Values::default();
        for (labels, value) in rows {
            values.get_or_create(&labels).set(value);
        }
        registry.register(name, help, values);
    };
    let one = |value: f64| vec![(Labels::new(), value)];
    let of = |key: &'static str, name: &str| vec![(key, name.to_owned())];
    family("killed", "1 after a kill", one(f64::from(u8::from(desk.killed().is_some()))));
    family("epoch", "Number of the run", one(f64::from(desk.epoch())));
    let up = desk.sessions().iter();
    let up = up.map(|watch| (of("session", &watch.name), f64::from(u8::from(watch.is_up()))));
    family("session_up", "1 while logged on", up.collect());
    family("store_sync_failures", "Syncs that the device refused", unsynced(desk));
    family("drop_copy_executions", "Missed: told by the drop copy alone", drop_copies(desk));
    let states = standing.states.iter().enumerate();
    let states = states.map(|(n, (state, _))| (of("symbol", names.symbol(n)), *state as u8));
    let states = states.map(|(labels, state)| (labels, f64::from(state)));
    family("state", "0 quoting, 1 reducing, 2 paused, 3 halted", states.collect());
    let samples = standing.instruments.iter().enumerate();
    let positions = samples.filter_map(|(n, sample)| {
        sample.map(|sample| (of("symbol", names.symbol(n)), sample.position.0 as f64))
    });
    family("position_lots", "Position in lots", positions.collect());
    let deltas = standing.deltas.iter().enumerate();
    let deltas = deltas.filter_map(|(n, delta)| {
        Some((of("underlying", names.underlying(n)), delta.as_ref()?.0 as f64 * 1e-9))
    });
    family("net_delta", "Exposure from its target, in units of the underlying", deltas.collect());
    if let Some((causes, total)) = &standing.pnl {
        let rows = causes.iter().map(|(cause, amount)| (cause.name(), amount.0));
        let rows = rows.chain([("total", total.0)]);
        let rows = rows.map(|(name, amount)| (of("cause", name), amount as f64 * 1e-9));
        family("pnl", "In the reporting currency", rows.collect());
    }
    let view = standing.collateral.as_ref().map(|watched| watched.view);
    for (name, help, value) in view.into_iter().flat_map(collateral) {
        family(name, help, one(value));
    }
    let blocked = standing.blocked.iter().map(|(reason, n)| (of("reason", reason), *n as f64));
    family("blocked", "Proposals that the gate blocked", blocked.collect());
    let changes = standing.changes.iter().map(|(reason, n)| (of("reason", reason), *n as f64));
    family("state_changes", "Changes of an instrument's state", changes.collect());
    family("latency_seconds", "Percentiles since the start", latencies(&standing.latency));
    let window = latencies(&standing.latency_window);
    family("latency_window_seconds", "Percentiles of the last whole ten seconds", window);
    let dropped = one(standing.latency_dropped as f64);
    family("latency_samples_dropped", "Latencies that found no room", dropped);
    let drift = one(standing.drift_ppb as f64 * 1e-9);
    family("counter_drift_ratio", "How far the counter of latencies is off", drift);
    registry.register("fills", "Fills booked", ConstCounter::new(standing.fills));
    let mut out = String::new();
    // Writing into a string fails nowhere.
    let _ = encode(&mut out, &registry);
    out
}
