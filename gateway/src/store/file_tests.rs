//! The file store's tests: what a death of the process, of the power or of the disk leaves.

use super::super::keeper::InUse;
use super::*;

/// A folder that is removed at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ballast-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Folder(path)
    }

    fn open(&self) -> FileStore {
        FileStore::open(self.config()).unwrap()
    }

    fn config(&self) -> FileStoreConfig {
        FileStoreConfig {
            segment_bytes: 4096,
            segments_held: 3,
            messages_held: 64,
            sync: SyncPolicy::Never,
            ..FileStoreConfig::new(&self.0)
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn numbers_and_messages_survive_a_reopening() {
    let folder = Folder::new("reopen");
    let mut store = folder.open();
    store.put_outbound_admin().unwrap();
    store.put_outbound(b"order").unwrap();
    store.set_next_target(4).unwrap();
    store.put_inbound(b"report").unwrap();
    drop(store);
    let store = folder.open();
    assert_eq!((store.next_sender(), store.next_target()), (3, 5));
    assert_eq!(store.outbound(1), None);
    assert_eq!(store.outbound(2), Some(&b"order"[..]));
    assert_eq!(store.inbound(4), Some(&b"report"[..]));
    assert_eq!(store.recovered(), Recovered { records: 4, has_torn_tail: false });
}

#[test]
fn a_torn_tail_is_dropped_and_the_store_goes_on() {
    let folder = Folder::new("torn");
    let mut store = folder.open();
    store.put_outbound(b"first").unwrap();
    store.put_outbound(b"second").unwrap();
    drop(store);
    let path = segment_path(&folder.0, 1);
    let mut bytes = std::fs::read(&path).unwrap();
    let torn = record::SEGMENT_HEADER + record::record_len(5) + record::RECORD_HEADER;
    bytes[torn] ^= 0xFF;
    std::fs::write(&path, bytes).unwrap();
    let mut store = folder.open();
    assert_eq!(store.next_sender(), 2);
    assert!(store.recovered().has_torn_tail);
    store.put_outbound(b"2").unwrap();
    drop(store);
    let store = folder.open();
    assert_eq!(store.outbound(2), Some(&b"2"[..]));
    assert_eq!(store.recovered(), Recovered { records: 2, has_torn_tail: false });
}

#[test]
fn every_cut_of_the_last_record_leaves_the_earlier_ones() {
    let folder = Folder::new("cut");
    let mut store = folder.open();
    store.put_outbound(b"first").unwrap();
    let begin = store.offset;
    store.put_outbound(b"second").unwrap();
    let end = store.offset;
    drop(store);
    let path = segment_path(&folder.0, 1);
    let whole = std::fs::read(&path).unwrap();
    for cut in begin..begin + record::RECORD_HEADER + 6 {
        let mut bytes = whole.clone();
        bytes[cut..end].fill(0);
        std::fs::write(&path, bytes).unwrap();
        let store = folder.open();
        assert_eq!(store.next_sender(), 2, "cut at {cut}");
        assert_eq!(store.outbound(1), Some(&b"first"[..]));
    }
}

#[test]
fn damage_before_the_last_segment_is_an_error() {
    let folder = Folder::new("damage");
    let mut store = folder.open();
    for _ in 0..100 {
        store.put_outbound(&[b'x'; 50]).unwrap();
    }
    assert!(store.segments.len() > 1);
    let path = segment_path(&folder.0, store.first_number);
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(FileStore::open(folder.config()), Err(StoreError::Corrupt { .. })));
}

#[test]
fn old_segments_go_and_the_numbers_stay() {
    let folder = Folder::new("retention");
    let mut store = folder.open();
    for _ in 0..1000 {
        store.put_outbound(&[b'x'; 200]).unwrap();
    }
    assert_eq!(store.segments.len(), 3);
    assert_eq!(store.outbound(1), None);
    assert!(store.outbound(1000).is_some());
    drop(store);
    let store = folder.open();
    assert_eq!(store.next_sender(), 1001);
    assert!(store.outbound(1000).is_some());
    // Three held and the one that was prepared at opening.
    drop(store);
    assert!(segment_numbers(&folder.0).unwrap().len() <= 4);
}

#[test]
fn who_only_reads_makes_no_segment_ahead_and_who_writes_after_all_waits_for_it() {
    let folder = Folder::new("to-read");
    drop(folder.open());
    let mut store = FileStore::open_to_read(folder.config()).unwrap();
    assert_eq!(segment_numbers(&folder.0).unwrap(), [1]);
    for _ in 0..30 {
        store.put_outbound(&[b'x'; 200]).unwrap();
    }
    assert_eq!((store.next_sender(), store.waits()), (31, 1));
}

#[test]
fn a_second_process_is_refused() {
    let folder = Folder::new("lock");
    let _store = folder.open();
    assert!(matches!(FileStore::open(folder.config()), Err(StoreError::Locked { .. })));
}

#[test]
fn files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("mode");
    let _store = folder.open();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&segment_path(&folder.0, 1)), 0o600);
    assert_eq!(mode(&folder.0), 0o700);
}

