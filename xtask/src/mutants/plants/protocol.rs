//! Bugs on the wire.

use super::Plant;

pub(super) const PLANTS: &[Plant] = &[
    Plant {
        name: "answer-to-api-versions-flexible",
        file: "protocol/src/frame.rs",
        find: "if api_key != API_VERSIONS_KEY && M::FLEXIBLE_FROM",
        replace: "if M::FLEXIBLE_FROM",
        package: "protocol",
        target: "golden_frames",
        test: "frames_are_a_header_of_kafka_and_a_body",
        why: "a client that asks what we speak reads a body that is shifted by a byte",
    },
    Plant {
        name: "array-length-believed",
        file: "protocol/src/field.rs",
        find: "        decoder.charge(count.saturating_mul(size_of::<T>()))?;\n",
        replace: "",
        package: "protocol",
        target: "hostile",
        test: "huge_counts_take_no_memory",
        why: "a small request takes all memory",
    },
    Plant {
        name: "checksum-from-the-wrong-byte",
        file: "protocol/src/records/patch.rs",
        find: "crc32c::crc32c(&batch[ATTRIBUTES..end])",
        replace: "crc32c::crc32c(&batch[ATTRIBUTES + 1..end])",
        package: "protocol",
        target: "golden_batches",
        test: "markers_come_out_byte_for_byte",
        why: "no client reads what the broker wrote itself",
    },
    Plant {
        name: "error-number-wrong",
        file: "protocol/src/error_code.rs",
        find: "    56 KAFKA_STORAGE_ERROR retriable;",
        replace: "    56 KAFKA_STORAGE_ERROR fatal;",
        package: "protocol",
        target: "error_codes",
        test: "numbers_and_names_are_those_of_kafka",
        why: "clients give up, or try forever",
    },
    Plant {
        name: "field-of-another-version",
        file: "protocol/src/messages/delete_topics.rs",
        find: "        topics: Vec<DeleteTopicState> [since 6],",
        replace: "        topics: Vec<DeleteTopicState> [since 5],",
        package: "protocol",
        target: "golden_frames",
        test: "bodies_come_out_byte_for_byte",
        why: "a deletion by id deletes another topic, or fails",
    },
];
