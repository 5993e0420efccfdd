//! What a user is promised of every message type of FIX 4.4: what is encoded decodes to the same
//! fields and encodes again to the same bytes, validation takes it, and one fault of each kind in it
//! is refused with that fault's reason and tag.

mod generated;

use ballast_gateway::dictionary::field_type::FieldType;
use ballast_gateway::dictionary::validate::{RefTag, RejectReason, Rules, Validator};
use ballast_gateway::dictionary::{Dictionary, MessageDef, ScopeId};
use ballast_gateway::fix::decode::Decoder;
use ballast_gateway::fix::encode::Encoder;
use ballast_gateway::fix::frame::{Frame, frame};
use generated::{Field, Fill, Generated, Generator, seal};
use std::collections::BTreeMap;
use std::sync::Arc;

const LEN_MAX: usize = 1 << 20;
const FIELDS_MAX: usize = 1 << 16;
/// Messages of each type with a lot of their own.
const ROUNDS: usize = 8;

/// Every type: bare, full, and several times with some of what is optional.
fn for_each_message(mut visit: impl FnMut(&mut Generator<'_>, &MessageDef, Generated)) {
    let dictionary = Dictionary::fix44();
    let mut generator = Generator::new(&dictionary, 44);
    for definition in dictionary.messages() {
        let fills = [Fill::Required, Fill::All].into_iter().chain([Fill::Some; ROUNDS]);
        for fill in fills {
            let message = generator.message(definition, fill);
            visit(&mut generator, definition, message);
        }
    }
}

fn encode(buffer: &mut [u8], message: &Generated) -> usize {
    let mut encoder = Encoder::begin(buffer, b"FIX.4.4", &message.msg_type);
    for field in message.header.iter().chain(&message.body).chain(&message.trailer) {
        match field.length_tag {
            Some(length) => encoder.data(length, field.tag, &field.value),
            None => encoder.bytes(field.tag, &field.value),
        };
    }
    encoder.finish().unwrap()
}

#[test]
fn what_is_encoded_decodes_to_the_same_fields_and_encodes_to_the_same_bytes() {
    let mut decoder = Decoder::new(FIELDS_MAX);
    let (mut buffer, mut again) = (vec![0; LEN_MAX], vec![0; LEN_MAX]);
    let (mut messages, mut longest) = (0, 0);
    for_each_message(|_, definition, message| {
        let len = encode(&mut buffer, &message);
        assert_eq!(frame(&buffer[..len], LEN_MAX), Frame::Message { len }, "{}", definition.name);
        assert!(
            buffer[..len] == message.bytes(),
            "{}: the plain way gives others",
            definition.name
        );
        let decoded = decoder.decode(&buffer[..len]).unwrap();
        let count = decoded.field_count();
        let inner: Vec<(u32, Vec<u8>)> = decoded
            .fields()
            .skip(2)
            .take(count - 3)
            .map(|field| (field.tag, field.value.to_vec()))
            .collect();
        assert!(inner == message.fields(), "{}: other fields", definition.name);
        let mut encoder = Encoder::begin(&mut again, decoded.begin_string(), decoded.msg_type());
        let mut length_tag = 0;
        for field in decoded.fields().skip(3).take(count - 4) {
            // A data field goes out with its length field, which came just before it.
            if message
                .header
                .iter()
                .chain(&message.body)
                .chain(&message.trailer)
                .any(|f| f.length_tag == Some(field.tag))
            {
                length_tag = field.tag;
                continue;
            }
            match std::mem::take(&mut length_tag) {
                0 => encoder.bytes(field.tag, field.value),
                length => encoder.data(length, field.tag, field.value),
            };
        }
        let len_again = encoder.finish().unwrap();
        assert!(again[..len_again] == buffer[..len], "{}: other bytes", definition.name);
        messages += 1;
        longest = longest.max(len);
    });
    assert_eq!(messages, 93 * (ROUNDS + 2));
    assert!(longest > 10_000, "full messages have nested groups: {longest}");
}

struct Judge {
    decoder: Decoder,
    validator: Validator,
}

impl Judge {
    /// The reason and the tag of the first fault; 0 where the fault has no tag.
    fn judge(&mut self, fields: &[(u32, Vec<u8>)]) -> Option<(RejectReason, u32)> {
        let bytes = seal(fields);
        assert_eq!(frame(&bytes, LEN_MAX), Frame::Message { len: bytes.len() });
        let message = self.decoder.decode(&bytes).unwrap();
        let rejection = self.validator.check(&message).err()?;
        let tag = match rejection.ref_tag {
            RefTag::Tag(tag) => tag,
            RefTag::None | RefTag::AsWritten(_) => 0,
        };
        Some((rejection.reason, tag))
    }
}

fn judge() -> Judge {
    let validator = Validator::new(Arc::new(Dictionary::fix44()), Rules::default());
    Judge { decoder: Decoder::new(FIELDS_MAX), validator }
}

#[test]
fn every_generated_message_is_good() {
    let mut judge = judge();
    for_each_message(|_, definition, message| {
        let fault = judge.judge(&message.fields());
        assert_eq!(fault, None, "{}: {}", definition.name, text(&message));
    });
}

fn text(message: &Generated) -> String {
    String::from_utf8_lossy(&message.bytes()).replace('\x01', "|")
}

/// One fault put into a message, and the tag that the answer must name; `None` where the message has
/// no field that could have this fault.
type Fault = fn(&mut Generator<'_>, &MessageDef, &mut Generated) -> Option<u32>;

const FAULTS: [(RejectReason, Fault); 9] = [
    (RejectReason::InvalidTagNumber, unknown_tag),
    (RejectReason::RequiredTagMissing, missing),
    (RejectReason::TagNotDefinedForMessage, foreign),
    (RejectReason::TagWithoutValue, empty),
    (RejectReason::ValueIncorrect, unlisted),
    (RejectReason::IncorrectDataFormat, malformed),
    (RejectReason::TagRepeated, repeated),
    (RejectReason::TagOutOfOrder, header_in_body),
    (RejectReason::IncorrectNumInGroup, miscounted),
];

#[test]
fn one_fault_of_each_kind_is_refused_with_its_reason_and_its_tag() {
    let mut judge = judge();
    let mut tried: BTreeMap<u64, usize> = BTreeMap::new();
    for_each_message(|generator, definition, message| {
        for (reason, fault) in FAULTS {
            let mut faulty = message.clone();
            let Some(tag) = fault(generator, definition, &mut faulty) else { continue };
            let judged = judge.judge(&faulty.fields());
            assert_eq!(judged, Some((reason, tag)), "{}: {}", definition.name, text(&faulty));
            *tried.entry(reason.code()).or_default() += 1;
        }
        let mut untyped = message.clone();
        untyped.msg_type = b"ZZ".to_vec();
        let judged = judge.judge(&untyped.fields());
        assert_eq!(judged, Some((RejectReason::InvalidMsgType, 0)), "{}", definition.name);
    });
    assert_eq!(tried.len(), FAULTS.len(), "{tried:?}");
    // Only a few messages have nothing that is required, listed, of a checked type or in a group.
    assert!(tried.values().all(|count| *count > 93 * (ROUNDS + 2) / 2), "{tried:?}");
}

fn plain(tag: u32, value: &str) -> Field {
    let value = value.as_bytes().to_vec();
    Field { tag, value, depth: 0, length_tag: None, is_counter: false }
}

/// A field of the body that `wanted` takes, by lot.
fn any_of<'m>(
    generator: &mut Generator<'_>,
    message: &'m mut Generated,
    wanted: impl Fn(&Field) -> bool,
) -> Option<&'m mut Field> {
    let fits: Vec<usize> =
        (0..message.body.len()).filter(|at| wanted(&message.body[*at])).collect();
    let at = *fits.get(generator.random.below(fits.len()))?;
    message.body.get_mut(at)
}

