//! `ballast conformance` over real TCP, as a certification suite meets it: the facts of the public
//! FIX 4.4 acceptor cases that need the compiled-in dictionary, the echo, or a real connection. The
//! session's own cases are scripts in `gateway/tests/session/`; `session.rs` holds each sentence that
//! is promised of the endpoint's session against the process.

mod session;
mod suite;

use std::process::Command;
use suite::{Endpoint, ORDER, now, seal};

#[test]
fn applications_are_echoed_in_order_by_tag_or_refused() {
    let endpoint = Endpoint::start();
    let mut suite = endpoint.logged_on();
    suite.send("35=D|34=2|60=20240808-12:00:00|55=INTC|54=1|40=1|38=002000.00|21=3|11=a");
    suite.expect("35=D|34=2|11=a|21=3|38=002000.00|40=1|54=1|55=INTC|60=20240808-12:00:00");
    suite.send(&format!("35=D|34=3|128=DESK|115=ME|97=Y|{ORDER}"));
    suite.expect(&format!("35=D|34=3|97=Y|115=ME|128=DESK|{ORDER}"));
    suite.send(&format!("35=D|34=4|97=Y|{ORDER}"));
    suite.send("35=d|34=5|320=r|322=s|323=6|55=TBS|22=8|167=CS|58=none|454=0");
    suite.expect("35=d|34=4|22=8|55=TBS|58=none|167=CS|320=r|322=s|323=6|454=0");
    suite.send(&format!("35=D|34=6|386=2|336=PRE|625=X|336=POST|{ORDER}"));
    suite.expect(&format!("35=D|34=5|{ORDER}|386=2|336=PRE|625=X|336=POST"));
    let hops = "627=2|628=HUB|629=20240808-12:00:00|628=BANK";
    suite.send(&format!("35=D|34=7|{hops}|{ORDER}"));
    suite.expect(&format!("35=D|34=6|{hops}|{ORDER}"));
    suite.log_out(8, 7);
}

#[test]
fn what_was_seen_since_the_logon_outlives_a_sequence_reset_and_not_the_next_logon() {
    let endpoint = Endpoint::start();
    let mut suite = endpoint.logged_on();
    suite.send(&format!("35=D|34=2|{ORDER}"));
    suite.expect(&format!("35=D|34=2|{ORDER}"));
    suite.send("35=4|34=3|36=50|123=N");
    suite.send(&format!("35=D|34=50|97=Y|{ORDER}"));
    suite.send("35=1|34=51|112=ALIVE");
    suite.expect("35=0|34=3|112=ALIVE");
    suite.send("35=A|34=1|141=Y|98=0|108=30");
    suite.expect("35=A|34=1|98=0|108=30|141=Y");
    suite.send(&format!("35=D|34=2|97=Y|{ORDER}"));
    suite.expect(&format!("35=D|34=2|97=Y|{ORDER}"));
    suite.log_out(3, 3);
}

#[test]
fn what_the_application_does_not_take_is_a_business_reject() {
    let endpoint = Endpoint::start();
    let mut suite = endpoint.logged_on();
    suite.send("35=8|34=2|37=id|17=id|150=0|39=0|55=WLRI|54=1|151=100|14=0|6=0.0");
    suite.expect("35=j|34=2|45=2|58=Unsupported Message Type|372=8|380=3");
    suite.log_out(3, 3);
}

