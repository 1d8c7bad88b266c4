//! Frames as they are sent: sizes, pieces, and records that nobody copies.

use model::{Offset, PartitionIndex};

use super::*;
use crate::fetch::{FetchableTopicResponse, PartitionData};
use crate::output::Piece;
use crate::produce::{PartitionProduceData, TopicProduceData};
use crate::{
    ApiVersionsResponse, DeleteTopicsRequest, EncodeFault, FetchResponse, FieldError,
    MetadataRequest, ProduceRequest, Records, Response,
};

/// A fetch response with `records` for one partition each.
fn fetch_response(records: Vec<Records>) -> FetchResponse {
    let partitions = (0..)
        .zip(records)
        .map(|(index, records)| PartitionData {
            partition_index: PartitionIndex(index),
            high_watermark: Offset(9),
            records: Some(records),
            ..PartitionData::default()
        })
        .collect();
    let topic = FetchableTopicResponse { partitions, ..FetchableTopicResponse::default() };
    FetchResponse { responses: vec![topic], ..FetchResponse::default() }
}

#[test]
fn the_size_comes_first_and_counts_what_follows() {
    let frame = encode_request(12, 1, None, &MetadataRequest::default()).unwrap();
    let bytes = frame.contiguous().unwrap();
    assert_eq!(frame.size_bytes, bytes.len());
    let prefix = *bytes.first_chunk().unwrap();
    assert_eq!(frame_size_bytes(prefix, 1_000), Ok(bytes.len() - FRAME_PREFIX_SIZE_BYTES));
}

#[test]
fn a_size_that_is_negative_or_too_large_is_refused() {
    assert_eq!(frame_size_bytes(100_i32.to_be_bytes(), 100), Ok(100));
    for size_bytes in [101, i32::MAX, -1, i32::MIN] {
        assert_eq!(
            frame_size_bytes(size_bytes.to_be_bytes(), 100),
            Err(DecodeError::FrameSize { size_bytes, size_bytes_max: 100 })
        );
    }
}

#[test]
fn records_of_a_fetch_response_are_pieces_of_their_own() {
    let batches = Bytes::from_static(b"first batches");
    let tail = Bytes::from_static(b"tail");
    let mut mixed = Records::from(batches.clone());
    mixed.push_external(77, 4_096);
    mixed.push_bytes(tail.clone());
    let mut only_external = Records::new();
    only_external.push_external(78, 10);
    assert_eq!(mixed.size_bytes(), 13 + 4_096 + 4);
    assert_eq!(mixed.contiguous(), None);
    let response = fetch_response(vec![mixed, Records::new(), only_external]);

    for version in [4, 12, 17] {
        let frame = encode_response(version, 5, &response).unwrap();
        let [own, first, external, second, more, last, end @ ..] = frame.pieces.as_slice() else {
            panic!("{:?}", frame.pieces);
        };
        assert!(matches!(first, Piece::Bytes(bytes) if bytes.as_ptr() == batches.as_ptr()));
        assert_eq!(*external, Piece::External { token: 77, size_bytes: 4_096 });
        assert!(matches!(second, Piece::Bytes(bytes) if bytes.as_ptr() == tail.as_ptr()));
        assert_eq!(*last, Piece::External { token: 78, size_bytes: 10 });
        assert!(matches!((own, more), (Piece::Bytes(_), Piece::Bytes(_))));
        // Version 4 ends with the records, a flexible one with its tagged fields.
        assert_eq!(end.len(), usize::from(version != 4));
        let total: usize = frame.pieces.iter().map(Piece::size_bytes).sum();
        assert_eq!(frame.size_bytes, total);
        assert_eq!(frame.contiguous(), None);
    }
}

#[test]
fn several_pieces_read_back_as_one() {
    let mut records = Records::from(Bytes::from_static(b"ab"));
    records.push_bytes(Bytes::from_static(b"cd"));
    let frame = encode_response(12, 5, &fetch_response(vec![records])).unwrap();
    let bytes = frame.contiguous().unwrap().slice(FRAME_PREFIX_SIZE_BYTES..);
    let (correlation_id, found) = decode_response::<FetchResponse>(12, &bytes).unwrap();
    assert_eq!(correlation_id, 5);
    let found = found.responses[0].partitions[0].records.as_ref().unwrap().contiguous().unwrap();
    assert_eq!(found, "abcd");
    // The records are a slice of the frame.
    assert!(bytes.as_ptr_range().contains(&found.as_ptr()));
}

