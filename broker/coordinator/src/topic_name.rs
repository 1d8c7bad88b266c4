//! Which names a topic may have: Kafka's rules (`org.apache.kafka.common.internals.Topic`).

/// The longest name; it was once a directory's.
const LENGTH_MAX: usize = 249;
/// The topic that keeps what is known of groups of consumers.
pub const OFFSETS_TOPIC: &str = "__consumer_offsets";

/// Topics that are not for clients to make.
const RESERVED: [&str; 1] = ["__cluster_metadata"];

/// Why a name is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("a topic's name cannot be empty")]
    Empty,
    /// `.` and `..`.
    #[error("a topic's name cannot be \"{name}\"")]
    Dots {
        /// As asked for.
        name: String,
    },
    /// Too long.
    #[error("a topic's name of {length} characters: at most {LENGTH_MAX} are allowed")]
    TooLong {
        /// In characters.
        length: usize,
    },
    /// A character that is not allowed.
    #[error(
        "topic name \"{name}\" contains {character:?}; only ASCII letters and digits, '.', '_' \
         and '-' are allowed"
    )]
    Character {
        /// As asked for.
        name: String,
        /// The first that is wrong.
        character: char,
    },
    /// The broker's own.
    #[error("topic name \"{name}\" is reserved for the broker")]
    Reserved {
        /// As asked for.
        name: String,
    },
}

/// Whether a topic may have this name.
pub fn check(name: &str) -> Result<(), NameError> {
    let length = name.chars().count();
    let wrong = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    match name {
        "" => Err(NameError::Empty),
        "." | ".." => Err(NameError::Dots { name: name.to_owned() }),
        _ if LENGTH_MAX < length => Err(NameError::TooLong { length }),
        _ if RESERVED.contains(&name) => Err(NameError::Reserved { name: name.to_owned() }),
        _ => match name.chars().find(wrong) {
            Some(character) => Err(NameError::Character { name: name.to_owned(), character }),
            None => Ok(()),
        },
    }
}

/// Names that differ only in this are the same in some metrics systems, so Kafka refuses the
/// second of them.
pub(crate) fn collision_key(name: &str) -> String {
    name.replace('.', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_kafka_does() {
        let longest = "x".repeat(LENGTH_MAX);
        for good in ["a", "A.b_c-9", "...", "__consumer_offsets", &longest] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert_eq!(check(""), Err(NameError::Empty));
        for dots in [".", ".."] {
            assert_eq!(check(dots), Err(NameError::Dots { name: dots.to_owned() }));
        }
        assert_eq!(check(&"x".repeat(250)), Err(NameError::TooLong { length: 250 }));
        for (name, character) in [("a b", ' '), ("ä", 'ä'), ("a/b", '/'), ("a\0", '\0')] {
            let name = name.to_owned();
            assert_eq!(check(&name), Err(NameError::Character { name: name.clone(), character }));
        }
        let name = "__cluster_metadata".to_owned();
        assert_eq!(check(&name), Err(NameError::Reserved { name: name.clone() }));
    }
}
