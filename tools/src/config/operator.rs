//! `[operator]` and `[journal]`: who may order, what watches, what is kept. Every key has a default;
//! nothing here protects less than its default unless it is written down.
//!
//! Fed by the config file; feeds the operator's threads and the journal. Absent: trading parameters.

use super::faults::Faults;
use ballast_gateway::store::SyncPolicy;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `[operator]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawOperator {
    /// The socket; `operator.sock` in the state folder where it is left out.
    pub socket: Option<PathBuf>,
    /// Users beside the process's own and root who may connect; then the socket's group may, too (0660),
    /// and a start is refused where its folder lets nobody else in. Root is another operator than who asked
    /// for a raised limit only where it is named here.
    pub uids: Vec<u32>,
    /// Names that may confirm a raised limit with `--as`; another uid always may.
    pub second: Vec<String>,
    /// How long a raised limit waits for its confirmation; 60 where it is left out.
    pub confirm_within_s: Option<u64>,
    /// A file that kills as soon as it is there; `kill` in the state folder where it is left out.
    pub kill_file: Option<PathBuf>,
    /// A maker without a turn for so long is stuck; 2000 where it is left out.
    pub watchdog_ms: Option<u64>,
    /// Does a lost order session kill? Without it, its instruments pause until it is back.
    pub kill_on_session_loss: bool,
    /// Loopback address of the metrics port; none where it is left out.
    pub metrics: Option<SocketAddr>,
    /// Command and arguments that get every alert as JSON on standard input.
    pub alert_command: Vec<String>,
}

impl RawOperator {
    /// Where the socket is.
    pub fn socket_in(&self, state: &Path) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| state.join(crate::operator::socket::SOCKET))
    }

    /// Which file kills.
    pub fn kill_file_in(&self, state: &Path) -> PathBuf {
        self.kill_file.clone().unwrap_or_else(|| state.join("kill"))
    }

    /// How long a confirmation may take, in seconds.
    pub fn confirm_s(&self) -> u64 {
        self.confirm_within_s.unwrap_or(60)
    }

    /// How long the maker may go without a turn, in milliseconds.
    pub fn stuck_ms(&self) -> u64 {
        self.watchdog_ms.unwrap_or(2_000)
    }

    /// Adds what may not stand.
    pub fn check(&self, faults: &mut Faults) {
        if let Some(address) = self.metrics.filter(|address| !address.ip().is_loopback()) {
            faults.add("operator.metrics", address, "a loopback address, such as 127.0.0.1:9464");
        }
        if !(100..=60_000).contains(&self.stuck_ms()) {
            faults.add("operator.watchdog_ms", self.stuck_ms(), "100 to 60000");
        }
        if !(1..=3_600).contains(&self.confirm_s()) {
            faults.add("operator.confirm_within_s", self.confirm_s(), "1 to 3600");
        }
        for name in self.second.iter().filter(|name| name.is_empty() || name.len() > 16) {
            faults.add("operator.second", format!("{name:?}"), "names of 1 to 16 bytes");
        }
    }
}

/// `[journal]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawJournal {
    /// Size at which a segment ends; 256 where it is left out. Days end one as well.
    pub segment_mb: Option<u64>,
    /// Leave ended segments as they are? Else they are compressed (zstd).
    pub uncompressed: bool,
    /// Journals of runs that ended longer ago are deleted; kept for ever where it is left out.
    pub keep_days: Option<u64>,
    /// How often the FIX message stores are forced to disk, off the hot threads; 100 where it is left
    /// out, and 0 leaves it to the system.
    pub store_sync_ms: Option<u64>,
    /// A snapshot of the run's state every so often; 300 where it is left out, 0 for none.
    pub snapshot_s: Option<u64>,
}

impl RawJournal {
    /// Time between two snapshots, if there are any.
    pub fn snapshot_every(&self) -> Option<std::time::Duration> {
        let seconds = self.snapshot_s.unwrap_or(300);
        (seconds > 0).then(|| std::time::Duration::from_secs(seconds))
    }

    /// Size of a segment in bytes.
    pub fn segment_bytes(&self) -> u64 {
        self.segment_mb.unwrap_or(256).saturating_mul(1 << 20)
    }

    /// When the message stores are forced to disk.
    pub fn store_sync(&self) -> SyncPolicy {
        match self.store_sync_ms.unwrap_or(100) {
            0 => SyncPolicy::Never,
            ms => SyncPolicy::Every(Duration::from_millis(ms)),
        }
    }

    /// Adds what may not stand.
    pub fn check(&self, faults: &mut Faults) {
        if let Some(ms @ 60_001..) = self.store_sync_ms {
            faults.add("journal.store_sync_ms", ms, "0 to 60000; 0 leaves it to the system");
        }
        let megabytes = self.segment_mb.unwrap_or(256);
        if !(1..=65_536).contains(&megabytes) {
            faults.add("journal.segment_mb", megabytes, "1 to 65536");
        }
        if self.snapshot_s.is_some_and(|seconds| seconds > 86_400) {
            faults.add("journal.snapshot_s", self.snapshot_s.unwrap_or(0), "0 to 86400");
        }
        if self.keep_days == Some(0) {
            faults.add("journal.keep_days", 0, "at least 1, or leave it out to keep everything");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_stores_are_synced_as_the_file_says() {
        let read = |text: &str| toml::from_str::<RawJournal>(text).unwrap();
        let every = |ms| SyncPolicy::Every(Duration::from_millis(ms));
        assert_eq!(read("").store_sync(), every(100));
        assert_eq!(read("store_sync_ms = 5").store_sync(), every(5));
        assert_eq!(read("store_sync_ms = 0").store_sync(), SyncPolicy::Never);
        let faults_of = |text: &str| {
            let mut faults = Faults::default();
            read(text).check(&mut faults);
            faults.to_string()
        };
        assert!(faults_of("store_sync_ms = 60000").starts_with("0 faults"));
        assert!(faults_of("store_sync_ms = 60001").contains("journal.store_sync_ms = 60001"));
    }

    #[test]
    fn metrics_are_told_on_a_loopback_address_alone() {
        let faults_of = |address: &str| {
            let mut faults = Faults::default();
            let raw: RawOperator = toml::from_str(&format!("metrics = \"{address}\"")).unwrap();
            raw.check(&mut faults);
            faults.to_string()
        };
        for loopback in ["127.0.0.1:9464", "127.255.255.255:1", "[::1]:9464"] {
            assert!(faults_of(loopback).starts_with("0 faults"), "{loopback}");
        }
        for open in ["0.0.0.0:9464", "[::]:9464", "126.255.255.255:1", "128.0.0.0:1", "[::2]:1"] {
            assert!(faults_of(open).contains("operator.metrics"), "{open}");
        }
    }
}
