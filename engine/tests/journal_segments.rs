//! A journal in segments: one stream over many files, compressed or not, whole or said to be not.

use ballast_engine::event::InstrumentId;
use ballast_engine::journal::archive::{compress, compress_earlier, delete_old};
use ballast_engine::journal::fault::JournalFault;
use ballast_engine::journal::header::Header;
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::journal::record::Record;
use ballast_engine::journal::segments::{Segments, segment_path};
use ballast_engine::journal::writer::{JournalWriter, Sink};
use ballast_engine::maker::input::Control;
use ballast_engine::maker::resumption::Resumption;
use ballast_engine::units::Nanos;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const SEGMENT_BYTES: u64 = 400;

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("ballast-seg-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn header() -> Header {
    let config = "[limits]".into();
    Header { epoch: 7, started: Nanos(1), binary: "test".into(), config, resumption: None }
}

fn record(number: u64) -> Record {
    let control = Control::Pause(InstrumentId(u16::try_from(number % 5).unwrap()));
    Record::Control { number, now: Nanos(number), control }
}

/// Writes a run of `count` records, flushed one by one; answers its first segment.
fn write(folder: &Path, epoch: u32, count: u64, is_ended: bool) -> PathBuf {
    let first = folder.join(format!("journal-{epoch:06}.blj"));
    let sink = Segments::create(&first, SEGMENT_BYTES, Box::new(|_| {})).unwrap();
    let mut writer = JournalWriter::over(sink, &first, &header()).unwrap();
    for number in 0..count {
        writer.append(&record(number)).unwrap();
        writer.flush().unwrap();
    }
    if is_ended {
        writer.finish().unwrap();
    }
    first
}

fn segments(first: &Path) -> Vec<PathBuf> {
    (1..).map(|n| segment_path(first, n)).take_while(|path| path.exists()).collect()
}

/// The good records, and the fault that ended them.
fn read(path: &Path) -> (Vec<Record>, Option<JournalFault>) {
    let mut records = Vec::new();
    let reader = match JournalReader::open(path) {
        Ok(reader) => reader,
        Err(fault) => return (records, Some(fault)),
    };
    for next in reader {
        match next {
            Ok(record) => records.push(record),
            Err(fault) => return (records, Some(fault)),
        }
    }
    (records, None)
}

fn is_start_of_the_run(records: &[Record]) -> bool {
    let inputs = records.iter().filter(|record| !matches!(record, Record::End(_)));
    inputs.zip(0u64..).all(|(found, number)| *found == record(number))
}

