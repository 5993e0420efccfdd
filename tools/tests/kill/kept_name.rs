//! `kill -9` of the real `ballast run` in mid-amend at a venue that keeps an order's first name: the real
//! `ballast venue` behind a proxy that speaks Deribit's words to the maker and refuses every other name.

use crate::live_maker::{as_deribit, at_deribit, now};
use crate::wire::{Change, Changes, Fields, changed, sealed};
use crate::{PATIENCE, Rig, positions_agree};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Times that the maker is killed with an amendment on its way.
const KILLS: u64 = 2;
/// Amendments that are done before each of them.
const AMENDMENTS: u64 = 4;

/// What the proxy knows: the venue's names by first names, and the other way.
#[derive(Default)]
struct Names {
    current: BTreeMap<String, String>,
    first: BTreeMap<String, String>,
    /// Side(54) by first names.
    sides: BTreeMap<String, String>,
    requests: u64,
    amended: u64,
    /// Cancels of orders that had been amended, by their first names.
    cancels_of_amended: u64,
    /// The next amendment is kept from the venue, and the maker is to be killed.
    holds_next: bool,
    is_held: bool,
    positions: Vec<String>,
    faults: Vec<String>,
}

impl Names {
    /// A request's own name at the venue, and the order's.
    fn request(&mut self, fields: &Fields) -> Option<(String, String)> {
        let name = fields.get(&11)?;
        let Some(order) = self.current.get(name).cloned() else {
            self.faults.push(format!("no order was sent under this name: {fields:?}"));
            return None;
        };
        self.requests += 1;
        let own = format!("R{}", self.requests);
        self.first.insert(own.clone(), name.clone());
        Some((own, order))
    }

    fn outbound(&mut self, fields: &Fields, frame: &[u8]) -> Vec<u8> {
        let text = |tag: u32| fields.get(&tag).map_or("", String::as_str);
        match text(35) {
            "D" => {
                let name = text(11).to_owned();
                self.current.insert(name.clone(), name.clone());
                self.sides.insert(name.clone(), text(54).to_owned());
                self.first.insert(name.clone(), name);
                changed(frame, &[(18, "6")])
            }
            kind @ ("G" | "F") => {
                if fields.contains_key(&41) || kind == "G" && text(18) != "6A" {
                    self.faults
                        .push(format!("11 names the order, and post-only stays: {fields:?}"));
                }
                if kind == "G" && std::mem::take(&mut self.holds_next) {
                    self.is_held = true;
                    // Something in its place: numbers stay whole.
                    return changed(frame, &[(35, "0")]);
                }
                let Some((own, order)) = self.request(fields) else {
                    return changed(frame, &[(35, "0")]);
                };
                self.cancels_of_amended += u64::from(kind == "F" && order.starts_with('R'));
                let named = format!("11={own}\u{1}41={order}");
                let parts = frame.split(|byte| *byte == 1).filter(|field| {
                    let of = |tag: &str| field.starts_with(tag.as_bytes());
                    !(of("8=") || of("9=") || of("10=") || of("11=") || field.is_empty())
                });
                sealed(parts.chain([named.as_bytes()]))
            }
            "AF" => self.question(fields, frame),
            _ => frame.to_vec(),
        }
    }

    /// The question after one order in the venue's words.
    fn question(&mut self, fields: &Fields, frame: &[u8]) -> Vec<u8> {
        if (fields[&585].as_str(), fields[&9014].as_str()) != ("7", "1") {
            self.faults.push(format!("585=7 and 9014=1 ask by ClOrdID(11): {fields:?}"));
        }
        let first = &fields[&584];
        // One that never arrived the venue does not find.
        let Some(order) = self.current.get(first) else { return changed(frame, &[(35, "0")]) };
        let side = &self.sides[first];
        self.said(fields, &format!("35=H|11={order}|54={side}|55={}|790={first}", fields[&55]))
    }

    fn inbound(&mut self, fields: &Fields, frame: &[u8]) -> Vec<u8> {
        match fields[&35].as_str() {
            "8" => self.report(fields, frame),
            "9" => {
                let first = self.first.get(&fields[&11]).cloned().unwrap_or_default();
                let status = fields.get(&39).cloned().unwrap_or_default();
                self.said(fields, &format!("35=9|11={first}|39={status}|58=no"))
            }
            "AP" => self.position(fields),
            _ => frame.to_vec(),
        }
    }

    /// The message with the session's fields of the one in whose place it stands.
    fn said(&self, fields: &Fields, text: &str) -> Vec<u8> {
        let (msg_type, body) = text.split_once('|').unwrap_or((text, ""));
        let header = [34, 49, 52, 56].map(|tag| format!("{tag}={}", fields[&tag]));
        let body = body.split('|').filter(|field| !field.is_empty()).map(str::as_bytes);
        sealed(
            [msg_type.as_bytes()]
                .into_iter()
                .chain(header.iter().map(|f| f.as_bytes()))
                .chain(body),
        )
    }