fn unknown_tag(
    generator: &mut Generator<'_>,
    _: &MessageDef,
    message: &mut Generated,
) -> Option<u32> {
    let tag = [4_999, 5_001, 65_535][generator.random.below(3)];
    let at = generator.random.below(message.body.len() + 1);
    message.body.insert(at, plain(tag, "x"));
    Some(tag)
}

fn missing(
    generator: &mut Generator<'_>,
    definition: &MessageDef,
    message: &mut Generated,
) -> Option<u32> {
    let required: Vec<u32> = generator.dictionary.required_of(definition.scope).collect();
    let wanted =
        |field: &Field| field.depth == 0 && !field.is_counter && required.contains(&field.tag);
    let fits: Vec<u32> = message.body.iter().filter(|f| wanted(f)).map(|f| f.tag).collect();
    // Where the body has nothing that is required: SenderCompID(49) always is.
    let tag = fits.get(generator.random.below(fits.len())).copied().unwrap_or(49);
    message.body.retain(|field| field.depth > 0 || field.tag != tag);
    message.header.retain(|field| field.depth > 0 || field.tag != tag);
    Some(tag)
}

/// Text of another message, behind everything that this one has.
fn foreign(
    generator: &mut Generator<'_>,
    definition: &MessageDef,
    message: &mut Generated,
) -> Option<u32> {
    let dictionary = generator.dictionary;
    let fits: Vec<u32> = dictionary
        .fields()
        .iter()
        .filter(|field| matches!(field.kind, FieldType::Text(_)) && field.values().count() == 0)
        .map(|field| field.tag)
        .filter(|tag| !dictionary.is_header(*tag) && !dictionary.is_trailer(*tag))
        .filter(|tag| !holds(dictionary, definition.scope, *tag))
        .collect();
    let tag = *fits.get(generator.random.below(fits.len()))?;
    message.body.push(plain(tag, "x"));
    Some(tag)
}