#[test]
fn a_run_over_many_segments_reads_as_one_from_any_of_its_names() {
    let folder = folder("names");
    let first = write(&folder, 7, 100, true);
    let paths = segments(&first);
    assert!(paths.len() > 5, "{} segments", paths.len());
    for path in &paths {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    write(&folder, 6, 3, true);
    for path in [&first, &paths[3], &folder, &first.with_extension("blj.0002.zst")] {
        let (records, fault) = read(path);
        assert_eq!((records.len(), fault), (101, None), "{}", path.display());
        assert!(is_start_of_the_run(&records));
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn compressed_segments_read_the_same_and_are_private() {
    let folder = folder("compressed");
    let first = write(&folder, 7, 100, true);
    let plain = read(&first);
    for (place, path) in segments(&first).iter().enumerate() {
        if place != 4 {
            let compressed = compress(path).unwrap();
            assert!(!path.exists());
            assert_eq!(fs::metadata(compressed).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
    assert_eq!(read(&first), plain);
    assert_eq!(read(&folder), plain);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_day_ends_a_segment() {
    let folder = folder("day");
    let first = folder.join("journal-000001.blj");
    let (send, ended) = std::sync::mpsc::channel();
    let on_end = Box::new(move |path| drop(send.send(path)));
    let sink = Segments::create(&first, u64::MAX, on_end).unwrap();
    let mut writer = JournalWriter::over(sink, &first, &header()).unwrap();
    let day = 86_400_000_000_000u64;
    for (number, now) in [(0, 5), (1, day - 1), (2, day), (3, day + 1)] {
        writer.tell_time(Nanos(now));
        writer.append(&record(number)).unwrap();
        writer.flush().unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(segments(&first).len(), 2);
    assert_eq!(ended.try_iter().collect::<Vec<_>>(), std::slice::from_ref(&first));
    assert_eq!(read(&first).0.len(), 5);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_last_segment_torn_at_every_byte_gives_all_whole_records_and_says_so() {
    let folder = folder("torn");
    let first = write(&folder, 7, 40, false);
    let last = segments(&first).pop().unwrap();
    let whole = fs::read(&last).unwrap();
    let before = read(&first).0.len();
    let mut most = 0;
    for length in 0..whole.len() {
        fs::write(&last, &whole[..length]).unwrap();
        let (records, fault) = read(&first);
        assert!(is_start_of_the_run(&records), "at {length}");
        assert!(records.len() < before);
        assert!(records.len() >= most, "more bytes never give fewer records");
        most = records.len();
        match fault {
            None => {}
            Some(JournalFault::Torn { path, offset, bytes, .. }) => {
                assert_eq!(path, last, "the fault names the file");
                assert_eq!(offset + bytes, length as u64, "and the byte in it");
            }
            Some(other) => panic!("at {length}: {other}"),
        }
    }
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_flipped_bit_in_any_byte_of_any_segment_is_found() {
    for is_compressed in [false, true] {
        let folder = folder(&format!("flipped-{is_compressed}"));
        let first = write(&folder, 7, 30, true);
        let paths = segments(&first);
        let (whole, none) = read(&first);
        assert_eq!(none, None);
        let paths: Vec<_> = match is_compressed {
            true => paths.iter().map(|path| compress(path).unwrap()).collect(),
            false => paths,
        };
        for path in &paths {
            let bytes = fs::read(path).unwrap();
            for (place, bit) in (0..bytes.len()).map(|place| (place, place % 8)) {
                let mut changed = bytes.clone();
                changed[place] ^= 1 << bit;
                fs::write(path, &changed).unwrap();
                let (records, fault) = read(&first);
                assert!(is_start_of_the_run(&records), "{} byte {place}", path.display());
                // A compressed frame has bits that mean nothing to what it holds.
                let is_harmless = is_compressed && records == whole;
                assert!(fault.is_some() || is_harmless, "{} byte {place}", path.display());
            }
            fs::write(path, &bytes).unwrap();
        }
        fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn a_missing_a_doubled_and_a_foreign_segment_are_found() {
    let folder = folder("foreign");
    let first = write(&folder, 7, 60, true);
    let other = write(&folder, 8, 60, true);
    let paths = segments(&first);
    let third = fs::read(&paths[2]).unwrap();
    fs::remove_file(&paths[2]).unwrap();
    let (records, fault) = read(&first);
    assert!(is_start_of_the_run(&records));
    assert!(fault.unwrap().to_string().contains("missing"));
    fs::copy(&paths[1], &paths[2]).unwrap();
    assert!(matches!(read(&first).1, Some(JournalFault::Segment { .. })), "doubled");
    fs::write(&paths[2], &third).unwrap();
    assert_eq!(read(&first).1, None);
    // The same place of a run with another header.
    let header = Header { epoch: 9, ..header() };
    let ninth = folder.join("journal-000009.blj");
    let sink = Segments::create(&ninth, SEGMENT_BYTES, Box::new(|_| {})).unwrap();
    let mut writer = JournalWriter::over(sink, &ninth, &header).unwrap();
    for number in 0..60 {
        writer.append(&record(number)).unwrap();
        writer.flush().unwrap();
    }
    fs::copy(segment_path(&ninth, 3), &paths[2]).unwrap();
    assert!(matches!(read(&first).1, Some(JournalFault::Segment { .. })), "foreign");
    drop(other);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn earlier_runs_are_compressed_and_old_ones_deleted_but_never_the_last() {
    let folder = folder("keep");
    for epoch in 1..=4 {
        write(&folder, epoch, 30, true);
    }
    fs::write(folder.join("journal-000001.blj.zst.partial"), "half").unwrap();
    assert!(compress_earlier(&folder, 4).unwrap() > 3);
    assert!(!folder.join("journal-000001.blj.zst.partial").exists());
    assert!(folder.join("journal-000003.blj.zst").exists());
    assert!(folder.join("journal-000004.blj").exists(), "the run itself stays plain");
    let keep = Duration::from_secs(86_400);
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    assert_eq!(delete_old(&folder, 4, keep, now).unwrap(), Vec::<PathBuf>::new());
    let written = fs::metadata(folder.join("journal-000004.blj")).unwrap().modified().unwrap();
    let deleted = delete_old(&folder, 4, keep, written + 2 * keep).unwrap();
    assert!(deleted.len() > 2);
    assert!(!folder.join("journal-000002.blj.zst").exists());
    assert!(folder.join("journal-000003.blj.zst").exists(), "the last run is recovered from");
    assert_eq!(read(&folder.join("journal-000003.blj")).1, None);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn one_segment_that_cannot_be_read_or_removed_does_not_hold_up_the_others() {
    let folder = folder("stuck");
    for epoch in 1..=4 {
        write(&folder, epoch, 30, true);
    }
    // What a file that the system refuses does to whoever reads or removes it.
    let stuck = segment_path(&folder.join("journal-000001.blj"), 2);
    fs::remove_file(&stuck).unwrap();
    fs::create_dir(&stuck).unwrap();
    assert!(compress_earlier(&folder, 4).is_err(), "and it is told");
    assert!(folder.join("journal-000003.blj.zst").exists());
    let keep = Duration::from_secs(86_400);
    let written = fs::metadata(folder.join("journal-000004.blj")).unwrap().modified().unwrap();
    assert!(delete_old(&folder, 4, keep, written + 2 * keep).is_err());
    assert!(stuck.exists() && !folder.join("journal-000002.blj.zst").exists());
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn demos_in_a_folder_do_not_age_the_journal_that_the_next_start_recovers_from() {
    let folder = folder("demos");
    for epoch in 1..=5 {
        let resumption = (epoch <= 2).then(Resumption::default);
        let header = Header { epoch, resumption, ..header() };
        let path = folder.join(format!("journal-{epoch:06}.blj"));
        let sink = Segments::create(&path, SEGMENT_BYTES, Box::new(|_| {})).unwrap();
        JournalWriter::over(sink, &path, &header).unwrap().finish().unwrap();
    }
    compress_earlier(&folder, 5).unwrap();
    let keep = Duration::from_secs(86_400);
    let written = fs::metadata(folder.join("journal-000005.blj")).unwrap().modified().unwrap();
    let deleted = delete_old(&folder, 5, keep, written + 2 * keep).unwrap();
    let names = deleted.iter().map(|path| path.file_name().unwrap().to_str().unwrap());
    let names: Vec<_> = names.collect();
    assert_eq!(
        names,
        ["journal-000001.blj.zst", "journal-000003.blj.zst"],
        "2 traded, 4 is the last"
    );
    fs::remove_dir_all(&folder).unwrap();
}

/// Segments on a disk that is full from its `n`-th write on, with `room` bytes of that one.
struct FullDisk {
    segments: Segments,
    writes_left: u64,
    room: usize,
}

impl Write for FullDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.writes_left > 0 {
            self.writes_left -= 1;
            return self.segments.write(bytes);
        }
        let count = std::mem::take(&mut self.room).min(bytes.len());
        match count {
            0 => Err(io::ErrorKind::StorageFull.into()),
            count => self.segments.write(&bytes[..count]),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for FullDisk {
    fn sync(&mut self) -> io::Result<()> {
        self.segments.sync()
    }
}

#[test]
fn a_disk_full_at_a_thousand_different_writes_is_told_and_all_before_it_reads() {
    let folder = folder("full");
    for n in 1..=1_000u64 {
        let first = folder.join(format!("journal-{n:06}.blj"));
        let chain = Segments::create(&first, 8_000, Box::new(|_| {})).unwrap();
        // Less than a record has.
        let room = usize::try_from(n % 20).unwrap();
        let disk = FullDisk { segments: chain, writes_left: n, room };
        let mut writer = JournalWriter::over(disk, &first, &header()).unwrap();
        let fault = (0..2_000u64)
            .find_map(|number| writer.append(&record(number)).and_then(|()| writer.flush()).err());
        let fault = fault.expect("the disk is full");
        assert!(
            matches!(fault, JournalFault::DiskFull { record, .. } if record == n - 1),
            "{fault}"
        );
        assert!(fault.to_string().contains("disk full"));
        let again = writer.append(&record(0)).unwrap_err();
        assert_eq!(again, fault, "nothing more is written: a journal has no holes");
        drop(writer);
        let (records, torn) = read(&first);
        assert_eq!(records.len() as u64, n - 1, "everything before the fault");
        assert!(is_start_of_the_run(&records));
        assert_eq!(torn.is_some(), room > 0, "{torn:?}");
        for path in segments(&first) {
            fs::remove_file(path).unwrap();
        }
    }
    fs::remove_dir_all(&folder).unwrap();
}