    /// A status under the venue's own id, ours in 41, a fill in a group.
    fn report(&mut self, fields: &Fields, frame: &[u8]) -> Vec<u8> {
        let text = |tag: u32| fields.get(&tag).map_or("", String::as_str);
        let Some(first) = self.first.get(text(11)).cloned() else { return frame.to_vec() };
        let is_fate = fields.contains_key(&790);
        if text(150) == "5" {
            self.current.insert(first.clone(), text(11).to_owned());
            self.amended += 1;
        }
        // A status that is no news of a change has no id.
        let change = if is_fate { String::new() } else { format!("|527={}", text(17)) };
        let mut body = format!(
            "35=8{change}|37={}|11={}|41={first}|39={}|54={}|60={}|12=0|151={}|14={}|38={}|40=2|44={}|\
             150=I|55={}|6={}",
            text(37),
            text(37),
            text(39),
            text(54),
            text(60),
            text(151),
            text(14),
            text(38),
            text(44),
            text(55),
            text(6)
        );
        if is_fate {
            body += "|585=7";
        }
        if text(150) == "F" {
            body += &format!("|1362=1|1363={}|1364={}|1365={}", text(17), text(31), text(32));
        }
        self.said(fields, &body)
    }

    /// One report has all positions: it comes in the last one's place.
    fn position(&mut self, fields: &Fields) -> Vec<u8> {
        self.positions
            .push(format!("703=TQ|55={}|704={}|705={}", fields[&55], fields[&704], fields[&705]));
        if self.positions.len().to_string() != fields[&727] {
            return self.said(fields, "35=0");
        }
        let positions = std::mem::take(&mut self.positions);
        let (count, all) = (positions.len(), positions.join("|"));
        self.said(
            fields,
            &format!("35=AP|721=P|710={}|724=0|728=0|702={count}|{all}", fields[&710]),
        )
    }
}

fn changes(names: &Arc<Mutex<Names>>) -> Changes {
    let (out, inward) = (names.clone(), names.clone());
    let outbound: Change =
        Box::new(move |fields, frame| out.lock().unwrap().outbound(fields, frame));
    let inbound: Change =
        Box::new(move |fields, frame| inward.lock().unwrap().inbound(fields, frame));
    [outbound, inbound]
}

/// The maker's config at such a venue.
fn of_the_dialect(config: &str, secret: &str) -> String {
    at_deribit(config, secret).replace("reset_on_logon = false", "reset_on_logon = true")
}

fn of_its_names(venue: &str) -> String {
    as_deribit(venue)
        .replace("sender_comp_id = \"SIM-OE\"", "sender_comp_id = \"DERIBITSERVER\"")
        .replace("cancel_on_disconnect = false", "cancel_on_disconnect = true")
}

/// Waits until it is so.
fn until(rig: &Rig, names: &Mutex<Names>, is_so: impl Fn(&Names) -> bool) {
    let since = now();
    while !is_so(&names.lock().unwrap()) {
        let names = names.lock().unwrap();
        assert!(
            since.elapsed() < PATIENCE,
            "{} amended, {:?}: {}",
            names.amended,
            names.faults,
            rig.log()
        );
        drop(names);
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

#[test]
fn a_run_that_is_killed_in_mid_amend_comes_back_with_the_first_names() {
    let names = Arc::new(Mutex::new(Names::default()));
    let secret = std::env::temp_dir().join(format!("ballast-kept-{}.secret", std::process::id()));
    std::fs::write(&secret, "secret").unwrap();
    let owner_alone = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&secret, owner_alone).unwrap();
    let shared = names.clone();
    let path = secret.display().to_string();
    let mut rig = Rig::behind(
        "kept",
        move || changes(&shared),
        of_its_names,
        |config| of_the_dialect(config, &path),
    );
    for _ in 0..KILLS {
        rig.start();
        rig.until_quoting();
        let done = names.lock().unwrap().amended + AMENDMENTS;
        until(&rig, &names, |names| names.amended >= done);
        names.lock().unwrap().holds_next = true;
        until(&rig, &names, |names| names.is_held);
        rig.kill();
        names.lock().unwrap().is_held = false;
    }
    rig.start();
    rig.until_quoting();
    let done = names.lock().unwrap().amended + AMENDMENTS;
    until(&rig, &names, |names| names.amended >= done);
    let summary = rig.end();
    let (seen, names) = (rig.seen.lock().unwrap(), names.lock().unwrap());
    assert_eq!(names.faults, Vec::<String>::new());
    assert_eq!(positions_agree(&seen, &summary), Vec::<String>::new(), "{summary:#}");
    assert!(names.cancels_of_amended > 0, "some that were amended were cancelled");
    for journal in rig.journals() {
        assert!(rig.replays(&journal), "{}", journal.display());
    }
    std::fs::remove_file(secret).unwrap();
}
