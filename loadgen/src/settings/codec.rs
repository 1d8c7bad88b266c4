//! The codec of records that are produced.

use std::fmt;
use std::str::FromStr;

use model::record_batch::Compression;
use serde::{Deserialize, Serialize};

use crate::units::UnitError;

/// How producers compress the records of a batch, written as Kafka's `compression.type` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Codec(pub Compression);

impl Default for Codec {
    fn default() -> Codec {
        Codec(Compression::None)
    }
}

impl FromStr for Codec {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Codec, UnitError> {
        let expected = "one of none, gzip, snappy, lz4, zstd";
        let found = Compression::ALL.into_iter().find(|codec| codec.name() == text);
        found.map(Codec).ok_or(UnitError { text: text.to_owned(), expected })
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

crate::serde_as_text!(Codec);
