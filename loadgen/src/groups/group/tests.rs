use super::*;

fn held(generation: i32, partitions: &[i32]) -> Option<Held> {
    let partitions = partitions.iter().map(|it| PartitionIndex(*it)).collect();
    Some(Held { generation, partitions })
}

#[test]
fn a_division_is_whole_when_everything_is_held_once_in_one_generation() {
    let whole = [held(4, &[2]), held(4, &[0]), held(4, &[1])];
    assert_eq!(generation_of(&whole, None), Some(4));
    let with_idle = [held(4, &[2, 0, 1]), held(4, &[]), held(4, &[])];
    assert_eq!(generation_of(&with_idle, None), Some(4));
    let without = [held(5, &[0, 2]), held(4, &[1]), held(5, &[1])];
    assert_eq!(generation_of(&without, Some(1)), Some(5));
    for broken in [
        // Somebody is not there, a generation behind, without its share, or holds another's.
        [held(4, &[2]), None, held(4, &[0, 1])],
        [held(4, &[2]), held(3, &[0]), held(4, &[1])],
        [held(4, &[2]), held(4, &[]), held(4, &[1])],
        [held(4, &[2]), held(4, &[0, 1]), held(4, &[1])],
        [held(4, &[3]), held(4, &[0, 1]), held(4, &[2])],
    ] {
        assert_eq!(generation_of(&broken, None), None, "{broken:?}");
    }
}

#[test]
fn offsets_rise_with_every_commit_and_those_acknowledged_are_remembered() {
    let group = Group::new("g".to_owned(), 2);
    let [first, second] = [0, 1].map(PartitionIndex);
    assert_eq!([group.next_offset(first), group.next_offset(first)], [1, 2]);
    assert_eq!(group.next_offset(second), 1);
    group.note_acknowledged(first, 2);
    // The answers of two connections may come in another order.
    group.note_acknowledged(first, 1);
    let book = Book { sent: 2, acknowledged: 2 };
    assert_eq!(*group.books.borrow(), [book, Book { sent: 1, acknowledged: 0 }]);
    assert_eq!([0, 1, 2, -1].map(|it| group.has(PartitionIndex(it))), [true, true, false, false]);
}