#[test]
fn every_fault_has_its_reason_and_text() {
    let endpoint = Endpoint::start();
    let mut suite = endpoint.logged_on();
    let format = "Incorrect data format for value";
    let range = "Value is incorrect (out of range) for this tag";
    let cases = [
        ("35=0|34=#|999=HI", "58=Invalid tag number|371=999|372=0|373=0"),
        ("35=0|34=#|0=HI", "58=Invalid tag number|371=0|372=0|373=0"),
        ("35=0|34=#|-1=HI", "58=Invalid tag number|371=-1|372=0|373=0"),
        ("35=0|34=#|5000=HI", "58=Invalid tag number|371=5000|372=0|373=0"),
        (
            "35=D|34=#|21=3|40=1|54=1|60=20240808-12:00:00",
            "58=Required tag missing|371=11|372=D|373=1",
        ),
        ("35=0|34=#|55=MSFT", "58=Tag not defined for this message type|371=55|372=0|373=2"),
        ("35=0|34=#|56=", "58=Tag specified without a value|371=56|372=0|373=4"),
        (
            "35=D|34=#|11=id|21=4|40=1|54=1|55=INTC|60=20240808-12:00:00",
            &format!("58={range}|371=21|372=D|373=5"),
        ),
        (&format!("35=D|34=#|{ORDER}|167=BOO"), &format!("58={range}|371=167|372=D|373=5")),
        (&format!("35=D|34=#|38=+200.00|{ORDER}"), &format!("58={format}|371=38|372=D|373=6")),
        (
            "35=D|34=#|11=id|21=3|40=1|40=2|54=1|55=INTC|60=20240808-12:00:00",
            "58=Tag appears more than once|371=40|372=D|373=13",
        ),
        (
            &format!("35=D|34=#|386=3|336=PRE-OPEN|336=AFTER-HOURS|{ORDER}"),
            "58=Incorrect NumInGroup count for repeating group|371=386|372=D|373=16",
        ),
        ("35=*|34=#", "58=Invalid MsgType|372=*|373=11"),
    ];
    for ((sent, answer), number) in cases.iter().zip(2..) {
        suite.send(&sent.replace('#', &number.to_string()));
        suite.expect(&format!("35=3|34={number}|45={number}|{answer}"));
    }
    let number = cases.len() + 2;
    let body = format!("35=D|{ORDER}|34={number}|49=TW44|52={}|56=ISLD", now(0));
    suite.send_bytes(&seal("FIX.4.4", &body));
    suite.expect(&format!(
        "35=3|34={number}|45={number}|58=Tag specified out of required order|371=34|372=D|373=14"
    ));
    let body = format!("35=0|34={}|49=TW44|52={}", number + 1, now(0));
    suite.send_bytes(&seal("FIX.4.4", &body));
    suite.expect(&format!(
        "35=3|34={}|45={}|58=Required tag missing|371=56|372=0|373=1",
        number + 1,
        number + 1
    ));
    let after = number as u64 + 2;
    suite.log_out(after, after);
}

#[test]
fn routing_comes_back_reversed_where_it_is_not_empty() {
    let endpoint = Endpoint::start();
    let mut suite = endpoint.logged_on();
    let bad = ORDER.replace("40=1", "40=w");
    let range = "58=Value is incorrect (out of range) for this tag|371=40|372=D|373=5";
    suite.send(&format!("35=D|34=2|115=JCD|116=CS|144=CHI|{bad}"));
    suite.expect(&format!("35=3|34=2|128=JCD|129=CS|145=CHI|45=2|{range}"));
    suite.send(&format!("35=D|34=3|128=JCD|129=CS|145=CHI|{bad}"));
    suite.expect(&format!("35=3|34=3|115=JCD|116=CS|144=CHI|45=3|{range}"));
    suite.send(&format!("35=D|34=4|128=JCD|129=CS|145=|{bad}"));
    suite.expect(
        "35=3|34=4|115=JCD|116=CS|45=4|58=Tag specified without a value|371=145|372=D|373=4",
    );
    suite.log_out(5, 5);
}

#[test]
fn a_second_connection_is_refused_while_the_first_lives_and_then_taken() {
    let endpoint = Endpoint::start();
    let mut first = endpoint.logged_on();
    let mut second = endpoint.connect();
    second.send("35=A|34=1|98=0|108=30");
    second.expect_end();
    first.send("35=1|34=2|112=HELLO");
    first.expect("35=0|34=2|112=HELLO");
    drop(first);
    endpoint.logged_on().log_out(2, 2);
}

#[test]
fn strangers_and_garbage_are_closed_without_a_word() {
    let endpoint = Endpoint::start();
    for logon in [
        "35=A|34=1|49=WT|98=0|108=30".to_string(),
        "35=A|34=1|56=DLSI|98=0|108=30".to_string(),
        format!("35=A|34=1|52={}|98=0|108=30", now(-121)),
        "35=0|34=1".to_string(),
        "35=A|34=1|98=0".to_string(),
    ] {
        let mut suite = endpoint.connect();
        suite.send(&logon);
        suite.expect_end();
    }
    let mut suite = endpoint.connect();
    let body = format!("35=A|34=1|49=TW44|52={}|56=ISLD|98=0|108=30", now(0));
    suite.send_bytes(&seal("FIX.4.3", &body));
    suite.expect_end();
    let mut suite = endpoint.connect();
    let text = format!("8=FIX.4.4|9=40|{body}|10=000|").replace('|', "\x01");
    suite.send_bytes(text.as_bytes());
    suite.expect_end();
    endpoint.logged_on().log_out(2, 2);
}

