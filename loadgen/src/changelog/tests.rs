use runtime::sim::{self, Disk};

use super::*;

fn changelog() -> Changelog {
    Changelog {
        topic: "t".to_owned(),
        configs: vec![],
        updates: 1000,
        keys: 10,
        value_bytes: 20,
        batch_bytes: 2000,
        seed: 3,
    }
}

#[test]
fn every_update_is_written_once_and_the_last_of_each_key_is_known() {
    sim::run(1, Disk::new(), || async {
        let changelog = changelog();
        let mut rng = Rng::from_seed(changelog.seed);
        let (mut update, mut last) = (0, vec![0; 10]);
        let mut found = vec![0; 10];
        let mut offset = Offset::ZERO;
        while update < changelog.updates {
            let batch = next_batch(&changelog, &mut rng, &mut update, &mut last);
            assert!(batch.len() < changelog.batch_bytes + 100);
            for record in Records::read(&batch).unwrap() {
                let record = record.unwrap();
                assert_eq!(record.value.unwrap().len(), changelog.value_bytes);
                note(&mut found, offset, record.key, record.value).unwrap();
                offset = offset + 1;
            }
        }
        assert_eq!(offset, Offset(1000));
        assert_eq!(found, last);
        assert!(last.iter().all(|update| 900 < *update), "{last:?}");
    });
}

#[test]
fn what_was_not_written_or_comes_late_is_told() {
    let mut found = vec![0; 2];
    let mut told = |key: Option<u64>, update: Option<u64>| {
        let (key, update) = (key.map(u64::to_le_bytes), update.map(u64::to_le_bytes));
        let key = key.as_ref().map(|key| &key[..]);
        let update = update.as_ref().map(|update| &update[..]);
        note(&mut found, Offset(7), key, update).err().map(|error| error.to_string())
    };
    assert_eq!(told(Some(1), Some(5)), None);
    let late = "at offset 7: an update after a later one of its key".to_owned();
    assert_eq!(told(Some(1), Some(5)), Some(late.clone()));
    assert_eq!(told(Some(1), Some(4)), Some(late));
    assert_eq!(told(Some(0), Some(4)), None);
    for (key, update) in [(None, Some(9)), (Some(2), Some(9)), (Some(0), None)] {
        assert!(told(key, update).is_some(), "{key:?} {update:?}");
    }
}