#[test]
fn a_full_disk_is_an_answer_and_nothing_is_written() {
    let error = io_error(Path::new("x"), &std::io::ErrorKind::StorageFull.into());
    assert_eq!(error, StoreError::DiskFull { path: "x".into() });
    let folder = Folder::new("full");
    let mut store = folder.open();
    // The folder is gone under the keeper: the segment in preparation and the next one fail.
    drop(store.keeper.take());
    store.is_preparing = false;
    std::fs::remove_dir_all(&folder.0).unwrap();
    let mut taken = 0;
    let refused = loop {
        match store.put_outbound(&[b'x'; 500]) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Io { .. }));
    assert_eq!(store.next_sender(), taken + 1);
    assert!(store.outbound(taken).is_some());
    assert!(store.put_outbound(&[b'x'; 500]).is_err());
    assert_eq!(store.next_sender(), taken + 1);
    std::fs::create_dir_all(&folder.0).unwrap();
    store.put_outbound(&[b'x'; 500]).unwrap();
    assert_eq!(store.next_sender(), taken + 2);
}

#[test]
fn a_message_larger_than_a_segment_is_refused() {
    let folder = Folder::new("large");
    let mut store = folder.open();
    let refused = store.put_outbound(&[0; 5000]);
    assert_eq!(refused, Err(StoreError::TooLarge { len: 5000, segment: 4032 }));
    assert_eq!(store.next_sender(), 1);
}

#[test]
fn a_reset_survives_a_reopening() {
    let folder = Folder::new("reset");
    let mut store = folder.open();
    store.put_outbound(b"old").unwrap();
    store.reset(Nanos(99)).unwrap();
    drop(store);
    let store = folder.open();
    assert_eq!((store.next_sender(), store.next_target()), (1, 1));
    assert_eq!(store.created_at(), Nanos(99));
    assert_eq!(store.outbound(1), None);
}

