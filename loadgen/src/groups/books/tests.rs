use super::*;

#[test]
fn what_was_acknowledged_has_to_be_there_and_nothing_that_was_not_sent() {
    let book = Book { sent: 7, acknowledged: 5 };
    for right in [5, 6, 7] {
        assert_eq!(wrong_of(book, right), None);
    }
    assert_eq!(
        wrong_of(book, 4).as_deref(),
        Some("offset 4 is committed; 5 was acknowledged, 7 was sent last")
    );
    assert!(wrong_of(book, 8).is_some());
    assert!(wrong_of(Book::default(), 0).is_none());
    assert!(wrong_of(Book { sent: 1, acknowledged: 1 }, 0).is_some());
}
