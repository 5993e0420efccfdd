//! One value of a config changed by its key, as a sweep does it.
//!
//! Fed by `crate::sweep`; feeds [`ConfigFile::with`](super::ConfigFile::with). Cold. Deliberately
//! absent: keys that the file does not have. A misspelt one would change nothing, a thousand times.

use toml::{Table, Value};

/// Puts `value` at a dotted key (`instrument.BTCUSDT.quote.gamma`; a part with a dot in it stands in
/// quotes), in the type of what stands there.
///
/// # Errors
/// There is no such key, or the value is not of its type.
pub fn assign(tables: &mut Table, key: &str, value: &str) -> Result<(), String> {
    let path = parts(key)?;
    let absent = || format!("the config has no key {key}; write it there to vary it");
    let (last, folders) = path.split_last().ok_or_else(absent)?;
    let mut table = tables;
    for part in folders {
        table = table.get_mut(part).and_then(Value::as_table_mut).ok_or_else(absent)?;
    }
    let place = table.get_mut(last).ok_or_else(absent)?;
    let wrong = |kind: &str| format!("{key}: {value:?} is no {kind}, which stands in the config");
    *place = match place {
        Value::String(_) => Value::String(value.to_owned()),
        Value::Integer(_) => Value::Integer(value.parse().map_err(|_| wrong("whole number"))?),
        Value::Float(_) => Value::Float(value.parse().map_err(|_| wrong("number"))?),
        Value::Boolean(_) => Value::Boolean(value.parse().map_err(|_| wrong("true or false"))?),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => {
            return Err(format!("{key} is a list or a table; name a single value in it"));
        }
    };
    Ok(())
}

/// The parts of a dotted key, by TOML's own rules.
fn parts(key: &str) -> Result<Vec<String>, String> {
    let parsed: Result<Table, _> = format!("{key} = 0").parse();
    let mut table = parsed.map_err(|_| format!("{key:?} is no key as TOML writes them"))?;
    let mut path = Vec::new();
    while let Some((part, value)) = table.into_iter().next() {
        path.push(part);
        match value {
            Value::Table(inner) => table = inner,
            _ => return Ok(path),
        }
    }
    Err(format!("{key:?} is no key as TOML writes them"))
}

#[cfg(test)]
mod tests {
    use crate::config::ConfigFile;

    fn set(key: &str, value: &str) -> Result<ConfigFile, String> {
        let changes = [(key.to_owned(), value.to_owned())];
        ConfigFile::demo().unwrap().with(&changes).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_key_takes_the_type_of_what_stands_there() {
        let file = set("instrument.BTCUSDT.quote.gamma", "0.75").unwrap();
        assert_eq!(file.raw.instrument["BTCUSDT"].quote.as_ref().unwrap().gamma, "0.75");
        let file = set("instrument.\"BTCUSDT-PERP\".stale_after_ms", "7").unwrap();
        assert_eq!(file.raw.instrument["BTCUSDT-PERP"].stale_after_ms, 7);
    }

    #[test]
    fn a_key_that_is_not_there_or_a_value_of_another_type_is_told() {
        for (key, value, part) in [
            ("instrument.BTCUSDT.quote.gama", "1", "no key instrument.BTCUSDT.quote.gama"),
            ("instrument.BTCUSDT", "1", "a list or a table"),
            ("run.timer_ms", "fast", "no whole number"),
            ("run timer", "1", "no key as TOML"),
            ("", "1", "no key as TOML"),
            ("run.timer_ms.x", "1", "no key run.timer_ms.x"),
        ] {
            let told = set(key, value).unwrap_err();
            assert!(told.contains(part), "{part} in {told}");
        }
    }
}