/// The folder's only segment, its bytes changed.
fn change(folder: &Folder, number: u32, change: impl FnOnce(&mut Vec<u8>)) {
    let path = segment_path(&folder.0, number);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn a_used_segment_whose_header_is_damaged_is_kept_and_told() {
    let folder = Folder::new("header");
    let mut store = folder.open();
    store.put_outbound(b"order").unwrap();
    drop(store);
    change(&folder, 1, |bytes| bytes[20] ^= 1);
    let path = segment_path(&folder.0, 1);
    let refused = FileStore::open(folder.config()).unwrap_err();
    assert_eq!(refused, StoreError::Corrupt { path: path.clone(), offset: 0 });
    // The same, in a layout of another program.
    change(&folder, 1, |bytes| {
        bytes[20] ^= 1;
        bytes[8] = 9;
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    });
    let refused = FileStore::open(folder.config()).unwrap_err();
    assert_eq!(refused, StoreError::OtherVersion { path, version: 9 });
}

#[test]
fn records_without_their_segments_header_end_the_store_or_refuse_it() {
    let folder = Folder::new("no-header");
    let mut store = folder.open();
    store.put_outbound(b"order").unwrap();
    drop(store);
    let [first, second] = [1, 2].map(|number| segment_path(&folder.0, number));
    let whole = std::fs::read(&first).unwrap();
    // The last one: the power went before its first page reached the disk.
    change(&folder, 2, |bytes| {
        bytes.copy_from_slice(&whole);
        bytes[..record::SEGMENT_HEADER].fill(0);
    });
    // In front of a used one it is a hole, and so is one that is empty.
    let headless = std::fs::read(&second).unwrap();
    let third = segment_path(&folder.0, 3);
    std::fs::write(&third, &whole).unwrap();
    for hole in [vec![0; whole.len()], headless] {
        std::fs::write(&second, hole).unwrap();
        let refused = FileStore::open(folder.config()).unwrap_err();
        assert_eq!(refused, StoreError::Corrupt { path: second.clone(), offset: 0 });
        assert!(second.exists() && first.exists());
    }
    std::fs::remove_file(&third).unwrap();
    let store = folder.open();
    assert_eq!((store.next_sender(), store.outbound(1)), (2, Some(&b"order"[..])));
    assert!(store.recovered().has_torn_tail);
}

#[test]
fn a_segment_that_was_begun_as_the_process_died_costs_nothing() {
    let folder = Folder::new("begun");
    let mut store = folder.open();
    store.put_outbound(b"order").unwrap();
    drop(store);
    // A half-written header, and no record yet.
    change(&folder, 2, |bytes| bytes[..8].copy_from_slice(b"BALSTOR1"));
    let store = folder.open();
    assert_eq!((store.next_sender(), store.outbound(1)), (2, Some(&b"order"[..])));
}

#[test]
fn a_process_killed_between_a_payload_and_its_header_leaves_a_store_that_goes_on() {
    let folder = Folder::new("headless");
    let mut store = folder.open();
    store.put_outbound(b"first").unwrap();
    let begin = store.offset;
    store.put_outbound(&[b'x'; 3000]).unwrap();
    drop(store);
    change(&folder, 1, |bytes| bytes[begin..begin + record::RECORD_HEADER].fill(0));
    let mut store = folder.open();
    assert_eq!(store.next_sender(), 2);
    // A short record there, and one for which a new segment is begun.
    store.put_outbound_admin().unwrap();
    store.put_outbound(&[b'y'; 3990]).unwrap();
    drop(store);
    let store = folder.open();
    assert_eq!(store.next_sender(), 4);
    assert!(store.outbound(3).is_some());
}

#[test]
fn records_behind_a_page_that_was_lost_do_not_come_back() {
    let folder = Folder::new("lost-page");
    let mut store = folder.open();
    store.put_outbound(b"first").unwrap();
    let begin = store.offset;
    let len = record::record_len(10);
    for _ in 2..=9 {
        store.put_outbound(&[b'x'; 10]).unwrap();
    }
    drop(store);
    // Numbers 2 to 4 are lost, 5 to 9 stand behind.
    change(&folder, 1, |bytes| bytes[begin..begin + 3 * len].fill(0));
    let mut store = folder.open();
    assert_eq!(store.next_sender(), 2);
    for _ in 2..=4 {
        store.put_outbound(&[b'y'; 10]).unwrap();
    }
    drop(store);
    let store = folder.open();
    assert_eq!(store.next_sender(), 5, "and not one of those that were lost with the power");
}

#[test]
fn a_device_that_is_full_is_told_as_such_and_the_store_goes_on_once_it_is_not() {
    let folder = Folder::new("enospc");
    let mut store = folder.open();
    // The second segment is made already; the third one has nowhere to go.
    let third = segment_path(&folder.0, 3);
    std::os::unix::fs::symlink("/dev/full", &third).unwrap();
    let mut taken = 0;
    let refused = loop {
        match store.put_outbound(&[b'x'; 500]) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, StoreError::DiskFull { path: third });
    assert_eq!(store.next_sender(), taken + 1);
    assert!(store.outbound(taken).is_some());
    store.put_outbound(&[b'x'; 500]).unwrap();
    drop(store);
    assert_eq!(folder.open().next_sender(), taken + 2);
}

#[test]
fn a_sync_that_the_device_refuses_is_counted() {
    let folder = Folder::new("unsynced");
    let config =
        FileStoreConfig { sync: SyncPolicy::Every(Duration::from_secs(3600)), ..folder.config() };
    let mut store = FileStore::open(config).unwrap();
    assert_eq!(store.sync_failures(), 0);
    // No device can be synced there; the next segment's turn syncs it.
    let in_use = store.segments.back().unwrap().in_use().unwrap();
    store.keeper.watch(InUse { file: File::open("/dev/null").unwrap(), ..in_use });
    for _ in 0..2 * 4096 / 500 {
        store.put_outbound(&[b'x'; 500]).unwrap();
    }
    // The keeper has taken the order once it made the segment after the next.
    let _ = store.keeper.take();
    assert_eq!(store.sync_failures(), 1);
}

/// Messages of which the last is on the device, by the copy's word, and the folder as the death of the process
/// leaves it.
fn synced(folder: &Folder, messages: u64) -> Vec<u8> {
    let sync = SyncPolicy::Every(Duration::from_millis(5));
    let config = FileStoreConfig { segment_bytes: 1 << 16, sync, ..folder.config() };
    let mut store = FileStore::open(config).unwrap();
    for _ in 0..messages {
        store.put_outbound(&[b'x'; 100]).unwrap();
    }
    let copy = copy_path(&segment_path(&folder.0, 1));
    let is_there =
        || std::fs::read(&copy).is_ok_and(|copy| record::whole_records(&copy) == store.offset);
    while !is_there() {
        std::thread::yield_now();
    }
    std::fs::read(&copy).unwrap()
}

#[test]
fn what_was_synced_outlives_the_loss_of_any_page_of_its_segment() {
    let folder = Folder::new("power");
    let copy = synced(&folder, 200);
    let whole = std::fs::read(segment_path(&folder.0, 1)).unwrap();
    assert_eq!(copy, whole[..copy.len()]);
    for page in 0..copy.len().div_ceil(4096) {
        change(&folder, 1, |bytes| {
            bytes.copy_from_slice(&whole);
            bytes[page * 4096..(page + 1) * 4096].fill(0);
        });
        std::fs::write(copy_path(&segment_path(&folder.0, 1)), &copy).unwrap();
        let store = folder.open();
        assert_eq!((store.next_sender(), store.recovered().records), (201, 200), "page {page}");
        assert!(store.outbound(200).is_some());
        drop(store);
        // The segment has it now, and the copy is gone.
        assert_eq!(std::fs::read(segment_path(&folder.0, 1)).unwrap(), whole, "page {page}");
        assert_eq!(folder.open().next_sender(), 201);
    }
}

#[test]
fn what_a_cut_copy_holds_is_taken_and_a_segment_that_holds_more_is_left() {
    let folder = Folder::new("cut-copy");
    let copy = synced(&folder, 20);
    let path = copy_path(&segment_path(&folder.0, 1));
    let whole = std::fs::read(segment_path(&folder.0, 1)).unwrap();
    let len = record::record_len(100);
    for cut in (0..copy.len()).step_by(31) {
        // The device wrote the copy so far, and of the segment ten messages.
        change(&folder, 1, |bytes| {
            bytes.copy_from_slice(&whole);
            bytes[record::SEGMENT_HEADER + 10 * len..].fill(0);
        });
        std::fs::write(&path, &copy[..cut]).unwrap();
        let whole_in_copy = cut.saturating_sub(record::SEGMENT_HEADER) / len;
        let wanted = 1 + whole_in_copy.max(10) as u64;
        assert_eq!(folder.open().next_sender(), wanted, "cut at {cut}");
    }
}

#[test]
fn a_segment_that_is_full_is_synced_itself_and_has_no_copy() {
    let folder = Folder::new("full-copy");
    synced(&folder, 20);
    let sync = SyncPolicy::Every(Duration::from_millis(5));
    let mut store =
        FileStore::open(FileStoreConfig { segment_bytes: 1 << 16, sync, ..folder.config() })
            .unwrap();
    for _ in 0..2_000 {
        store.put_outbound(&[b'x'; 100]).unwrap();
    }
    let copy_of = |number| copy_path(&segment_path(&folder.0, number));
    while !copy_of(store.last_number()).exists() {
        std::thread::yield_now();
    }
    assert!(
        store.last_number() > 2 && (1..store.last_number()).all(|number| !copy_of(number).exists())
    );
    assert_eq!(store.sync_failures(), 0);
}

/// Page faults of this thread so far.
fn faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    after_name.split_whitespace().nth(7).unwrap().parse().unwrap()
}