#[test]
fn a_bad_body_length_costs_what_it_covers_and_no_more() {
    let endpoint = Endpoint::start();
    let mut suite = endpoint.logged_on();
    let order = |number: u64| {
        format!("35=D|34={number}|49=TW44|52={}|56=ISLD|{ORDER}", now(0)).replace("=id|", "=x|")
    };
    let with_length = |body: &str, length: usize| {
        let sealed = String::from_utf8(seal("FIX.4.4", body)).unwrap();
        sealed.replacen(&format!("9={}", body.len() + 1), &format!("9={length}"), 1)
    };
    suite.send_bytes(with_length(&order(2), 30).as_bytes());
    suite.send_bytes(&seal("FIX.4.4", &order(3)));
    suite.expect("35=2|34=2|7=2|16=0");
    suite.send_bytes(&seal("FIX.4.4", &order(2)));
    let echoed = ORDER.replace("=id|", "=x|");
    suite.expect(&format!("35=D|34=3|{echoed}"));
    suite.expect(&format!("35=D|34=4|{echoed}"));
    suite.send_bytes(with_length(&order(4), order(4).len() + 13).as_bytes());
    suite.send_bytes(&seal("FIX.4.4", &order(5)));
    suite.send_bytes(&seal("FIX.4.4", &order(4)));
    suite.send_bytes(&seal("FIX.4.4", &order(5)));
    suite.expect(&format!("35=D|34=5|{echoed}"));
    suite.expect(&format!("35=D|34=6|{echoed}"));
    suite.log_out(6, 7);
}

#[test]
fn a_bad_message_that_fills_a_gap_is_rejected_and_the_rest_follows() {
    let endpoint = Endpoint::start();
    let mut suite = endpoint.logged_on();
    suite.send("35=1|34=3|112=HELLO1");
    suite.expect("35=2|34=2|7=2|16=0");
    suite.send(&format!("35=D|34=2|43=Y|122={}|{ORDER}|126=20040415", now(0)));
    suite.expect("35=3|34=3|45=2|58=Incorrect data format for value|371=126|372=D|373=6");
    suite.expect("35=0|34=4|112=HELLO1");
    suite.send("35=1|34=4|112=HELLO2");
    suite.expect("35=0|34=5|112=HELLO2");
    suite.log_out(11, 6);
}

#[test]
fn resends_keep_what_was_echoed() {
    let endpoint = Endpoint::start();
    let mut suite = endpoint.logged_on();
    suite.send(&format!("35=D|34=2|{ORDER}"));
    suite.expect(&format!("35=D|34=2|{ORDER}"));
    suite.send("35=0|34=7");
    suite.expect("35=2|34=3|7=3|16=0");
    suite.send("35=2|34=8|7=1|16=0");
    suite.expect("35=4|34=1|43=Y|122|36=2|123=Y");
    suite.expect(&format!("35=D|34=2|43=Y|122|{ORDER}"));
    suite.expect("35=4|34=3|43=Y|122|36=4|123=Y");
    // A ResendRequest under an old number is answered too: it asks for what it lacks.
    suite.send("35=2|34=1|7=1|16=1");
    suite.expect("35=4|34=1|43=Y|122|36=2|123=Y");
    suite.log_out(7, 4);
}

#[test]
fn silence_is_met_with_heartbeats_a_test_request_and_the_end() {
    let endpoint = Endpoint::start();
    let mut suite = endpoint.connect();
    suite.send("35=A|34=1|98=0|108=1");
    suite.expect("35=A|34=1|98=0|108=1");
    suite.expect("35=0|34=2");
    suite.expect("35=1|34=3|112=TEST");
    suite.expect_end();
}

#[test]
fn a_port_in_use_is_told() {
    let endpoint = Endpoint::start();
    let second = Command::new(env!("CARGO_BIN_EXE_ballast"))
        .args(["conformance", "--listen", &endpoint.address.to_string()])
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains(&endpoint.address.to_string()));
    let nonsense = Command::new(env!("CARGO_BIN_EXE_ballast"))
        .args(["conformance", "--listen", "nonsense"])
        .output()
        .unwrap();
    assert_eq!(nonsense.status.code(), Some(2));
}