/// Whether a scope or a group in it has a tag.
fn holds(dictionary: &Dictionary, scope: ScopeId, tag: u32) -> bool {
    dictionary.members_of(scope).any(|member| {
        let group = dictionary.member_of(scope, member).flatten();
        member == tag || group.is_some_and(|entry| holds(dictionary, entry, tag))
    })
}

fn empty(generator: &mut Generator<'_>, _: &MessageDef, message: &mut Generated) -> Option<u32> {
    let field = any_of(generator, message, |field| field.length_tag.is_none())?;
    field.value.clear();
    Some(field.tag)
}

fn unlisted(generator: &mut Generator<'_>, _: &MessageDef, message: &mut Generated) -> Option<u32> {
    let dictionary = generator.dictionary;
    let other = |field: &Field| {
        let definition = dictionary.field(field.tag)?;
        definition.values().next()?;
        match definition.kind {
            FieldType::Char => Some("~"),
            FieldType::Int | FieldType::Uint(_) => Some("987654"),
            FieldType::Text(_) => Some("~~"),
            FieldType::Several(_) => Some("~ ~"),
            // What these types allow, they list.
            _ => None,
        }
    };
    let field = any_of(generator, message, |field| other(field).is_some())?;
    field.value = other(field)?.as_bytes().to_vec();
    Some(field.tag)
}

fn malformed(
    generator: &mut Generator<'_>,
    _: &MessageDef,
    message: &mut Generated,
) -> Option<u32> {
    let dictionary = generator.dictionary;
    let bad = |field: &Field| match dictionary.field(field.tag)?.kind {
        FieldType::Float(_) => Some("1.2.3"),
        FieldType::Int => Some("1x"),
        FieldType::Uint(_) => Some("-1"),
        FieldType::DayOfMonth => Some("32"),
        FieldType::Char => Some("ab"),
        FieldType::Boolean => Some("X"),
        FieldType::UtcTimestamp => Some("20240230-00:00:00"),
        FieldType::TimeOnly(_) => Some("12-00-00"),
        FieldType::Date(_) => Some("2024021x"),
        FieldType::MonthYear => Some("202413"),
        FieldType::Text(_) | FieldType::Several(_) | FieldType::Data(_) => None,
    };
    let field = any_of(generator, message, |field| bad(field).is_some())?;
    field.value = bad(field)?.as_bytes().to_vec();
    Some(field.tag)
}

fn repeated(generator: &mut Generator<'_>, _: &MessageDef, message: &mut Generated) -> Option<u32> {
    let is_plain = |field: &Field| field.depth == 0 && !field.is_counter;
    let field = any_of(generator, message, |f| is_plain(f) && f.length_tag.is_none())?.clone();
    let at = message.body.iter().position(|f| is_plain(f) && f.tag == field.tag)?;
    message.body.insert(at, field.clone());
    Some(field.tag)
}

/// SenderCompID(49) behind the last field of body or trailer.
fn header_in_body(_: &mut Generator<'_>, _: &MessageDef, message: &mut Generated) -> Option<u32> {
    if message.body.is_empty() && message.trailer.is_empty() {
        return None;
    }
    let at = message.header.iter().position(|field| field.tag == 49)?;
    let field = message.header.remove(at);
    message.trailer.push(field);
    Some(49)
}

fn miscounted(
    generator: &mut Generator<'_>,
    _: &MessageDef,
    message: &mut Generated,
) -> Option<u32> {
    let field = any_of(generator, message, |field| field.is_counter)?;
    field.value = if field.value == b"1" { b"2".to_vec() } else { b"1".to_vec() };
    Some(field.tag)
}
