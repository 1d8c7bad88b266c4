//! A ratchet, not a fence: what is longer than it should be is listed with a number and a reason,
//! and the number may only fall.

use crate::sources::{Source, assert_none, find_word, line_of, rust};

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 100;

/// File, function (none for the whole file), lines, reason.
const ALLOWED: [(&str, &str, usize, &str); 1] =
    [("broker/runtime/src/driver/uring/entry.rs", "of", 110, "one arm for each operation")];

fn check(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        let lines = source.text.lines().count();
        let mut found = vec![("", lines, FILE_LINES_MAX)];
        let functions = functions(&source.code);
        found.extend(functions.iter().map(|(name, lines)| (*name, *lines, FUNCTION_LINES_MAX)));
        for (name, lines, lines_max) in found {
            let listed = ALLOWED
                .iter()
                .find(|(path, function, ..)| *path == source.path && *function == name)
                .map(|(_, _, lines, _)| *lines);
            let what = if name.is_empty() { "the file" } else { name };
            match listed {
                None if lines_max < lines => {
                    complaints.push(format!("{}: {what} has {lines} lines", source.path));
                }
                Some(listed) if listed < lines => {
                    complaints.push(format!("{}: {what} grew to {lines} lines", source.path));
                }
                Some(_) if lines <= lines_max => {
                    complaints
                        .push(format!("{}: {what} is short again; off the list", source.path));
                }
                _ => {}
            }
        }
    }
    complaints
}

/// Names of a file's functions, and how many lines each has.
fn functions(code: &str) -> Vec<(&str, usize)> {
    let mut functions = Vec::new();
    for at in find_word(code, "fn") {
        let rest = &code[at + 2..];
        let name_start = rest.len() - rest.trim_start().len();
        let name = &rest[name_start..];
        let name_end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
        let name = &name[..name_end];
        // A type, or a declaration without a body.
        let Some(open) = body_of(rest) else { continue };
        if name.is_empty() {
            continue;
        }
        let mut depth = 0;
        let close = rest[open..].bytes().position(|byte| {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        let end = close.map_or(code.len(), |close| at + 2 + open + close);
        functions.push((name, line_of(code, end) - line_of(code, at) + 1));
    }
    functions
}

/// Where the body of a function begins, after its parameters; none if it has none. The `;` of an
/// array's type is inside of brackets.
fn body_of(declaration: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, byte) in declaration.bytes().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
        if depth < 0 {
            return None;
        }
    }
    None
}

#[test]
fn files_and_functions_grow_no_longer_than_they_are() {
    let advice = "Split it; or list it, with a reason; or lower the number in the list.";
    assert_none(&check(&rust()), advice);
}

#[test]
fn canary() {
    let check = |text: &str| check(&[Source::new("broker/model/src/x.rs", text)]);
    assert!(check("fn short() {\n}\n").is_empty());
    let long_function = format!("fn long() {{\n{}}}\nfn short() {{}}\n", "a();\n".repeat(99));
    assert_eq!(check(&long_function), ["broker/model/src/x.rs: long has 101 lines"]);
    let long_file = "fn a() {}\n".repeat(801);
    assert_eq!(check(&long_file), ["broker/model/src/x.rs: the file has 801 lines"]);
    let code = "fn a();\nlet b: fn(u8);\nfn c<'d>(e: [u8; 2]) -> [u8; 3] {\n}";
    assert_eq!(functions(code), [("c", 2)]);
}
