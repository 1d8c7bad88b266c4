//! The table against another implementation's.

use kafka_protocol::error::ResponseError;

use super::*;

#[test]
fn codes_have_the_numbers_and_names_that_others_give_them() {
    assert_eq!(ErrorCode::ALL.first(), Some(&ErrorCode::UnknownServerError));
    assert_eq!(ErrorCode::ALL.last(), Some(&ErrorCode::ShareSessionLimitReached));
    assert!(ErrorCode::ALL.iter().map(|error| error.code()).eq(-1..=133));
    for &error in ErrorCode::ALL {
        let Some(theirs) = ResponseError::try_from_code(error.code()) else {
            assert_eq!(error, ErrorCode::None);
            continue;
        };
        assert_eq!(format!("{error:?}"), theirs.to_string());
        assert_eq!(error.name().replace('_', ""), theirs.to_string().to_uppercase());
        assert_eq!(ErrorCode::from_code(error.code()), error);
    }
}

/// Kafka has made CONCURRENT_TRANSACTIONS retriable; they have not followed.
#[test]
fn the_same_codes_are_retriable_but_for_one() {
    for &error in ErrorCode::ALL {
        let theirs = ResponseError::try_from_code(error.code());
        let expected = theirs.is_some_and(|theirs| theirs.is_retriable());
        assert_eq!(error.is_retriable(), expected || error == ErrorCode::ConcurrentTransactions);
    }
}

#[test]
fn a_code_of_a_later_kafka_is_kept() {
    let error = ErrorCode::from_code(999);
    assert_eq!(error, ErrorCode::Unknown(999));
    assert_eq!(error.code(), 999);
    assert!(error.is_error());
    assert!(!error.is_retriable());
}

#[test]
fn an_error_is_shown_as_kafka_calls_it() {
    assert_eq!(ErrorCode::NotLeaderOrFollower.to_string(), "NOT_LEADER_OR_FOLLOWER (6)");
    assert!(!ErrorCode::None.is_error());
}
