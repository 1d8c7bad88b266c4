//! What went wrong, in one sentence.
//!
//! Guarantees: it names what was to be done, Kafka's error and the broker's words; where the broker
//! has none, what its code means.

use client::{CallError, ClusterError, in_full};
use wire::ErrorCode;

/// What cannot be done, and why: of a refusal Kafka's error and the broker's words.
pub(super) fn sentence(doing: &str, error: &ClusterError) -> String {
    let ClusterError::Refused { code, message, .. } = error else {
        return format!("cannot {doing}: {}", in_full(error));
    };
    let message = message.as_deref().filter(|message| !message.is_empty());
    match (message, code) {
        (Some(message), _) => format!("cannot {doing}: {code}: {message}"),
        (None, code) => match reason(*code) {
            Some(reason) => format!("cannot {doing}: {code}: {reason}"),
            None => format!("cannot {doing}: {code}"),
        },
    }
}

/// What a code means that brokers send without a word.
fn reason(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::UnknownTopicOrPartition => "there is no such topic",
        ErrorCode::GroupIdNotFound => "there is no such group",
        ErrorCode::NonEmptyGroup => "it has members: stop them first",
        ErrorCode::UnknownMemberId => "it has members that set offsets themselves: stop them first",
        ErrorCode::InvalidGroupId => "that is no name for a group",
        ErrorCode::GroupAuthorizationFailed => "the broker does not let you see or change it",
        _ => return None,
    })
}

/// With what a broker has refused it, if one has.
pub(super) fn code_of(error: &ClusterError) -> Option<ErrorCode> {
    let ClusterError::Refused { code, .. } = error else { return None };
    Some(*code)
}

/// Whether the broker does not know how to do this at all.
pub(super) fn is_not_served(error: &ClusterError) -> bool {
    matches!(
        error,
        ClusterError::Call(CallError::Unsupported { .. } | CallError::NoCommonVersion { .. })
    )
}
