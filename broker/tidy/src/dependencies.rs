//! What comes from others: under licences that allow it, and each crate once. Advisory databases
//! are not looked at here.

use std::collections::{BTreeMap, BTreeSet};

use crate::layers::metadata;
use crate::sources::assert_none;

/// Licences of which one is enough.
const LICENCES: [&str; 9] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "MIT",
    "MIT-0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
];

/// Crates of which several versions are built, and why nobody can help it.
const SEVERAL_VERSIONS: [(&str, &str); 2] = [
    ("itertools", "criterion's is another; in benchmarks only"),
    ("syn", "procedural macros of two generations; at build time only"),
];

/// A crate that is not ours.
struct Dependency {
    name: String,
    version: String,
    licence: String,
}

fn check(dependencies: &[Dependency]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for Dependency { name, version, licence } in dependencies {
        versions.entry(name).or_default().insert(version);
        if !is_allowed(licence) {
            complaints.push(format!("{name} {version} has the licence {licence:?}"));
        }
    }
    for (name, versions) in versions {
        let is_listed = SEVERAL_VERSIONS.iter().any(|(listed, _)| *listed == name);
        if 1 < versions.len() && !is_listed {
            complaints.push(format!("{name} is built in the versions {versions:?}"));
        }
    }
    complaints
}

/// Whether a licence expression can be met: each part of an `AND` by one of its alternatives.
fn is_allowed(licence: &str) -> bool {
    let licence = licence.replace('/', " OR ");
    let plain = licence.replace(['(', ')'], "");
    let is_known = |alternative: &str| LICENCES.contains(&alternative.trim());
    plain.split(" OR ").any(is_known)
        || licence
            .split(" AND ")
            .all(|part| part.replace(['(', ')'], "").split(" OR ").any(is_known))
}

#[test]
fn dependencies_are_licensed_and_come_once() {
    let platform = concat!("--filter-platform=", "x86_64-unknown-linux-gnu");
    let metadata = metadata(&[platform]);
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let resolved = metadata["resolve"]["nodes"].as_array().expect("a list");
    let resolved: BTreeSet<String> = resolved.iter().map(|node| text(&node["id"])).collect();
    let packages = metadata["packages"].as_array().expect("a list");
    let dependencies: Vec<Dependency> = packages
        .iter()
        .filter(|package| !package["source"].is_null() && resolved.contains(&text(&package["id"])))
        .map(|package| Dependency {
            name: text(&package["name"]),
            version: text(&package["version"]),
            licence: text(&package["license"]),
        })
        .collect();
    assert!(20 < dependencies.len(), "these are all of them: {}", dependencies.len());
    assert_none(&check(&dependencies), "Choose another, or bring the versions together.");
}

#[test]
fn canary() {
    let dependency = |version: &str, licence: &str| Dependency {
        name: "a".to_owned(),
        version: version.to_owned(),
        licence: licence.to_owned(),
    };
    assert!(check(&[dependency("1.0.0", "MIT OR Apache-2.0")]).is_empty());
    assert!(check(&[dependency("1.0.0", "(MIT OR GPL-3.0) AND Unicode-3.0")]).is_empty());
    assert_eq!(check(&[dependency("1.0.0", "GPL-3.0")]).len(), 1);
    assert_eq!(check(&[dependency("1.0.0", "MIT AND GPL-3.0")]).len(), 1);
    assert_eq!(check(&[dependency("1.0.0", "")]).len(), 1);
    assert_eq!(check(&[dependency("1.0.0", "MIT"), dependency("2.0.0", "MIT")]).len(), 1);
}
