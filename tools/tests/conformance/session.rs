//! What is promised of the endpoint's session, sentence by sentence, over real TCP.
//!
//! Deliberately absent: validation and the echo of applications, which are in `main.rs`.

use super::suite::{Endpoint, ORDER, Suite, now, seal};
use std::time::{Duration, Instant};

/// Logs on, sends, and reads answers: one line of a case each.
fn play(endpoint: &Endpoint, sent: &str, answers: &[&str]) -> Suite {
    let mut suite = endpoint.logged_on();
    suite.send(sent);
    for answer in answers {
        suite.expect(answer);
    }
    suite
}

#[test]
fn the_comp_ids_are_those_that_it_was_given() {
    let endpoint = Endpoint::start_with(&["--sender", "HOUSE", "--target", "GUEST"]);
    let mut suite = endpoint.connect();
    let logon = |from: &str, to: &str| {
        let body = format!("35=A|34=1|49={from}|52={}|56={to}|98=0|108=30", now(0));
        seal("FIX.4.4", &body)
    };
    suite.send_bytes(&logon("TW44", "ISLD"));
    suite.expect_end();
    let mut suite = endpoint.connect();
    suite.send_bytes(&logon("GUEST", "HOUSE"));
    let answer = suite.next().unwrap();
    assert!(answer.contains("|49=HOUSE|") && answer.contains("|56=GUEST|"), "{answer}");
}

#[test]
fn every_logon_begins_at_one_again() {
    let endpoint = Endpoint::start();
    for _ in 0..2 {
        let mut suite = endpoint.logged_on();
        suite.send("35=1|34=2|112=HELLO");
        suite.expect("35=0|34=2|112=HELLO");
        // No Logout: the number 2 was used on both sides, and is again.
    }
    // Within a session too, and the flag comes back only where it was sent.
    let mut suite = endpoint.logged_on();
    suite.send("35=0|34=2");
    suite.send("35=A|34=1|98=0|108=30|141=Y");
    suite.expect("35=A|34=1|98=0|108=30|141=Y");
    suite.send("35=A|34=1|98=0|108=30");
    suite.expect("35=A|34=1|98=0|108=30");
    suite.log_out(2, 2);
    let mut suite = endpoint.connect();
    suite.send("35=A|34=1|98=0|108=30|141=Y");
    suite.expect("35=A|34=1|98=0|108=30|141=Y");
    suite.send("35=A|34=1|98=0|108=17|141=N");
    suite.expect("35=A|34=1|98=0|108=17");
    suite.log_out(2, 2);
}

#[test]
fn a_first_logon_under_five_is_answered_and_what_is_missing_asked_for() {
    let endpoint = Endpoint::start();
    let mut suite = endpoint.connect();
    suite.send("35=A|34=5|98=0|108=30");
    suite.expect("35=A|34=1|98=0|108=30");
    suite.expect("35=2|34=2|7=1|16=0");
    suite.log_out(6, 3);
}

#[test]
fn a_logout_is_answered_plainly_under_any_number() {
    let endpoint = Endpoint::start();
    for number in [1, 2, 90] {
        endpoint.logged_on().log_out(number, 2);
    }
}

#[test]
fn foreign_comp_ids_within_a_session_are_rejected_and_logged_out() {
    let endpoint = Endpoint::start();
    for ids in ["49=WT", "56=DLSI"] {
        let sent = format!("35=D|34=2|{ids}|{ORDER}");
        let rejected = "35=3|34=2|45=2|58=CompID problem|372=D|373=9";
        let mut suite = play(&endpoint, &sent, &[rejected, "35=5|34=3"]);
        suite.send("35=5|34=3");
        suite.expect_end();
    }
}

#[test]
fn an_empty_comp_id_is_a_tag_without_a_value_before_it_is_a_comp_id_problem() {
    let endpoint = Endpoint::start();
    for (empty, tag) in [("49=", 49), ("56=", 56)] {
        let rejected =
            format!("35=3|34=2|45=2|58=Tag specified without a value|371={tag}|372=0|373=4");
        play(&endpoint, &format!("35=0|34=2|{empty}"), &[&rejected]).log_out(3, 3);
    }
}

#[test]
fn a_sending_time_more_than_two_minutes_away_is_rejected_and_logged_out() {
    let endpoint = Endpoint::start();
    for shift in [-121, 125] {
        let rejected = "35=3|34=2|45=2|58=SendingTime accuracy problem|372=0|373=10";
        let sent = format!("35=0|34=2|52={}", now(shift));
        let mut suite = play(&endpoint, &sent, &[rejected, "35=5|34=3"]);
        suite.send("35=5|34=3");
        suite.expect_end();
    }
    play(&endpoint, &format!("35=0|34=2|52={}", now(-110)), &[]).log_out(3, 2);
}

#[test]
fn a_duplicate_that_was_sent_before_its_original_is_rejected_and_logged_out() {
    let endpoint = Endpoint::start();
    let order = format!("35=D|34=2|{ORDER}");
    let mut suite = play(&endpoint, &order, &[&order]);
    suite.send(&format!("35=D|34=2|43=Y|122={}|{ORDER}", now(10)));
    suite.expect("35=3|34=3|45=2|58=SendingTime accuracy problem|372=D|373=10");
    suite.expect("35=5|34=4");
    suite.send("35=5|34=3");
    suite.expect_end();
}

