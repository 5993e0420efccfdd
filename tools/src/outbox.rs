//! What treasury is asked for: `treasury.jsonl` in the state folder, one line a request.
//!
//! Fed by the back office with the maker's telemetry, off every hot thread; read by whoever moves
//! money. Open transfers are told with every sample, and what is not in the file yet is added: a
//! sample that is lost, or a line that could not be written, is made good by the next. A request is told
//! once the journal has it, or a crash between the two would have the next run ask for the same again
//! under another name. The file outlives runs; a request is in it once. Deliberately absent: what became
//! of it. An operator says that (`ballast book transfer-sent`, `transfer-arrived`, `transfer-refused`).

use crate::config::ConfigFile;
use crate::config::instruments::InstrumentTable;
use crate::holdings_report;
use ballast_engine::inventory::transfer::{Transfer, TransferId, TransferStage};
use ballast_engine::maker::snapshot::HoldingsNews;
use ballast_engine::maker::stage::Telemetry;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file's name in the state folder.
pub const FILE: &str = "treasury.jsonl";

/// The outbox of one state folder.
pub struct Outbox {
    path: PathBuf,
    table: InstrumentTable,
    written: BTreeSet<TransferId>,
    /// Told by telemetry; the journal may not have them yet.
    waiting: Vec<Transfer>,
    /// The last line has no end: a process died while it wrote it.
    is_torn: bool,
    has_failed: bool,
}

impl Outbox {
    /// The outbox in `folder`, with what earlier runs asked for.
    pub fn open(folder: &Path, file: &ConfigFile) -> Outbox {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let id = |line: &str| {
            let row: Value = serde_json::from_str(line).ok()?;
            row["transfer"].as_str()?.parse().ok()
        };
        Outbox {
            written: text.lines().filter_map(id).collect(),
            is_torn: !text.is_empty() && !text.ends_with('\n'),
            waiting: Vec::new(),
            path,
            table: file.table.clone(),
            has_failed: false,
        }
    }

    /// Takes one piece of telemetry.
    pub fn see(&mut self, telemetry: &Telemetry) {
        let Telemetry::Holdings { news: HoldingsNews::Transfer(transfer), .. } = telemetry else {
            return;
        };
        let is_known = self.waiting.iter().any(|waiting| waiting.id == transfer.id);
        let is_new = !is_known && !self.written.contains(&transfer.id);
        if transfer.stage == TransferStage::Requested && is_new {
            self.waiting.push(*transfer);
        }
    }

    /// The journal has all that came before the telemetry seen so far: treasury may be asked.
    pub fn on_journaled(&mut self) {
        for transfer in std::mem::take(&mut self.waiting) {
            self.tell(&transfer);
        }
    }

    fn tell(&mut self, transfer: &Transfer) {
        match self.write(transfer) {
            Ok(()) => {
                self.written.insert(transfer.id);
                self.has_failed = false;
                let row = holdings_report::transfer(&self.table, transfer);
                tracing::warn!(request = %row, "treasury is asked for a transfer");
            }
            Err(error) if !self.has_failed => {
                self.has_failed = true;
                let path = self.path.display();
                tracing::error!(%path, %error, "a request to treasury cannot be written; tried again");
            }
            Err(_) => {}
        }
    }

    fn write(&mut self, transfer: &Transfer) -> io::Result<()> {
        let row = holdings_report::transfer(&self.table, transfer);
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).mode(0o600).open(&self.path)?;
        let before = if self.is_torn { "\n" } else { "" };
        // A line that is written in part is torn until it was written whole.
        self.is_torn = true;
        file.write_all(format!("{before}{row}\n").as_bytes())?;
        file.sync_data()?;
        self.is_torn = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ballast_engine::event::VenueId;
    use ballast_engine::instrument::Currency;
    use ballast_engine::inventory::transfer::Moved;
    use ballast_engine::units::Nanos;

    fn told(number: u32, stage: TransferStage) -> Telemetry {
        let transfer = Transfer {
            id: TransferId { epoch: 7, number },
            currency: Currency(0),
            from: VenueId(0),
            to: VenueId(0),
            moved: Moved::Cash,
            leaves: 1_500_000_000,
            arrives: 1_499_000_000,
            stage,
            since: Nanos(3),
        };
        Telemetry::Holdings { at: Nanos(4), news: HoldingsNews::Transfer(transfer) }
    }

    #[test]
    fn a_request_is_written_once_also_over_runs_and_after_a_torn_line() {
        let folder = std::env::temp_dir().join(format!("ballast-outbox-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let file = ConfigFile::demo().unwrap();
        let mut outbox = Outbox::open(&folder, &file);
        let path = folder.join(FILE);
        for _ in 0..3 {
            outbox.see(&told(1, TransferStage::Requested));
        }
        assert!(!path.exists(), "the journal has not said yet that it has it");
        outbox.on_journaled();
        outbox.see(&told(1, TransferStage::Requested));
        outbox.see(&told(9, TransferStage::Sent));
        outbox.on_journaled();
        let first = fs::read_to_string(&path).unwrap();
        assert_eq!(first.lines().count(), 1, "{first}");
        let row: Value = serde_json::from_str(first.trim_end()).unwrap();
        assert_eq!(
            (row["transfer"].as_str(), row["amount"].as_str()),
            (Some("7-1"), Some("1.500000000"))
        );
        fs::write(&path, format!("{first}{{\"transfer\":\"7-")).unwrap();
        let mut outbox = Outbox::open(&folder, &file);
        outbox.see(&told(1, TransferStage::Requested));
        outbox.see(&told(2, TransferStage::Requested));
        outbox.on_journaled();
        let text = fs::read_to_string(&path).unwrap();
        let ids: Vec<_> = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .map(|row| row["transfer"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids, ["7-1", "7-2"]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
