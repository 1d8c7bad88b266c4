//! The file of a log's applied state: what replication has made of the log's first entries.

use bytes::Bytes;

use super::{Fields, VERSION, put};

const MAGIC: [u8; 8] = *b"HWAPPLY\0";
const HEADER_SIZE_BYTES: usize = 16;

/// The whole file for a state, whose own form is replication's affair.
pub(crate) fn encode(state: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER_SIZE_BYTES];
    put(&mut bytes, 0, MAGIC);
    put(&mut bytes, 12, VERSION.to_le_bytes());
    bytes.extend_from_slice(state);
    let crc = crc32fast::hash(&bytes[12..]);
    put(&mut bytes, 8, crc.to_le_bytes());
    bytes
}

/// The state in a file; none if the file is damaged or of a later version.
pub(crate) fn decode(file: &Bytes) -> Option<Bytes> {
    let fields = Fields(file.get(..HEADER_SIZE_BYTES)?);
    let is_ours = fields.array(0) == MAGIC
        && fields.u32(8) == crc32fast::hash(&file[12..])
        && fields.u16(12) <= VERSION;
    is_ours.then(|| file.slice(HEADER_SIZE_BYTES..))
}