#[test]
fn a_duplicate_without_its_first_time_is_rejected_and_the_session_goes_on() {
    let endpoint = Endpoint::start();
    let order = format!("35=D|34=2|{ORDER}");
    let mut suite = play(&endpoint, &order, &[&order]);
    suite.send(&format!("35=D|34=2|43=Y|{ORDER}"));
    suite.expect("35=3|34=3|45=2|58=Required tag missing|371=122|372=D|373=1");
    suite.send("35=1|34=3|112=HELLO");
    suite.expect("35=0|34=4|112=HELLO");
    suite.log_out(4, 5);
}

#[test]
fn a_changed_begin_string_is_logged_out_and_closed_without_an_answer_in_two_seconds() {
    let endpoint = Endpoint::start();
    for is_answered in [true, false] {
        let mut suite = endpoint.logged_on();
        let body = format!("35=1|34=2|49=TW44|52={}|56=ISLD|112=id", now(0));
        suite.send_bytes(&seal("FIX.4.1", &body));
        suite.expect("35=5|34=2|58=Incorrect BeginString");
        #[allow(clippy::disallowed_methods)]
        // The promise is about the wall clock.
        let since = Instant::now();
        if is_answered {
            suite.send("35=5|34=3");
        }
        suite.expect_end();
        let waited = since.elapsed();
        let is_late = waited >= Duration::from_millis(1_900);
        assert_eq!(is_late, !is_answered, "closed after {waited:?}");
    }
}

#[test]
fn a_number_too_low_is_told_and_the_connection_closed() {
    let endpoint = Endpoint::start();
    let mut suite = endpoint.logged_on();
    for number in [2, 3, 4] {
        suite.send(&format!("35=0|34={number}"));
    }
    suite.send("35=0|34=2");
    suite.expect("35=5|34=2|58=MsgSeqNum too low, expecting 5 but received 2");
    suite.expect_end();
}

#[test]
fn only_a_tag_that_is_no_number_makes_a_message_garbled() {
    let endpoint = Endpoint::start();
    let mut suite = endpoint.logged_on();
    let with = |number: u64, field: &str| {
        seal("FIX.4.4", &format!("35=0|34={number}|49=TW44|52={}|56=ISLD|{field}", now(0)))
    };
    for field in ["4x=1", "x=1", "=1", "112"] {
        suite.send_bytes(&with(2, field));
    }
    // The number was not consumed.
    for (number, tag) in (2..).zip(["0", "-1", "5000", "4294967296", "999"]) {
        suite.send_bytes(&with(number, &format!("{tag}=1")));
        let fault = format!("58=Invalid tag number|371={tag}|372=0|373=0");
        suite.expect(&format!("35=3|34={number}|45={number}|{fault}"));
    }
    suite.log_out(7, 7);
}

#[test]
fn order_is_judged_before_what_is_missing() {
    let endpoint = Endpoint::start();
    let mut suite = endpoint.logged_on();
    let body = format!("35=D|21=3|34=2|49=TW44|52={}|56=ISLD|40=1", now(0));
    suite.send_bytes(&seal("FIX.4.4", &body));
    suite.expect("35=3|34=2|45=2|58=Tag specified out of required order|371=34|372=D|373=14");
    suite.log_out(3, 3);
}

#[test]
fn data_and_emails_come_back_to_the_byte() {
    let endpoint = Endpoint::start();
    let mut suite = endpoint.logged_on();
    // RawData may hold the separator; `|` becomes it on the way.
    suite.send("35=C|34=2|164=thread|94=0|147=news|33=2|58=one|58=two|95=7|96=a|8=b|c");
    suite.expect("35=C|34=2|33=2|58=one|58=two|94=0|95=7|96=a|8=b|c|147=news|164=thread");
    suite.send("35=R|34=3|131=q|146=1|55=INTC");
    suite.expect("35=j|34=3|45=3|58=Unsupported Message Type|372=R|380=3");
    suite.log_out(4, 4);
}

#[test]
fn times_have_three_decimals_and_a_resend_names_the_first() {
    let endpoint = Endpoint::start();
    let mut suite = endpoint.logged_on();
    suite.send(&format!("35=D|34=2|{ORDER}"));
    let first = suite.next().unwrap();
    suite.send("35=2|34=3|7=2|16=2");
    let again = suite.next().unwrap();
    let value = |message: &str, tag: &str| {
        let found = message.split('|').find_map(|field| field.strip_prefix(tag));
        found.unwrap().to_string()
    };
    assert_eq!(value(&again, "122="), value(&first, "52="));
    for time in [value(&first, "52="), value(&again, "52="), value(&again, "122=")] {
        assert_eq!((time.len(), &time[17..18]), (21, "."), "{time}");
    }
}

#[test]
fn whoever_does_not_log_on_has_ten_seconds() {
    let endpoint = Endpoint::start();
    let mut suite = endpoint.connect();
    #[allow(clippy::disallowed_methods)]
    // The promise is about the wall clock.
    let since = Instant::now();
    suite.expect_end();
    let waited = since.elapsed();
    assert!(waited >= Duration::from_millis(9_500), "closed after {waited:?}");
}
