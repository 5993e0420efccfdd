//! fefix's `Dictionary` of FIX 4.4 and ours have the same fields, listed values and messages, and
//! messages the same own members. Where the two differ is listed here with the reason, so that nothing
//! else may. What is inside components cannot be compared: fefix loses it (`faults.rs`).

use ballast_gateway::dictionary::{Dictionary, MessageDef};
use fefix::dict::LayoutItemKind;
use std::collections::BTreeSet;

/// Types that differ: fefix has one type for both MULTIPLEVALUESTRING and MULTIPLECHARVALUE, and an
/// older edition of the XML, which has CHAR for two fields that FIX 4.4 lists as String.
const OTHER_TYPES: [(u32, &str, &str); 10] = [
    (18, "MULTIPLEVALUESTRING", "MULTIPLECHARVALUE"),
    (139, "STRING", "CHAR"),
    (276, "MULTIPLEVALUESTRING", "MULTIPLECHARVALUE"),
    (277, "MULTIPLEVALUESTRING", "MULTIPLECHARVALUE"),
    (286, "MULTIPLEVALUESTRING", "MULTIPLECHARVALUE"),
    (291, "MULTIPLEVALUESTRING", "MULTIPLECHARVALUE"),
    (292, "MULTIPLEVALUESTRING", "MULTIPLECHARVALUE"),
    (529, "MULTIPLEVALUESTRING", "MULTIPLECHARVALUE"),
    (532, "STRING", "CHAR"),
    (546, "MULTIPLEVALUESTRING", "MULTIPLECHARVALUE"),
];

#[test]
fn fields_have_the_same_names_types_and_listed_values() {
    let (ours, theirs) = (Dictionary::fix44(), fefix::Dictionary::fix44());
    assert_eq!(ours.fields().len(), theirs.iter_fields().count());
    let mut other_types = Vec::new();
    for field in ours.fields() {
        let other = theirs.field_by_tag(field.tag).unwrap();
        assert_eq!(field.name, other.name());
        let datatype = other.fix_datatype();
        if field.kind.name() != datatype.to_quickfix_name() {
            other_types.push((
                field.tag,
                field.kind.name(),
                datatype.to_quickfix_name().to_owned(),
            ));
        }
        let listed: BTreeSet<Vec<u8>> = field.values().map(|(value, _)| value.to_vec()).collect();
        let enums = other.enums().into_iter().flatten();
        let theirs: BTreeSet<Vec<u8>> = enums.map(|one| one.value().as_bytes().to_vec()).collect();
        assert_eq!(listed, theirs, "{}", field.name);
    }
    let expected = OTHER_TYPES.map(|(tag, ours, theirs)| (tag, ours, theirs.to_owned()));
    assert_eq!(other_types, expected);
}

#[test]
fn messages_have_the_same_fields_and_groups_of_their_own() {
    let (ours, theirs) = (Dictionary::fix44(), fefix::Dictionary::fix44());
    assert_eq!(ours.messages().len(), theirs.iter_messages().count());
    let members: usize =
        ours.messages().iter().map(|definition| compare(&ours, &theirs, definition)).sum();
    assert!(members > 1_000, "{members} members were compared");
}

/// Compares one message; gives how many members were compared.
fn compare(ours: &Dictionary, theirs: &fefix::Dictionary, definition: &MessageDef) -> usize {
    let msg_type = std::str::from_utf8(&definition.msg_type).unwrap();
    let other = theirs.message_by_msgtype(msg_type).unwrap();
    assert_eq!(other.name(), definition.name);
    let mut compared = 0;
    for item in other.layout() {
        let (tag, first) = match item.kind() {
            LayoutItemKind::Component(_) => continue,
            LayoutItemKind::Field(field) => (u32::from(field.tag().get()), None),
            LayoutItemKind::Group(field, items) => {
                let first = match items[0].kind() {
                    LayoutItemKind::Field(first) => Some(u32::from(first.tag().get())),
                    // A group that begins with a component, of which fefix knows nothing.
                    _ => Some(0),
                };
                (u32::from(field.tag().get()), first)
            }
        };
        let entry = ours.member_of(definition.scope, tag).unwrap();
        assert_eq!(entry.is_some(), first.is_some(), "{msg_type}: {tag}");
        if let (Some(entry), Some(first)) = (entry, first.filter(|first| *first != 0)) {
            assert_eq!(ours.delimiter_of(entry), first, "{msg_type}: {tag}");
        }
        let is_required = ours.required_of(definition.scope).any(|required| required == tag);
        assert_eq!(is_required, item.required(), "{msg_type}: {tag}");
        compared += 1;
    }
    compared
}
