//! A start from a snapshot is a start from the journal's beginning: the same positions, orders, losses and
//! halts, whichever snapshot is sound, and fewer inputs replayed. What is wrong with one is told.

mod journaled_play;

use ballast::backtest::plan::Market;
use ballast::config::ConfigFile;
use ballast::config::overrides::Overrides;
use ballast::operator::archivist::binary_identity;
use ballast::recovery::proof::prove;
use ballast::recovery::shadow::Shadow;
use ballast::recovery::{Told, recover};
use ballast::state_dir::StateDir;
use ballast_engine::journal::hash::Sha;
use ballast_engine::journal::header::Header;
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::journal::record::Record;
use ballast_engine::journal::segments::Segments;
use ballast_engine::journal::snapshot::{Snapshot, SnapshotFault};
use ballast_engine::journal::writer::JournalWriter;
use ballast_engine::maker::resumption::Resumption;
use ballast_engine::units::Nanos;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A state folder whose one run died, with the snapshots that were taken of it.
struct Died {
    folder: PathBuf,
    file: ConfigFile,
    journal: PathBuf,
    snapshots: Vec<PathBuf>,
}

impl Drop for Died {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn records(file: &ConfigFile, folder: &Path) -> Vec<Record> {
    let path = folder.join("played.blj");
    let market = Market::Synthetic { seed: 7, duration_ns: 20_000_000_000 };
    journaled_play::play(file, market, [None, None], &path);
    let records = JournalReader::open(&path).unwrap().map(Result::unwrap);
    let mut records: Vec<Record> = records.collect();
    // It died before it had cancelled anything.
    records.truncate(records.len() * 9 / 10);
    records
}

impl Died {
    /// Snapshots are taken after these shares of the records, in percent.
    fn new(name: &str, shares: &[usize]) -> Died {
        let folder =
            std::env::temp_dir().join(format!("ballast-snap-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        // Without fees there is more to trade.
        let overrides = Overrides { no_fees: true, ..Overrides::default() };
        let file = ConfigFile::demo().unwrap().changed(&overrides).unwrap();
        let state = StateDir::open(&folder).unwrap();
        let records = records(&file, &folder);
        let mut config = file.maker(state.epoch()).unwrap();
        let mut resumption = Resumption::default();
        resumption.open_as(&config);
        resumption.begin(&mut config);
        let header = Header {
            epoch: state.epoch(),
            started: Nanos(0),
            binary: binary_identity(),
            config: file.text.clone(),
            resumption: config.resumption.clone(),
        };
        let first = state.journal();
        // Several segments, so that a place is found in a later one.
        let sink = Segments::create(&first, 200_000, Box::new(drop)).unwrap();
        let mut writer = JournalWriter::over(sink, &first, &header).unwrap();
        let (mut shadow, mut snapshots) = (Shadow::new(&first), Vec::new());
        let mut written = 0;
        for share in shares.iter().copied().chain([100]) {
            let until = records.len() * share / 100;
            records[written..until].iter().for_each(|record| writer.append(record).unwrap());
            writer.flush().unwrap();
            written = until;
            if share < 100 {
                // The disk is full at first; the run, its journal and the next snapshot go on.
                let partial = folder.join("snapshot-000001.partial");
                std::os::unix::fs::symlink("/dev/full", &partial).unwrap();
                let told = shadow.take().unwrap_err().to_string();
                assert!(told.contains("cannot take a snapshot of: no storage space"), "{told}");
                records[until..until + 1].iter().for_each(|record| writer.append(record).unwrap());
                writer.flush().unwrap();
                written += 1;
                snapshots.extend(shadow.take().unwrap());
            }
        }
        assert_eq!(snapshots.len(), shares.len());
        Died { folder, file, journal: first, snapshots }
    }

    fn start(&self) -> (Told, Resumption) {
        let state = StateDir::open(&self.folder).unwrap();
        let mut config = self.file.maker(state.epoch()).unwrap();
        let told = recover(&self.file, &mut config, &state, false).unwrap().unwrap();
        assert!(!told.differs, "{told}");
        (told, config.resumption.unwrap())
    }

    /// What `ballast replay` says of its snapshots.
    fn looked_at(&self) -> Vec<Result<u64, SnapshotFault>> {
        let proof = prove(&self.journal, None).unwrap();
        assert!(proof.replay.is_identical());
        assert_eq!(proof.holds(), proof.snapshots.iter().all(|found| !found.is_wrong()));
        proof.snapshots.into_iter().map(|found| found.outcome).collect()
    }

    /// What `ballast journal` prints.
    fn printed(&self, arguments: &[&str]) -> String {
        let mut journal = Command::new(env!("CARGO_BIN_EXE_ballast"));
        let output = journal.arg("journal").arg(&self.journal).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn without_snapshots(&self) -> (Told, Resumption) {
        let aside = |path: &Path| PathBuf::from(format!("{}.aside", path.display()));
        self.snapshots.iter().for_each(|path| drop(std::fs::rename(path, aside(path))));
        let start = self.start();
        self.snapshots.iter().for_each(|path| drop(std::fs::rename(aside(path), path)));
        start
    }
}

#[test]
fn a_start_from_a_snapshot_is_the_start_from_the_beginning() {
    for share in [1, 37, 99] {
        let died = Died::new("equal", &[share]);
        let (whole, expected) = died.without_snapshots();
        assert_eq!(whole.skipped, 0);
        assert!(expected.fills.len() > 10 && !expected.orders.is_empty(), "there is much to know");
        let (told, resumption) = died.start();
        assert!(told.skipped > 0 && told.skipped < told.inputs, "{told}");
        assert_eq!((told.inputs, told.crashed), (whole.inputs, whole.crashed));
        assert_eq!(resumption, expected, "from a snapshot after {share} % of the records");
    }
}

#[test]
fn going_through_snapshots_anywhere_is_the_same_maker() {
    let died = Died::new("through", &[50]);
    for every in [97, 1_000] {
        let proof = prove(&died.journal, Some(every)).unwrap();
        let through = proof.through.unwrap();
        assert!(proof.holds() && through.snapshots > 5 && through.bytes_max > 0, "{proof:?}");
    }
}

#[test]
fn a_snapshot_that_is_not_sound_falls_back_to_the_one_before_and_then_to_the_beginning() {
    let died = Died::new("torn", &[30, 60]);
    let (_, expected) = died.without_snapshots();
    let (latest, _) = died.start();
    assert!(matches!(died.looked_at()[..], [Ok(one), Ok(other)] if 0 < one && one < other));
    let mut bytes = std::fs::read(&died.snapshots[1]).unwrap();
    bytes.pop();
    std::fs::write(&died.snapshots[1], bytes).unwrap();
    let (earlier, resumption) = died.start();
    assert!(0 < earlier.skipped && earlier.skipped < latest.skipped, "{earlier}");
    assert_eq!(resumption, expected);
    let mut bytes = std::fs::read(&died.snapshots[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&died.snapshots[0], bytes).unwrap();
    let (none, resumption) = died.start();
    assert_eq!((none.skipped, resumption), (0, expected));
    assert_eq!(died.looked_at(), [Err(SnapshotFault::Damaged), Err(SnapshotFault::Damaged)]);
}

#[test]
fn a_snapshot_of_another_binary_config_or_place_is_none_and_told_as_what_it_is() {
    let died = Died::new("foreign", &[30, 60]);
    let (_, expected) = died.without_snapshots();
    let [earlier, sound] = [0, 1].map(|n| Snapshot::read(&died.snapshots[n]).unwrap());
    std::fs::remove_file(&died.snapshots[0]).unwrap();
    let mut beyond = sound.place;
    beyond.offset += 1 << 40;
    let state = vec![1, 2, 3];
    for (snapshot, fault) in [
        (Snapshot { binary: "0".into(), ..sound.clone() }, SnapshotFault::Binary("0".into())),
        (Snapshot { config: Sha([0; 32]), ..sound.clone() }, SnapshotFault::Config),
        (Snapshot { seed: !sound.seed, ..sound.clone() }, SnapshotFault::Run),
        (Snapshot { place: beyond, ..sound.clone() }, SnapshotFault::Beyond(beyond.offset)),
        (Snapshot { state, ..sound.clone() }, SnapshotFault::Differs),
        (Snapshot { place: earlier.place, ..sound.clone() }, SnapshotFault::Differs),
    ] {
        std::fs::write(&died.snapshots[1], snapshot.encode()).unwrap();
        let (told, resumption) = died.start();
        assert_eq!((told.skipped, &resumption), (0, &expected), "{fault}");
        assert_eq!(died.looked_at(), [Err(fault)]);
    }
}

#[test]
fn the_journal_lists_the_snapshots_beside_it_and_what_is_wrong_with_one() {
    let died = Died::new("listed", &[30, 60]);
    let [first, second] = [0, 1].map(|n| Snapshot::read(&died.snapshots[n]).unwrap());
    let mut bytes = std::fs::read(&died.snapshots[1]).unwrap();
    bytes.pop();
    std::fs::write(&died.snapshots[1], bytes).unwrap();
    let [sound, damaged] = [0, 1].map(|n| died.snapshots[n].to_str().unwrap());

    let told: Value = serde_json::from_str(&died.printed(&["--json"])).unwrap();
    assert!(first.inputs < second.inputs && second.inputs < told["inputs"].as_u64().unwrap());
    let listed = told["snapshots"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0]["path"], sound);
    assert_eq!(listed[0]["inputs"], first.inputs);
    assert_eq!(listed[0]["now_ns"], first.at.0);
    assert_eq!(listed[0]["binary"], first.binary.as_str());
    assert_eq!(listed[1]["path"], damaged);
    assert_eq!(listed[1]["fault"], SnapshotFault::Damaged.to_string());

    let text = died.printed(&[]);
    let last: Vec<&str> = text.lines().rev().take(2).collect();
    assert!(last[1].starts_with(&format!("{sound}: after {} inputs, at ", first.inputs)), "{text}");
    assert_eq!(last[0], format!("{damaged}: {}", SnapshotFault::Damaged));
}
