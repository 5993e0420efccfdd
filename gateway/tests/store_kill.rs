//! `kill -9` at random moments of a busy store: whatever the process said it had stored is there
//! after the reopening, and no number is used twice.
//!
//! The child is this test's own program, run again with [`FOLDER`] set; it says a number only after
//! the store has taken it.

use ballast_gateway::store::{FileStore, FileStoreConfig, Store, SyncPolicy};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

const FOLDER: &str = "BALLAST_STORE_KILL_FOLDER";
const KILLS: u64 = 12;

fn open(folder: &PathBuf) -> FileStore {
    FileStore::open(FileStoreConfig {
        segment_bytes: 64 * 1024,
        segments_held: 4,
        messages_held: 4096,
        sync: SyncPolicy::Never,
        ..FileStoreConfig::new(folder)
    })
    .unwrap()
}

/// What the message under a number says.
fn body(number: u64) -> Vec<u8> {
    let len = usize::try_from(20 + number % 300).unwrap();
    let mut body = format!("{number:020}").into_bytes();
    body.resize(len, b'.');
    body
}

#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let mut store = open(&folder.into());
    let mut out = std::io::stdout().lock();
    loop {
        let (sent, received) = (store.next_sender(), store.next_target());
        store.put_outbound(&body(sent)).unwrap();
        store.put_inbound(&body(received)).unwrap();
        if writeln!(out, "stored {sent} {received}").is_err() {
            return;
        }
    }
}

#[test]
fn nothing_that_was_stored_is_lost_by_kill_9() {
    let folder = std::env::temp_dir().join(format!("ballast-kill-{}", std::process::id()));
    let mut highest = (0, 0);
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env(FOLDER, &folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let wanted = 50 + kill * 371;
        let mut seen = 0;
        for line in lines {
            let line = line.unwrap();
            // The test runner's own words come first, and may share a line with ours.
            let Some((_, numbers)) = line.split_once("stored ") else { continue };
            let (sent, received) = numbers.split_once(' ').unwrap();
            let (sent, received) = (sent.parse().unwrap(), received.parse().unwrap());
            assert!(sent > highest.0 && received > highest.1, "a number was used twice");
            highest = (sent, received);
            seen += 1;
            if seen == wanted {
                // SIGKILL: the child cannot prepare for it. What it says before it dies is read on.
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let store = open(&folder);
        assert!(store.next_sender() > highest.0 && store.next_target() > highest.1);
        assert_eq!(store.outbound(highest.0), Some(body(highest.0).as_slice()));
        assert_eq!(store.inbound(highest.1), Some(body(highest.1).as_slice()));
        let last = store.next_sender() - 1;
        assert_eq!(store.outbound(last), Some(body(last).as_slice()));
    }
    std::fs::remove_dir_all(folder).unwrap();
}
