//! What a user is promised of validation: each fault gets the reason, the tag and the words that
//! certification suites expect, and of several faults the one that they expect first.

use ballast_gateway::dictionary::Dictionary;
use ballast_gateway::dictionary::validate::{RefTag, RejectReason, Rules, Validator};
use ballast_gateway::fix::decode::Decoder;
use ballast_gateway::fix::encode::Encoder;
use std::sync::Arc;

fn validator(rules: Rules) -> Validator {
    Validator::new(Arc::new(Dictionary::fix44()), rules)
}

/// Reason, RefTagID as it would be written, Text.
fn judge_with(rules: Rules, text: &str) -> Option<(u64, String, &'static str)> {
    let bytes = text.replace('|', "\x01").into_bytes();
    let mut decoder = Decoder::new(128);
    let message = decoder.decode(&bytes).expect("well-formed");
    let rejection = validator(rules).check(&message).err()?;
    let mut buffer = [0u8; 256];
    let mut encoder = Encoder::begin(&mut buffer, b"FIX.4.4", b"3");
    rejection.write_ref_tag(&mut encoder);
    let len = encoder.finish().unwrap();
    let mut decoder = Decoder::new(16);
    let reject = decoder.decode(&buffer[..len]).unwrap();
    let ref_tag = String::from_utf8(reject.get(371).unwrap_or_default().to_vec()).unwrap();
    assert_eq!(ref_tag.is_empty(), rejection.ref_tag == RefTag::None);
    Some((rejection.reason.code(), ref_tag, rejection.reason.text()))
}

fn judge(text: &str) -> Option<(u64, String, &'static str)> {
    judge_with(Rules::default(), text)
}

/// Fields of a NewOrderSingle that has all it needs, with a place in the header and in the body.
fn order(header: &str, body: &str) -> String {
    format!(
        "8=FIX.4.4|9=100|35=D|34=2|49=TW44|52=20240808-00:00:00.000|56=ISLD|{header}\
         11=ID|21=1|40=1|54=1|38=200.00|55=INTC|60=20240808-00:00:00|{body}10=000|"
    )
}

fn heartbeat(extra: &str) -> String {
    format!("8=FIX.4.4|9=9|35=0|34=2|49=TW44|52=20240808-00:00:00|56=ISLD|{extra}10=000|")
}

#[test]
fn good_messages_pass() {
    for text in [
        order("", ""),
        order("115=JCD|116=CS|43=Y|122=20240808-00:00:00|", "44=1.5|59=0|"),
        order("", "453=2|448=a|447=D|452=1|802=1|523=x|803=1|448=b|447=D|452=3|58=text|"),
        order("", "386=2|336=PRE-OPEN|336=AFTER-HOURS|"),
        order("", "167=CS|18=6 A|"),
        order("627=1|628=HUB|629=20240808-00:00:00|", ""),
        order("", "93=3|89=abc|"),
        heartbeat("112=TEST|"),
        // A body whose fields come in another order, and a group of none.
        "8=FIX.4.4|9=9|35=d|49=TW44|34=2|56=ISLD|52=20240808-00:00:00|320=JCD1091|322=1034|323=6|\
         55=TBS|22=8|167=CS|336=ONE_MAIN|58=No Products|454=0|10=000|"
            .to_string(),
    ] {
        assert_eq!(judge(&text), None, "{text}");
    }
}

#[test]
fn each_fault_has_its_reason_its_tag_and_its_words() {
    for (text, code, ref_tag, words) in [
        (heartbeat("999=HI|"), 0, "999", "Invalid tag number"),
        (heartbeat("0=HI|"), 0, "0", "Invalid tag number"),
        (heartbeat("-1=HI|"), 0, "-1", "Invalid tag number"),
        (heartbeat("5000=HI|"), 0, "5000", "Invalid tag number"),
        (heartbeat("99999999999=HI|"), 0, "99999999999", "Invalid tag number"),
        (heartbeat("").replace("56=ISLD|", ""), 1, "56", "Required tag missing"),
        (order("", "").replace("11=ID|", ""), 1, "11", "Required tag missing"),
        (heartbeat("55=INTC|"), 2, "55", "Tag not defined for this message type"),
        (heartbeat("").replace("ISLD", ""), 4, "56", "Tag specified without a value"),
        (order("115=|", ""), 4, "115", "Tag specified without a value"),
        (
            order("", "").replace("21=1", "21=4"),
            5,
            "21",
            "Value is incorrect (out of range) for this tag",
        ),
        (order("", "167=BOO|"), 5, "167", "Value is incorrect (out of range) for this tag"),
        (order("", "18=6 @|"), 5, "18", "Value is incorrect (out of range) for this tag"),
        (order("", "").replace("38=2", "38=+2"), 6, "38", "Incorrect data format for value"),
        (order("", "").replace("60=2024", "60=2O24"), 6, "60", "Incorrect data format for value"),
        (heartbeat("").replace("35=0", "35=*"), 11, "", "Invalid MsgType"),
        (order("", "40=2|"), 13, "40", "Tag appears more than once"),
        (order("34=3|", ""), 13, "34", "Tag appears more than once"),
        (order("", "145=x|"), 14, "145", "Tag specified out of required order"),
        (order("", "93=1|89=x|58=y|"), 14, "58", "Tag specified out of required order"),
        (
            order("", "386=3|336=A|336=B|"),
            16,
            "386",
            "Incorrect NumInGroup count for repeating group",
        ),
    ] {
        assert_eq!(judge(&text), Some((code, ref_tag.to_string(), words)), "{text}");
    }
}

