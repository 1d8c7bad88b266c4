//! The project's files, as text and as code without comments and strings.

use std::path::{Path, PathBuf};

/// A text file of the project.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// From the root, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The same lines, with blanks for comments and for what is inside of string and character
    /// literals. Empty if the file is not Rust.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Source {
        let is_rust = is_rust(path);
        let code = if is_rust { code_of(text) } else { String::new() };
        Source { path: path.to_owned(), text: text.to_owned(), code }
    }

    pub(crate) fn is_rust(&self) -> bool {
        is_rust(&self.path)
    }

    /// Whether the file is compiled for tests and measurements only.
    pub(crate) fn is_test(&self) -> bool {
        const PLACES: [&str; 4] = ["/tests/", "/benches/", "/tests.rs", "/testing.rs"];
        PLACES.iter().any(|place| self.path.contains(place))
            || self.path.starts_with("broker/tidy/")
            || self.path == "broker/storage/src/format/allocation.rs"
    }

    /// The code up to a test module at the end of the file.
    pub(crate) fn code_without_tests(&self) -> &str {
        let tests = self.code.find("#[cfg(test)]\nmod tests {");
        &self.code[..tests.unwrap_or(self.code.len())]
    }
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

/// Where the workspace is.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("this crate is two levels below the root").to_owned()
}

/// Every text file of the project that somebody writes.
pub(crate) fn all() -> Vec<Source> {
    const SKIPPED: [&str; 4] = ["target", ".git", "highwater-data", "results"];
    const EXTENSIONS: [&str; 6] = ["rs", "md", "toml", "sh", "yml", "py"];
    let root = root();
    let mut directories = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(directory) = directories.pop() {
        let entries = std::fs::read_dir(&directory).expect("the sources can be read");
        for entry in entries {
            let path = entry.expect("the sources can be read").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() {
                if !SKIPPED.contains(&name) {
                    directories.push(path);
                }
                continue;
            }
            let extension = path.extension().and_then(|extension| extension.to_str());
            if extension.is_some_and(|extension| EXTENSIONS.contains(&extension)) {
                let text = std::fs::read_to_string(&path).expect("sources are UTF-8");
                let relative = path.strip_prefix(&root).expect("below the root");
                sources.push(Source::new(&relative.to_string_lossy(), &text));
            }
        }
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(100 < sources.len(), "these are all the sources: {}", sources.len());
    sources
}

/// Rust files only.
pub(crate) fn rust() -> Vec<Source> {
    all().into_iter().filter(Source::is_rust).collect()
}

/// Fails with all complaints at once, and what to do about them.
#[track_caller]
pub(crate) fn assert_none(complaints: &[String], advice: &str) {
    assert!(complaints.is_empty(), "{}\n{advice}", complaints.join("\n"));
}

/// The number of the line at a byte of a text, from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text[..at].bytes().filter(|byte| *byte == b'\n').count() + 1
}

/// Where a word stands in code: not inside of a longer name.
pub(crate) fn find_word(code: &str, word: &str) -> Vec<usize> {
    let is_name =
        |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let (starts_as_name, ends_as_name) =
        (is_name(word.bytes().next()), is_name(word.bytes().last()));
    code.match_indices(word)
        .map(|(at, _)| at)
        .filter(|at| {
            let before = at.checked_sub(1).map(|before| code.as_bytes()[before]);
            let after = code.as_bytes().get(at + word.len()).copied();
            !(starts_as_name && is_name(before) || ends_as_name && is_name(after))
        })
        .collect()
}

/// Blanks comments and the insides of literals, and keeps every line where it is.
fn code_of(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => end_of_line(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => end_of_block_comment(bytes, at),
            b'"' => end_of_string(bytes, at),
            b'r' if !is_inside_name(bytes, at) => match end_of_raw_string(bytes, at) {
                Some(end) => end,
                None => at,
            },
            b'\'' => end_of_character(bytes, at),
            _ => at,
        };
        for byte in &mut code[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(code).expect("whole characters are replaced by blanks")
}

fn is_inside_name(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| bytes[before]);
    // The prefix of a byte string is no name.
    before.is_some_and(|byte| (byte.is_ascii_alphanumeric() && byte != b'b') || byte == b'_')
}

fn end_of_line(bytes: &[u8], from: usize) -> usize {
    bytes[from..].iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| from + length)
}

fn end_of_block_comment(bytes: &[u8], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at < bytes.len() {
        match &bytes[at..bytes.len().min(at + 2)] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            break;
        }
    }
    at
}

fn end_of_string(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    bytes.len().min(at + 1)
}

fn end_of_raw_string(bytes: &[u8], from: usize) -> Option<usize> {
    let hashes = bytes[from + 1..].iter().take_while(|byte| **byte == b'#').count();
    let start = from + 1 + hashes;
    if bytes.get(start) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.extend(std::iter::repeat_n(b'#', hashes));
    let rest = &bytes[start + 1..];
    let length = rest.windows(close.len()).position(|window| window == close)?;
    Some(start + 1 + length + close.len())
}

/// The end of a character literal; a lifetime is none.
fn end_of_character(bytes: &[u8], from: usize) -> usize {
    if bytes.get(from + 1) == Some(&b'\\') {
        let rest = &bytes[(from + 3).min(bytes.len())..];
        let length = rest.iter().position(|byte| *byte == b'\'');
        return length.map_or(from, |length| from + 3 + length + 1);
    }
    let text = std::str::from_utf8(&bytes[from + 1..]).unwrap_or_default();
    let width = text.chars().next().map_or(1, char::len_utf8);
    if bytes.get(from + 1 + width) == Some(&b'\'') { from + 2 + width } else { from }
}

#[test]
fn code_is_what_is_neither_comment_nor_literal() {
    let text = r##"
let a = "b // c \" d"; // e
let f = r#"g " h"#; /* i /* j */ k */ let l = 'm'; let n: &'o str = b"p"; let q = '\''; let r = 's';
//! t
fn u<'v>() { '"' ; "w" }
"##;
    let words = code_of(text);
    for word in ["let a", "let f", "let l", "let n: &'o str", "let q", "let r", "fn u<'v>()"] {
        assert!(words.contains(word), "{word}: {words}");
    }
    for gone in ["c ", "e\n", "g ", "i ", "k ", "m", "p", "'s'", "! t", "w"] {
        assert!(!words.contains(gone), "{gone}: {words}");
    }
    assert_eq!(words.lines().count(), text.lines().count());
    assert_eq!(find_word("Arc my_Arc Arc2 (Arc)", "Arc"), [0, 17]);
}
