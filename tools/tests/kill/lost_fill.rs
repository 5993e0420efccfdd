//! A fill that the venue's order session never tells comes by its drop copy, and is booked once: the real
//! `ballast run` and `ballast venue` over TCP, with a proxy that takes the fill out and closes the gap, and a
//! drop copy of this file's own words.

use crate::live_maker::now;
use crate::wire::{Change, Fields, changed, message, whole};
use crate::{PATIENCE, Rig, positions_agree};
use ballast_engine::event::OrderUpdate;
use ballast_engine::journal::reader::JournalReader;
use ballast_engine::maker::input::Input;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Fills that the order session tells behind the one that it does not.
const FILLS_AFTER: usize = 3;
/// What the maker gives the order session before it books a copy, and some more.
const GRACE: Duration = Duration::from_millis(2_500);

/// Takes the first fill out of what the venue says, closes the gap, and hands every report on.
fn losing(lost: Arc<AtomicBool>, copies: Sender<Vec<u8>>) -> Change {
    Box::new(move |fields: &Fields, frame: &[u8]| {
        let is = |tag: u32, value: &str| fields.get(&tag).is_some_and(|text| text == value);
        if is(35, "8") {
            let _ = copies.send(frame.to_vec());
        }
        if is(150, "F") && !lost.swap(true, Ordering::AcqRel) {
            return Vec::new();
        }
        if !lost.load(Ordering::Acquire) {
            return frame.to_vec();
        }
        let number: u64 = fields[&34].parse().unwrap();
        changed(frame, &[(34, &(number - 1).to_string())])
    })
}

/// The venue's drop copy: answers a Logon and a Logout, and repeats every report under its own numbers.
fn drop_copy(copies: Receiver<Vec<u8>>) -> SocketAddr {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = door.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = door.accept().unwrap();
        let answers = Arc::new(Mutex::new((stream.try_clone().unwrap(), 0u64)));
        let repeats = answers.clone();
        let names = [(49, "SIM-DC"), (56, "BALLAST-DC")];
        let say = move |to: &Mutex<(TcpStream, u64)>, frame: &[u8]| {
            let mut to = to.lock().unwrap();
            to.1 += 1;
            let number = to.1.to_string();
            let _ = to.0.write_all(&changed(frame, &[names[0], names[1], (34, &number)]));
        };
        let mut bytes = Vec::new();
        let mut room = [0u8; 4096];
        let mut copies = Some(copies);
        while let Ok(count @ 1..) = stream.read(&mut room) {
            bytes.extend_from_slice(&room[..count]);
            while let Some((fields, length)) = message(&bytes) {
                let frame: Vec<u8> = bytes.drain(..length).collect();
                if ["A", "5"].contains(&fields[&35].as_str()) {
                    say(&answers, &frame);
                }
                let copies = copies.take_if(|_| fields[&35] == "A");
                let repeats = repeats.clone();
                if let Some(copies) = copies {
                    std::thread::spawn(move || {
                        copies.iter().for_each(|copy| say(&repeats, &copy));
                    });
                }
            }
        }
    });
    address
}

/// MsgSeqNum(34) of every fill in the journal: 0 is the drop copy's.
fn fills_in(journal: &Path) -> Vec<u64> {
    let records = JournalReader::open(journal).unwrap().map(Result::unwrap);
    let number = |input| match input {
        Input::Order(event) if matches!(event.update, OrderUpdate::Fill { .. }) => {
            Some(event.msg_seq_num)
        }
        _ => None,
    };
    records.filter_map(|record| record.input().and_then(|(_, _, input)| number(input))).collect()
}

#[test]
fn a_fill_that_only_the_drop_copy_tells_is_booked_once() {
    let (said, copies) = channel();
    let lost = Arc::new(AtomicBool::new(false));
    let address = drop_copy(copies);
    let change = {
        let lost = lost.clone();
        move || [whole(), losing(lost.clone(), said.clone())]
    };
    let mut rig = Rig::behind("copy", change, str::to_owned, |config| {
        let copy = format!(
            "drop_copy = {{ address = \"{address}\", sender_comp_id = \"BALLAST-DC\", \
             target_comp_id = \"SIM-DC\", heartbeat_s = 30, reset_on_logon = true }}\norder_entry = {{"
        );
        config.replacen("order_entry = {", &copy, 1)
    });
    rig.start();
    rig.until_quoting();
    let (started, mut lost_at) = (now(), None);
    loop {
        let fills = rig.seen.lock().unwrap().fills.len();
        if lost.load(Ordering::Acquire) {
            let at: std::time::Instant = *lost_at.get_or_insert_with(now);
            if fills > FILLS_AFTER && at.elapsed() > GRACE {
                break;
            }
        }
        assert!(started.elapsed() < PATIENCE, "{fills} fills; {}", rig.log());
        std::thread::park_timeout(Duration::from_millis(5));
    }
    let status: Value = serde_json::from_str(&rig.ask(&["status", "--json"]).unwrap()).unwrap();
    let summary = rig.end();
    let journals = rig.journals();
    let booked = fills_in(&journals[0]);
    let seen = rig.seen.lock().unwrap();
    assert_eq!(seen.faults, Vec::<String>::new());
    assert_eq!(positions_agree(&seen, &summary), Vec::<String>::new(), "{summary:#}");
    assert_eq!(booked.len(), seen.fills.len(), "{booked:?}");
    assert_eq!(booked.iter().filter(|number| **number == 0).count(), 1, "{booked:?}");
    assert!(rig.replays(&journals[0]));
    let sessions = status["sessions"].as_array().unwrap();
    let copy = sessions.iter().find(|row| !row["missed"].is_null()).unwrap();
    let of = |key: &str| copy[key].as_u64().unwrap();
    assert!(copy["name"].as_str().unwrap().contains(" drop_copy at "), "{copy}");
    assert_eq!((&copy["up"], of("missed")), (&Value::Bool(true), 1), "{copy}");
    // The last one may have come between the two questions.
    assert!(of("executions") > of("confirmed") && of("confirmed") >= 1, "{copy}");
    assert!(rig.log().contains("execution_missed"), "an alert: {}", rig.log());
}