#[test]
fn a_copy_of_another_segment_is_told_and_neither_is_touched() {
    let folder = Folder::new("other-copy");
    let mut copy = synced(&folder, 20);
    let [segment, path] = [segment_path(&folder.0, 1), copy_path(&segment_path(&folder.0, 1))];
    // The third of its messages is another one, and whole.
    let third = record::SEGMENT_HEADER + 2 * record::record_len(100);
    assert!(record::write(&mut copy, third, Kind::Outbound, 3, &[b'y'; 100]));
    std::fs::write(&path, &copy).unwrap();
    let before = std::fs::read(&segment).unwrap();
    let refused = FileStore::open(folder.config()).unwrap_err();
    assert_eq!(refused, StoreError::Corrupt { path: path.clone(), offset: 0 });
    assert_eq!(std::fs::read(&segment).unwrap(), before);
    assert_eq!(std::fs::read(&path).unwrap(), copy);
}

#[test]
fn who_writes_feels_nothing_of_a_sync() {
    let folder = Folder::new("faults");
    let sync = SyncPolicy::Every(Duration::from_millis(5));
    let config = FileStoreConfig { segment_bytes: 1 << 20, sync, ..folder.config() };
    let mut store = FileStore::open(config).unwrap();
    // Once there is a copy the keeper has looked after the pages ahead, and of these no more are written
    // than it keeps: a device that takes its time with a sync does not make the keeper too late.
    while !copy_path(&segment_path(&folder.0, 1)).exists() {
        std::thread::yield_now();
    }
    let before = faults();
    for _ in 0..1_000 {
        store.put_outbound(&[b'x'; 200]).unwrap();
        std::thread::park_timeout(Duration::from_micros(200));
    }
    let taken = faults() - before;
    assert!(taken < 12, "{taken} page faults for a thousand messages among dozens of syncs");
}
