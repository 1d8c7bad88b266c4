//! Tests of the list of results.

use super::*;
use crate::testing::Folder;

#[test]
fn what_is_published_is_listed_with_its_verdict_the_newest_first() {
    let folder = Folder::new("index");
    for (name, report) in [
        ("2026-11-20-abc-first", "# The first\n\n> All is well.\n"),
        ("2026-11-21-def-second", "# The second\n\n> **Attention:** two were lost.\n"),
        ("demo-20261121-000000", "# Somebody's own\n"),
    ] {
        fs::create_dir(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name).join("report.md"), report).unwrap();
    }
    fs::create_dir(folder.path().join("begun-and-not-reported")).unwrap();
    write(folder.path()).unwrap();
    let text = fs::read_to_string(folder.path().join("README.md")).unwrap();
    let second = "| [2026-11-21-def-second](2026-11-21-def-second/report.md) | The second | two \
                  were lost. |";
    let first = "| [2026-11-20-abc-first](2026-11-20-abc-first/report.md) | The first | All is \
                 well. |";
    assert!(text.find(second).unwrap() < text.find(first).unwrap(), "{text}");
    assert!(!text.contains("demo-") && !text.contains("begun-and"), "{text}");
    let html = fs::read_to_string(folder.path().join("index.html")).unwrap();
    assert!(html.contains("<a href=\"2026-11-20-abc-first/report.html\">"), "{html}");
}
