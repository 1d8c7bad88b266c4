use super::*;

#[test]
fn the_favourite_has_more_than_two_thirds() {
    let check = |counts: &[usize]| {
        let mut window = Window::default();
        for (core, count) in (0..).map(CoreId).zip(counts) {
            window.note(core, *count);
        }
        window.favourite().map(|core| core.0)
    };
    assert_eq!(check(&[32]), Some(0));
    assert_eq!(check(&[0, 0, 32]), Some(2));
    assert_eq!(check(&[10, 22]), Some(1));
    assert_eq!(check(&[10, 20]), None);
    assert_eq!(check(&[11, 21]), None);
    assert_eq!(check(&[16, 16, 16]), None);
    assert_eq!(check(&[]), None);
}
