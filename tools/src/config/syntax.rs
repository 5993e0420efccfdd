//! What a TOML parser said, without what stood there.
//!
//! Fed by the readers of config files; feeds their errors. Cold path. The parser's own text quotes the
//! line that is wrong, and a line that is wrong may hold a password that belongs into a file of its own:
//! told are the place, the parser's words and the keys, never a value.

/// `error` of parsing `text`: line, column and what is wrong.
pub fn told(text: &str, error: &toml::de::Error) -> String {
    let message = masked(error.message());
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => {
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
            format!("line {line}, column {column}: {message}")
        }
        None => message,
    }
}

/// `invalid type: string "hunter2", expected u32` without the string: what `"` encloses is a value,
/// while keys stand in backquotes.
fn masked(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(from), Some(to)) if from < to => {
            format!("{}\"***\"{}", &message[..from], &message[to + 1..])
        }
        (Some(from), _) => format!("{}***", &message[..from]),
        (None, _) => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[allow(dead_code, reason = "read by the parser alone")]
        heartbeat_s: u32,
    }

    fn told_of(text: &str) -> String {
        told(text, &toml::from_str::<File>(text).unwrap_err())
    }

    #[test]
    fn the_place_and_the_key_are_told_and_the_value_is_not() {
        let unknown = told_of("heartbeat_s = 5\npassword = \"hunter2\"\n");
        assert!(unknown.starts_with("line 2, column 1: unknown field `password`"), "{unknown}");
        let wrong_type = told_of("heartbeat_s = \"hunter2\"");
        assert!(wrong_type.contains("\"***\", expected u32"), "{wrong_type}");
        let broken = told_of("heartbeat_s = 5\npassword = \"hunter2\nx = 1\n");
        assert!(broken.starts_with("line 2, column "), "{broken}");
        let quoted = told_of("heartbeat_s = \"hun\\\"ter2\"");
        for text in [unknown, wrong_type, broken, quoted] {
            assert!(!text.contains("hunter2") && !text.contains("ter2"), "{text}");
        }
    }
}
