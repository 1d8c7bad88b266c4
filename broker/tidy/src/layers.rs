//! Which crate may use which. Think hard about the layering before changing this table: an edge
//! that is added here is an edge that every reader has to carry in mind.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::{assert_none, root};

/// In reading order: each crate uses only crates above it, and of those only these.
const LAYERS: [(&str, &[&str]); 13] = [
    ("model", &[]),
    ("wire", &["model"]),
    ("runtime", &[]),
    ("client", &["wire", "runtime", "model"]),
    ("storage", &["runtime", "model"]),
    ("replication", &["storage", "runtime", "model"]),
    ("coordinator", &["model"]),
    ("server", &["replication", "storage", "coordinator", "client", "wire", "runtime", "model"]),
    ("simulation", &["server", "client", "wire", "runtime", "model"]),
    ("fuzz", &["server", "coordinator", "replication", "storage", "wire", "model"]),
    ("loadgen", &["client", "wire", "runtime", "model"]),
    ("tuning", &["runtime"]),
    ("bench-harness", &["loadgen", "tuning"]),
];

/// Reads the sources of the others and uses none of them, so it may stand anywhere.
const TIDY: &str = "tidy";

/// Of each crate of the workspace, the others that it names, for tests and builds as well.
type Edges = BTreeMap<String, BTreeSet<String>>;

fn check(edges: &Edges) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, used) in edges {
        let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| layer == name) else {
            if name != TIDY || !used.is_empty() {
                complaints.push(format!("{name} is not in the table, or uses what it must not"));
            }
            continue;
        };
        for other in used.iter().filter(|other| !allowed.contains(&other.as_str())) {
            complaints.push(format!("{name} must not use {other}"));
        }
    }
    complaints
}

/// Members of the workspace that stand before one that they may use.
fn check_order(members: &[String]) -> Vec<String> {
    let name = |member: &str| member.rsplit('/').next().unwrap_or_default().to_owned();
    let names: Vec<String> = members.iter().map(|member| name(member)).collect();
    let mut complaints = Vec::new();
    for (index, member) in names.iter().enumerate() {
        let Some((_, allowed)) = LAYERS.iter().find(|(layer, _)| layer == member) else { continue };
        for later in names[index..].iter().filter(|later| allowed.contains(&later.as_str())) {
            complaints.push(format!("{member} stands before {later}"));
        }
    }
    complaints
}

pub(crate) fn metadata(arguments: &[&str]) -> serde_json::Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = std::process::Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--offline"])
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {errors}");
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}

fn edges(metadata: &serde_json::Value) -> Edges {
    let packages = metadata["packages"].as_array().expect("packages is a list");
    let name = |value: &serde_json::Value| value["name"].as_str().unwrap_or_default().to_owned();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("a list");
            // Ours are the ones that come from a path.
            let ours = dependencies.iter().filter(|dependency| dependency["path"].is_string());
            (name(package), ours.map(name).collect())
        })
        .collect()
}

#[test]
fn crates_use_only_what_the_table_allows() {
    let metadata = metadata(&["--no-deps"]);
    let edges = edges(&metadata);
    assert!(edges.contains_key("storage") && !edges["storage"].is_empty(), "{edges:?}");
    assert_none(&check(&edges), "See the table in broker/tidy/src/layers.rs.");
}

#[test]
fn the_table_is_in_reading_order() {
    for (index, (name, allowed)) in LAYERS.iter().enumerate() {
        for other in *allowed {
            let above = LAYERS[..index].iter().any(|(layer, _)| layer == other);
            assert!(above, "{name} may use {other}, which must then stand above it");
        }
    }
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("there is one");
    let members = manifest.split("members = [").nth(1).expect("there are members");
    let members = members.split(']').next().unwrap_or_default();
    let members: Vec<String> = members.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(3 < members.len(), "{members:?}");
    assert_none(&check_order(&members), "Members stand in reading order in Cargo.toml.");
}

#[test]
fn canary() {
    let edges = |name: &str, used: &str| {
        Edges::from([(name.to_owned(), BTreeSet::from([used.to_owned()]))])
    };
    assert!(check(&edges("storage", "model")).is_empty());
    assert_eq!(check(&edges("storage", "wire")), ["storage must not use wire"]);
    assert_eq!(check(&edges("tidy", "model")).len(), 1);
    assert_eq!(check(&edges("newcomer", "model")).len(), 1);
    let members = ["broker/storage".to_owned(), "broker/model".to_owned()];
    assert_eq!(check_order(&members), ["storage stands before model"]);
}
