//! QuickFIX-format XML, the format in which venues publish their dictionaries, into [`Facts`].
//!
//! Fed by a file's text at start; nothing here runs while trading.

use super::DictionaryError;
use super::facts::{Facts, FieldFacts, Member, MessageFacts};
use super::field_type::FieldType;
use roxmltree::{Document, Node};
use std::collections::BTreeMap;

/// Reads one file.
///
/// # Errors
/// What is wrong, and at which element.
pub fn read(text: &str) -> Result<Facts, DictionaryError> {
    let document =
        Document::parse(text).map_err(|e| DictionaryError::Xml { text: e.to_string() })?;
    let root = document.root_element();
    let mut facts = Facts { begin_string: begin_string(root)?, ..Facts::default() };
    let mut tags = BTreeMap::new();
    for field in section(root, "fields").into_iter().flat_map(elements) {
        let fact = read_field(field)?;
        if tags.insert(fact.name.clone(), fact.tag).is_some() {
            return Err(DictionaryError::Twice { what: fact.name });
        }
        facts.fields.push(fact);
    }
    if facts.fields.is_empty() {
        return Err(DictionaryError::Xml { text: "has no <fields>".into() });
    }
    for component in section(root, "components").into_iter().flat_map(elements) {
        let members = read_members(component, &tags)?;
        facts.components.push((attribute(component, "name")?.into(), members));
    }
    for message in section(root, "messages").into_iter().flat_map(elements) {
        facts.messages.push(MessageFacts {
            msg_type: attribute(message, "msgtype")?.into(),
            name: attribute(message, "name")?.into(),
            is_admin: attribute(message, "msgcat")? == "admin",
            members: read_members(message, &tags)?,
        });
    }
    for (name, members) in [("header", &mut facts.header), ("trailer", &mut facts.trailer)] {
        if let Some(node) = section(root, name) {
            *members = read_members(node, &tags)?;
        }
    }
    Ok(facts)
}

/// `FIX.4.4`, `FIXT.1.1`; FIX 5.0 files say `FIX.5.0SP2`, which no message begins with.
fn begin_string(root: Node<'_, '_>) -> Result<String, DictionaryError> {
    let kind = root.attribute("type").unwrap_or("FIX");
    let (major, minor) = (attribute(root, "major")?, attribute(root, "minor")?);
    Ok(match root.attribute("servicepack") {
        None | Some("0" | "") => format!("{kind}.{major}.{minor}"),
        Some(pack) => format!("{kind}.{major}.{minor}SP{pack}"),
    })
}

fn read_field(node: Node<'_, '_>) -> Result<FieldFacts, DictionaryError> {
    let name = attribute(node, "name")?;
    let number = attribute(node, "number")?;
    let tag = number.parse().ok().filter(|tag| *tag > 0);
    let tag = tag.ok_or_else(|| DictionaryError::Tag { field: name.into(), tag: number.into() })?;
    let kind = attribute(node, "type")?;
    let values = elements(node)
        .map(|value| {
            let meaning = value.attribute("description").unwrap_or_default();
            Ok((attribute(value, "enum")?.to_string(), meaning.to_string()))
        })
        .collect::<Result<_, DictionaryError>>()?;
    Ok(FieldFacts {
        tag,
        name: name.into(),
        kind: FieldType::named(kind)
            .ok_or_else(|| DictionaryError::Type { field: name.into(), kind: kind.into() })?,
        values,
    })
}

fn read_members(
    node: Node<'_, '_>,
    tags: &BTreeMap<String, u32>,
) -> Result<Vec<Member>, DictionaryError> {
    let tag_of = |name: &str| {
        let error = || DictionaryError::UnknownField { name: name.into() };
        tags.get(name).copied().ok_or_else(error)
    };
    elements(node)
        .map(|member| {
            let name = attribute(member, "name")?;
            let is_required = member.attribute("required") == Some("Y");
            match member.tag_name().name() {
                "field" => Ok(Member::Field { tag: tag_of(name)?, is_required }),
                "component" => Ok(Member::Component { name: name.into(), is_required }),
                "group" => Ok(Member::Group {
                    tag: tag_of(name)?,
                    is_required,
                    members: read_members(member, tags)?,
                }),
                other => Err(DictionaryError::Xml {
                    text: format!("has <{other}> where a field, group or component may stand"),
                }),
            }
        })
        .collect()
}

fn section<'a, 'i>(root: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    root.children().find(|node| node.has_tag_name(name))
}

fn elements<'a, 'i>(node: Node<'a, 'i>) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(Node::is_element)
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Result<&'a str, DictionaryError> {
    node.attribute(name).ok_or_else(|| DictionaryError::Xml {
        text: format!("has <{}> without {name}=", node.tag_name().name()),
    })
}