#[test]
fn records_of_a_produce_request_are_not_copied_either_way() {
    let batch = Bytes::from_static(b"a batch");
    let partition = PartitionProduceData { index: PartitionIndex(3), records: Some(batch.clone()) };
    let topic = TopicProduceData { name: "t".into(), partition_data: vec![partition] };
    let request = ProduceRequest { acks: -1, topic_data: vec![topic], ..ProduceRequest::default() };
    for version in [3, 11] {
        let frame = encode_request(version, 5, Some("c".into()), &request).unwrap();
        assert!(
            matches!(&frame.pieces[1], Piece::Bytes(bytes) if bytes.as_ptr() == batch.as_ptr())
        );
        let bytes = frame.contiguous().unwrap().slice(FRAME_PREFIX_SIZE_BYTES..);
        let (_, found) = decode_request(&bytes).unwrap();
        let Request::Produce(found) = found else { panic!("{found:?}") };
        let records = found.topic_data[0].partition_data[0].records.as_ref().unwrap();
        assert!(bytes.as_ptr_range().contains(&records.as_ptr()));
        assert_eq!(found, request);
    }
}

/// As librdkafka 2.16 asks for all topics: the list of topics has four bytes, and three are too many.
#[test]
fn what_follows_a_request_is_ignored() {
    let all_topics =
        b"\x00\x03\x00\x0c\x00\x00\x00\x03\x00\x07rdkafka\x00\x00\x00\x00\x00\x01\x00\x00";
    let (header, request) = decode_request(&Bytes::from_static(all_topics)).unwrap();
    assert_eq!(header.client_id.as_deref(), Some("rdkafka"));
    let Request::Metadata(request) = request else { panic!("{request:?}") };
    assert_eq!(request.topics, None);
}

#[test]
fn a_response_ends_with_its_frame() {
    let response = ApiVersionsResponse::default();
    let frame = encode_response(3, 5, &response).unwrap();
    let mut bytes = frame.contiguous().unwrap()[FRAME_PREFIX_SIZE_BYTES..].to_vec();
    let decode =
        |bytes: &[u8]| decode_response::<ApiVersionsResponse>(3, &Bytes::copy_from_slice(bytes));
    assert_eq!(decode(&bytes), Ok((5, response)));
    bytes.push(0);
    let message = "ApiVersionsResponse";
    assert_eq!(decode(&bytes), Err(DecodeError::TrailingBytes { message, extra_bytes: 1 }));
}

#[test]
fn a_version_that_does_not_exist_cannot_be_written_or_read() {
    let error = encode_request(13, 5, None, &MetadataRequest::default()).unwrap_err();
    assert_eq!(error.to_string(), "MetadataRequest has no version 13, only 0-12");
    let error = Response::from(FetchResponse::default()).encode(3, 5).unwrap_err();
    assert_eq!(error.to_string(), "FetchResponse has no version 3, only 4-17");
    let error = Response::decode(ApiKey::Fetch, 3, &Bytes::from_static(&[0; 20])).unwrap_err();
    assert_eq!(error.to_string(), "Fetch version 3 is outside 4-17");
}

#[test]
fn a_frame_tells_at_most_2_gib() {
    let mut records = Records::new();
    records.push_external(0, i32::MAX as usize);
    let error = encode_response(4, 5, &fetch_response(vec![records.clone()])).unwrap_err();
    assert!(matches!(error, EncodeError::FrameTooLarge { .. }), "{error}");
    records.push_external(1, usize::MAX);
    let error = encode_response(4, 5, &fetch_response(vec![records])).unwrap_err();
    let fault = EncodeFault::TooLong { length: usize::MAX, length_max: i32::MAX as usize };
    assert_eq!(error, EncodeError::Field(FieldError { field: "PartitionData.records", fault }));
}

#[test]
fn an_error_of_a_request_names_its_field() {
    let request = DeleteTopicsRequest { topics: vec![Default::default()], ..Default::default() };
    let error = encode_request(5, 5, None, &request).unwrap_err();
    assert_eq!(error.to_string(), "DeleteTopicsRequest.topics: not in version 5");
    let error = encode_request(5, 5, Some("x".repeat(40_000).into()), &request).unwrap_err();
    assert_eq!(
        error.to_string(),
        "RequestHeader.client_id: length 40000, at most 32767 can be told"
    );
}
