use super::*;

#[test]
fn a_topic_id_is_spelled_as_kafka_spells_it() {
    // Kafka: new Uuid(0L, 1L).toString() and Uuid.ZERO_UUID.toString().
    assert_eq!(TopicId::CLUSTER_METADATA.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
    assert_eq!(TopicId::ZERO.to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(TopicId::from_bytes([0xff; 16]).to_string(), "_____________________w");
}

#[test]
fn a_random_topic_id_is_version_4_whatever_the_bits() {
    for random in [0, u128::MAX, 1, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef] {
        let id = TopicId::from_random(random);
        assert_ne!(id, TopicId::ZERO);
        assert_ne!(id, TopicId::CLUSTER_METADATA);
        assert_eq!(id.bytes()[6] >> 4, 4);
        assert_eq!(id.bytes()[8] >> 6, 0b10);
    }
}

#[test]
fn a_directory_name_reads_back() {
    let id = TopicId::from_random(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef);
    assert_eq!(TopicId::from_hex(&id.to_hex()), Some(id));
    for bad in ["", "0123", "0123456789ABCDEF0123456789ABCDEF", "+123456789abcdef0123456789abcdef"]
    {
        assert_eq!(TopicId::from_hex(bad), None, "{bad:?}");
    }
}