#[test]
fn groups_are_counted_and_looked_into_at_every_depth() {
    for (group, code, ref_tag) in [
        ("453=1|448=a|448=b|", 16, "453"),
        ("453=2|448=a|802=1|523=x|523=y|448=b|", 16, "802"),
        ("453=1|447=D|448=a|", 16, "453"),
        ("453=0|448=a|", 16, "453"),
        ("453=1|", 16, "453"),
        ("448=a|", 2, "448"),
        ("453=x|448=a|", 6, "453"),
        ("453=1|448=a|447=D|447=D|", 13, "447"),
        ("453=1|448=a|802=1|523=x|803=|", 4, "803"),
        // NoAllocs(78) stands in NewOrderSingle, its NestedParties in each entry.
        ("78=1|79=acc|539=1|524=p|804=1|545=s|805=x|", 6, "805"),
    ] {
        let judged = judge(&order("", group)).map(|(code, tag, _)| (code, tag));
        assert_eq!(judged, Some((code, ref_tag.to_string())), "{group}");
    }
    // NoLegs(555) of NewOrderMultileg and NoMDEntryTypes(267): an entry lacks what it must have.
    let request = "8=FIX.4.4|9=9|35=X|34=2|49=A|52=20240808-00:00:00|56=B|268=2|279=0|269=0|279=1|\
        270=x|10=000|";
    assert_eq!(judge(request).map(|(code, ..)| code), Some(6));
}

#[test]
fn a_required_field_of_a_groups_entry_is_missed() {
    let request = |entry: &str| {
        format!(
            "8=FIX.4.4|9=9|35=X|34=2|49=A|52=20240808-00:00:00|56=B|268=2|279=0|269=0|\
             {entry}269=1|10=000|"
        )
    };
    assert_eq!(judge(&request("279=0|")), None);
    // An entry of MarketDataRequest's NoRelatedSym(146) and ListStatus' NoOrders(73).
    let status = "8=FIX.4.4|9=9|35=N|34=2|49=A|52=20240808-00:00:00|56=B|66=L|429=1|82=1|431=1|\
        83=1|68=1|73=1|11=x|14=0|151=0|84=0|6=0|10=000|";
    assert_eq!(judge(status).map(|(code, tag, _)| (code, tag)), Some((1, "39".into())));
}

#[test]
fn of_several_faults_order_comes_before_missing_and_missing_before_values() {
    // 14g of the session test cases: body fields first, and nothing else wrong.
    let text = "8=FIX.4.4|9=9|35=D|11=id|21=3|40=1|54=1|55=MSFT|60=20240808-00:00:00|34=2|\
        49=TW|52=20240808-00:00:00|56=ISLD|10=000|";
    assert_eq!(judge(text).map(|(code, tag, _)| (code, tag)), Some((14, "34".into())));
    let both = text.replace("11=id|", "");
    assert_eq!(judge(&both).map(|(code, tag, _)| (code, tag)), Some((14, "34".into())));
    let missing_and_bad = order("", "").replace("11=ID|", "").replace("21=1", "21=9");
    assert_eq!(judge(&missing_and_bad).map(|(code, ..)| code), Some(1));
    let empty_and_unknown = order("128=JCD|129=|", "").replace("40=1", "40=w");
    assert_eq!(
        judge(&empty_and_unknown).map(|(code, tag, _)| (code, tag)),
        Some((4, "129".into()))
    );
}

#[test]
fn each_rule_can_be_switched_off() {
    let all = Rules::default();
    for (rules, text) in [
        (Rules { order: false, ..all }, order("", "145=x|")),
        (Rules { required: false, ..all }, order("", "").replace("11=ID|", "")),
        (Rules { values_present: false, ..all }, order("115=|", "")),
        (Rules { values: false, ..all }, order("", "").replace("21=1", "21=9")),
        (Rules { repeated: false, ..all }, order("", "40=1|")),
        (Rules { user_defined: false, ..all }, order("", "9001=x|")),
        (Rules { membership: false, ..all }, order("", "999=x|108=30|")),
        (Rules { group_counts: false, ..all }, order("", "453=2|448=x|")),
        (Rules { msg_type: false, ..all }, heartbeat("55=x|").replace("35=0", "35=U9")),
    ] {
        assert!(judge(&text).is_some(), "{text}");
        assert_eq!(judge_with(rules, &text), None, "{text}");
    }
    let rules = Rules { user_defined: false, membership: false, ..all };
    assert_eq!(judge_with(rules, &heartbeat("0=x|")).map(|(code, ..)| code), Some(0));
}

#[test]
fn one_message_leaves_nothing_behind_for_the_next() {
    let mut validator = validator(Rules::default());
    let mut decoder = Decoder::new(128);
    let texts = [order("", "453=1|448=x|"), heartbeat(""), order("", "").replace("11=ID|", "")];
    for n in 0..30_000 {
        let bytes = texts[n % 3].replace('|', "\x01").into_bytes();
        let message = decoder.decode(&bytes).unwrap();
        let reason = validator.check(&message).err().map(|rejection| rejection.reason);
        assert_eq!(reason, (n % 3 == 2).then_some(RejectReason::RequiredTagMissing));
    }
}
