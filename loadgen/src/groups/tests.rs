use super::*;

fn refused(change: impl FnOnce(&mut GroupsSettings)) -> Option<String> {
    let mut settings = GroupsSettings::usual("localhost:9092");
    change(&mut settings);
    settings.check().err().map(|error| error.to_string())
}

#[test]
fn settings_that_cannot_be_run_are_refused_with_value_and_limit() {
    assert_eq!(refused(|_| {}), None);
    let many = refused(|it| (it.groups, it.members) = (10_000, 3));
    assert_eq!(many.as_deref(), Some("number of members is 30000: it must be at most 20000"));
    let alone = refused(|it| (it.members, it.churn) = (1, Rate(1.0)));
    assert_eq!(alone.as_deref(), Some("--members with --churn is 1: it must be at least 2"));
    assert_eq!(refused(|it| it.members = 1), None);
    assert!(refused(|it| it.arrivals = Rate(0.0)).is_some());
    assert!(refused(|it| it.duration = Span(Duration::ZERO)).is_some());
    assert!(refused(|it| it.heartbeat = Span(Duration::ZERO)).is_some());
    assert!(refused(|it| it.bootstrap.clear()).is_some());
}
