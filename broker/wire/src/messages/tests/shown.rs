//! The values in a message by their path, taken from how it is shown by `Debug`: what two codecs can
//! be compared by that share no types. The tests with other people's clients use it, too.

use std::collections::BTreeMap;
use std::fmt::Debug;

/// The values in a message by their path, taken from how it is shown by `Debug`.
pub(crate) fn values_of(message: &impl Debug) -> BTreeMap<String, String> {
    let shown = format!("{message:?}");
    let mut values = BTreeMap::new();
    let mut parser = Parser { rest: &shown, values: &mut values };
    parser.value(String::new());
    assert_eq!(parser.rest, "", "all of {shown} is understood");
    values
}

/// Reads what `#[derive(Debug)]` writes. A tuple of one, like `Some(1)` or `BrokerId(1)`, counts as
/// what is in it, as the two sides wrap different things.
struct Parser<'a> {
    rest: &'a str,
    values: &'a mut BTreeMap<String, String>,
}

impl<'a> Parser<'a> {
    fn value(&mut self, path: String) {
        if self.rest.starts_with('"') || self.rest.starts_with("b\"") {
            let text = self.quoted();
            self.values.insert(path, text.to_owned());
        } else if self.skip("[") {
            let mut index = 0;
            while !self.skip("]") {
                self.value(format!("{path}[{index}]"));
                self.skip(", ");
                index += 1;
            }
            self.values.insert(format!("{path}.len"), index.to_string());
        } else if self.skip("{}") {
        } else {
            let word = self.until(&['(', ')', '{', '}', ',', ']', ' ']);
            if self.skip("(") {
                if word == "Records" {
                    self.until(&[')']);
                } else {
                    self.value(path);
                }
                assert!(self.skip(")"));
            } else if self.skip(" { ") {
                while !self.skip("}") {
                    let field = self.until(&[':']);
                    self.skip(": ");
                    self.value(format!("{path}.{field}"));
                    let _ = self.skip(", ") || self.skip(" ");
                }
            } else {
                self.values.insert(path, as_topic_id(word));
            }
        }
    }

    fn skip(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn until(&mut self, ends: &[char]) -> &'a str {
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    /// A string or bytes, with the quotes and all escapes.
    fn quoted(&mut self) -> &'a str {
        let start = self.rest.find('"').unwrap() + 1;
        let mut is_escaped = false;
        let length = self.rest[start..].find(|letter| {
            let is_end = letter == '"' && !is_escaped;
            is_escaped = letter == '\\' && !is_escaped;
            is_end
        });
        let (text, rest) = self.rest.split_at(start + length.unwrap() + 1);
        self.rest = rest;
        text
    }
}

/// Their uuids in our spelling.
pub(crate) fn as_topic_id(word: &str) -> String {
    let hex = word.replace('-', "");
    if word.len() == 36 && hex.len() == 32 {
        model::TopicId::from_hex(&hex).unwrap().to_string()
    } else {
        word.to_owned()
    }
}
