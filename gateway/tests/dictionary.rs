//! What a user is promised of dictionaries: the published ones load in milliseconds, and what is
//! compiled in is what the published FIX 4.4 says.

use ballast_gateway::dictionary::facts::Facts;
use ballast_gateway::dictionary::{Dictionary, DictionaryError, generate, xml};
use std::path::{Path, PathBuf};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_path_buf()
}

/// A published dictionary, or `None` with a printed reason where the data is not on this machine.
fn published(name: &str) -> Option<String> {
    let path = workspace().join("../shared/data/fix-dictionaries").join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            println!("skipped: {}: {error}", path.display());
            None
        }
    }
}

#[test]
fn the_generated_files_are_what_the_published_dictionary_gives() {
    let Some(text) = published("quickfix/FIX44.xml") else { return };
    let facts = xml::read(&text).unwrap();
    for file in generate::source_files(&facts) {
        let path = workspace().join("gateway/src").join(file.path);
        let on_disk = std::fs::read_to_string(&path).unwrap();
        assert!(
            on_disk == file.content,
            "{} is stale: run ballast fix dictionary FIX44.xml --generate gateway/src",
            path.display()
        );
    }
    assert_eq!(Facts::from_table(&facts.to_table()).unwrap(), facts);
    assert_eq!(Dictionary::from_facts(&facts).unwrap(), Dictionary::fix44());
}

#[test]
fn every_published_dictionary_loads() {
    for (name, fields, messages) in [
        ("quickfix/FIX42.xml", 405, 46),
        ("quickfix/FIX44.xml", 912, 93),
        ("quickfix/FIXT11.xml", 71, 8),
        ("quickfix/FIX50SP2.xml", 6028, 156),
        ("binance/spot-fix-oe.xml", 0, 19),
        ("binance/spot-fix-md.xml", 0, 14),
    ] {
        let Some(text) = published(name) else { return };
        let dictionary = Dictionary::from_xml(&text).unwrap();
        assert_eq!(dictionary.messages().len(), messages, "{name}");
        assert!(
            fields == 0 || dictionary.fields().len() == fields,
            "{name}: {}",
            dictionary.fields().len()
        );
    }
}

#[test]
fn application_messages_take_header_and_trailer_from_the_transport() {
    let (Some(application), Some(transport)) =
        (published("quickfix/FIX50SP2.xml"), published("quickfix/FIXT11.xml"))
    else {
        return;
    };
    let facts = xml::read(&application).unwrap().with_transport(xml::read(&transport).unwrap());
    let dictionary = Dictionary::from_facts(&facts).unwrap();
    assert_eq!(dictionary.begin_string(), "FIXT.1.1");
    assert!(dictionary.is_header(1128) && dictionary.is_trailer(10));
    assert!(dictionary.message(b"A").is_some() && dictionary.message(b"D").is_some());
}

#[test]
fn a_venues_own_fields_and_values_are_there() {
    let Some(text) = published("binance/spot-fix-oe.xml") else { return };
    let dictionary = Dictionary::from_xml(&text).unwrap();
    assert_eq!(dictionary.field_named("RecvWindow").unwrap().tag, 25000);
    assert_eq!(dictionary.field(25035).unwrap().name, "MessageHandling");
}

#[test]
fn a_broken_dictionary_is_refused_with_its_place() {
    let with = |fields: &str, messages: &str| {
        Dictionary::from_xml(&format!(
            "<fix major='4' minor='4'><messages><message name='M' msgtype='M' msgcat='app'>\
             {messages}</message></messages><components><component name='C'>\
             <component name='C' required='N'/></component></components>\
             <fields>{fields}</fields></fix>"
        ))
    };
    let field = "<field number='5' name='A' type='INT'/>";
    assert!(with(field, "<field name='A' required='Y'/>").is_ok());
    let named = |name: &str| name.to_string();
    for (fields, messages, expected) in [
        (field, "<field name='B'/>", DictionaryError::UnknownField { name: named("B") }),
        (field, "<component name='C'/>", DictionaryError::UnknownComponent { name: named("C") }),
        (field, "<component name='D'/>", DictionaryError::UnknownComponent { name: named("D") }),
        (field, "<group name='A'/>", DictionaryError::Group { tag: 5 }),
        (
            "<field number='x' name='A' type='INT'/>",
            "",
            DictionaryError::Tag { field: named("A"), tag: named("x") },
        ),
        (
            "<field number='70000' name='A' type='INT'/>",
            "",
            DictionaryError::Tag { field: named("A"), tag: named("70000") },
        ),
        (
            "<field number='5' name='A' type='INTEGER'/>",
            "",
            DictionaryError::Type { field: named("A"), kind: named("INTEGER") },
        ),
        (
            "<field number='5' name='A' type='INT'/><field number='5' name='B' type='INT'/>",
            "",
            DictionaryError::Twice { what: named("B") },
        ),
    ] {
        assert_eq!(with(fields, messages), Err(expected));
    }
    assert!(matches!(Dictionary::from_xml("<fix"), Err(DictionaryError::Xml { .. })));
    assert!(matches!(Dictionary::from_xml("<fix/>"), Err(DictionaryError::Xml { .. })));
}

#[test]
fn components_that_double_at_each_level_are_refused_soon() {
    let mut components = String::new();
    for n in 0..30 {
        let inner = format!("<component name='C{}' required='N'/>", n + 1);
        components += &format!("<component name='C{n}'>{inner}{inner}</component>");
    }
    let xml = format!(
        "<fix major='4' minor='4'><messages><message name='M' msgtype='M' msgcat='app'>\
         <component name='C0' required='N'/></message></messages><components>{components}\
         <component name='C30'><field name='A' required='N'/></component></components>\
         <fields><field number='5' name='A' type='INT'/></fields></fix>"
    );
    assert_eq!(Dictionary::from_xml(&xml), Err(DictionaryError::TooLarge));
}
