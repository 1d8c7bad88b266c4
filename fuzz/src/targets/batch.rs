//! Record batches as a producer sends them and as a fetch returns them.

use model::Timestamp;
use model::record_batch::{
    AppendRules, BatchError, BatchHeader, Batches, Compression, HEADER_SIZE_BYTES, Records,
    RecordsWalk, Step, Validation, WalkedRecord, check_crc, set_max_timestamp,
    validate_from_client,
};

/// What a topic may ask for.
const RULES: AppendRules = AppendRules {
    keys_required: false,
    timestamp_min: Timestamp(0),
    timestamp_max: Timestamp(1 << 50),
    decompressed_bytes_max: 1 << 20,
};
/// Odd, so that pieces end anywhere.
const BUDGET_BYTES: usize = 4099;

/// The input is a run of batches.
pub(crate) fn batch(input: &[u8]) {
    let _ = validate_from_client(input, RULES);
    let mut batches = Batches::new(input);
    for (header, batch) in batches.by_ref().map_while(Result::ok) {
        assert_eq!(header.size_bytes(), batch.len());
        assert!(header.last_offset() <= header.next_offset(), "it saturates");
    }
    assert!(batches.rest().len() <= input.len());
    let Some((header, batch)) = Batches::new(input).next().and_then(Result::ok) else { return };
    records_and_their_walk_agree(&header, batch);
    // The checksum would keep everything behind it from being looked at.
    let mut mended = batch.to_vec();
    set_max_timestamp(&mut mended, header.max_timestamp);
    assert_eq!(check_crc(&mended), Ok(()));
    validations_agree(&mended);
}

/// An uncompressed batch is read in two ways, which must find the same.
fn records_and_their_walk_agree(header: &BatchHeader, batch: &[u8]) {
    let Ok(records) = Records::read(batch) else { return };
    assert_eq!(header.compression(), Ok(Compression::None));
    let mut walk = RecordsWalk::new(batch, u64::MAX).expect("the header was read before");
    for record in records {
        let step = next(&mut walk);
        match record {
            Ok(record) => {
                assert_eq!(record.headers.len(), record.headers.count());
                let walked = WalkedRecord {
                    offset_delta: record.offset_delta,
                    timestamp: record.timestamp,
                    has_key: record.key.is_some(),
                };
                assert_eq!(step, Ok(Step::Record(walked)));
            }
            Err(BatchError::Record { index, .. }) => {
                // Bytes that are missing may be counted from another place.
                let Err(BatchError::Record { index: walked, .. }) = step else {
                    panic!("record {index} is at fault, and the walk says {step:?}")
                };
                return assert_eq!(walked, index);
            }
            Err(error) => return assert_eq!(step, Err(error)),
        }
    }
    assert_eq!(next(&mut walk), Ok(Step::End));
}

fn next(walk: &mut RecordsWalk<'_>) -> Result<Step, BatchError> {
    loop {
        match walk.step(&mut { BUDGET_BYTES })? {
            Step::Paused => {}
            step => return Ok(step),
        }
    }
}

/// At once, and with pauses.
fn validations_agree(batch: &[u8]) {
    let at_once = validate_from_client(batch, RULES);
    let with_pauses = Validation::begin(batch, RULES).and_then(|mut validation| {
        loop {
            if let Some(validated) = validation.step(&mut { BUDGET_BYTES })? {
                return Ok(validated);
            }
        }
    });
    assert_eq!(at_once, with_pauses);
    if let Ok(validated) = at_once {
        assert!(HEADER_SIZE_BYTES < batch.len(), "it has records");
        assert!(0 < validated.header.records_count);
    }
}
