#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;

fn with(paths: &[&str]) -> Names {
    let mut names = Names::new();
    names.make_dir(Path::new("/d")).unwrap();
    for (inode, path) in (1..).zip(paths) {
        names.add_file(Path::new(path), inode).unwrap();
    }
    names.flush_everything();
    names
}

/// What is left, by each of these fates.
fn left(names: &Names, fates: impl IntoIterator<Item = Fate>) -> BTreeSet<Vec<String>> {
    let after = |mut fate: Fate| {
        let mut names = names.clone();
        names.lose_power(&mut fate);
        let shown = |(path, inode): (PathBuf, Inode)| format!("{} {inode}", path.display());
        names.files().into_iter().map(shown).collect()
    };
    fates.into_iter().map(after).collect()
}

fn all_fates() -> impl Iterator<Item = Fate> {
    (0..16).map(Fate::subset)
}

fn rename(names: &mut Names, from: &str, to: &str) {
    names.rename(Path::new(from), Path::new(to)).unwrap();
}

#[test]
fn an_entry_is_old_or_new_until_its_directory_is_flushed() {
    let mut names = with(&["/d/a"]);
    names.remove_file(Path::new("/d/a")).unwrap();
    names.add_file(Path::new("/d/b"), 2).unwrap();
    let all = [vec![], vec!["/d/a 1"], vec!["/d/a 1", "/d/b 2"], vec!["/d/b 2"]];
    assert!(left(&names, all_fates()).into_iter().eq(all));
    names.flush_dir(Path::new("/"));
    assert_eq!(left(&names, all_fates()).len(), 4);
    names.flush_dir(Path::new("/d"));
    assert!(left(&names, all_fates()).into_iter().eq([vec!["/d/b 2"]]));
}

#[test]
fn both_names_of_a_rename_happen_together() {
    let mut names = with(&["/d/a"]);
    rename(&mut names, "/d/a", "/d/b");
    assert!(left(&names, all_fates()).into_iter().eq([vec!["/d/a 1"], vec!["/d/b 1"]]));
    rename(&mut names, "/d/b", "/d/c");
    assert!(left(&names, all_fates()).into_iter().eq([vec!["/d/a 1"], vec!["/d/c 1"]]));
}

#[test]
fn a_renamed_directory_takes_along_what_is_in_it() {
    let mut names = with(&["/d/a", "/d/b"]);
    rename(&mut names, "/d", "/e");
    let whole = [vec!["/d/a 1", "/d/b 2"], vec!["/e/a 1", "/e/b 2"]];
    assert!(left(&names, all_fates()).into_iter().eq(whole));
    names.remove_file(Path::new("/e/a")).unwrap();
    names.flush_dir(Path::new("/e"));
    // What was removed from it is gone under either name.
    assert!(left(&names, all_fates()).into_iter().eq([vec!["/d/b 2"], vec!["/e/b 2"]]));
}

#[test]
fn what_has_lost_its_directory_is_gone() {
    let mut names = with(&[]);
    names.make_dir(Path::new("/d/new")).unwrap();
    names.add_file(Path::new("/d/new/a"), 1).unwrap();
    names.flush_dir(Path::new("/d/new"));
    assert!(left(&names, [Fate::nothing()]).into_iter().eq([vec![] as Vec<&str>]));
    names.flush_dir(Path::new("/d"));
    assert!(left(&names, [Fate::nothing()]).into_iter().eq([vec!["/d/new/a 1"]]));
}

#[test]
fn paths_that_lead_nowhere_are_errors_as_on_linux() {
    let mut names = with(&["/d/a"]);
    let kind = |result: io::Result<()>| result.unwrap_err().kind();
    assert_eq!(kind(names.make_dir(Path::new("/d"))), io::ErrorKind::AlreadyExists);
    assert_eq!(kind(names.make_dir(Path::new("/x/y"))), io::ErrorKind::NotFound);
    assert_eq!(kind(names.make_dir(Path::new("/d/a/y"))), io::ErrorKind::NotADirectory);
    assert_eq!(kind(names.remove_dir(Path::new("/d"))), io::ErrorKind::DirectoryNotEmpty);
    assert_eq!(kind(names.remove_dir(Path::new("/d/a"))), io::ErrorKind::NotADirectory);
    assert_eq!(kind(names.remove_file(Path::new("/d"))), io::ErrorKind::IsADirectory);
    assert_eq!(kind(names.rename(Path::new("/d/x"), Path::new("/d/y"))), io::ErrorKind::NotFound);
}
