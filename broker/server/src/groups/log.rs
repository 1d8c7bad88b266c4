//! A partition of `__consumer_offsets` as groups write it and read it.

use std::rc::Rc;

use coordinator::group::{GroupLog, GroupRecord, GroupRecordError, Groups, NotAppended};
use model::record_batch::{BatchBuilder, NewRecord};
use model::{Offset, Timestamp};
use replication::{Append, AppendRefused, Replica};

use crate::records::{self, Unreadable};

/// What is appended in one turn.
pub(super) struct ReplicaLog<'a> {
    pub(super) replica: &'a Rc<Replica>,
    pub(super) now: Timestamp,
    pub(super) appends: Vec<Append>,
}

impl GroupLog for ReplicaLog<'_> {
    fn append(&mut self, records: &[GroupRecord]) -> Result<(), NotAppended> {
        let mut builder = BatchBuilder::new();
        for record in records {
            let (key, value) = record.encode();
            let (key, value) = (Some(key.as_slice()), value.as_deref());
            builder.push(&NewRecord { timestamp: self.now, key, value, headers: &[] });
        }
        let append = self.replica.append(records::batch_of(builder));
        match append.refused() {
            None => {
                self.appends.push(append);
                Ok(())
            }
            Some(AppendRefused::TooLarge { .. }) => Err(NotAppended::TooLarge),
            Some(
                AppendRefused::NotLeading { .. }
                | AppendRefused::Sequence(_)
                | AppendRefused::Log(_),
            ) => Err(NotAppended::NotNow),
        }
    }
}

/// Why groups cannot be taken up from their log.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error("{0}")]
    Read(String),
    #[error("offset {offset}: {source}")]
    Record { offset: Offset, source: GroupRecordError },
}

impl From<Unreadable> for LoadError {
    fn from(Unreadable(text): Unreadable) -> LoadError {
        LoadError::Read(text)
    }
}

/// Takes up everything that the log says.
pub(super) async fn load(replica: &Replica, groups: &mut Groups) -> Result<(), LoadError> {
    records::read_all(replica, |offset, record| {
        let decoded = GroupRecord::decode(record.key.unwrap_or_default(), record.value)
            .map_err(|source| LoadError::Record { offset, source })?;
        if let Some(record) = decoded {
            groups.replay(&record);
        }
        Ok(())
    })
    .await
}
