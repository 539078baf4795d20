//! Any bytes as a run of record batches: walked, checked, decompressed within a limit, rebuilt and patched.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::records::{Batch, BatchBuilder, batches, patch, validate_records};

/// Small, so that the engine's own limit on memory finds a decoder that passes it.
const MAX_UNCOMPRESSED_BYTES: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    for batch in batches(bytes) {
        let Ok(batch) = batch else { return };
        check(&batch);
    }
});

fn check(batch: &Batch<'_>) {
    let validated = validate_records(batch, MAX_UNCOMPRESSED_BYTES);
    batch.control_type();
    batch.end_txn_marker();
    let mut patched = batch.as_bytes().to_vec();
    patch::set_max_timestamp(&mut patched, 1);
    assert!(Batch::parse(&patched).is_ok_and(|patched| patched.is_crc_valid()));

    let Ok(records) = batch.records(MAX_UNCOMPRESSED_BYTES) else {
        assert!(validated.is_err());
        return;
    };
    assert!(records.uncompressed_bytes() <= MAX_UNCOMPRESSED_BYTES);
    let mut copy = BatchBuilder::like(batch);
    let mut copied = Vec::new();
    for record in records.iter().flatten() {
        assert_eq!(record.headers.iter().count(), record.headers.len());
        if copy.append_record(&record).is_ok() {
            copied.push(record);
        }
    }
    // What was taken over reads the same again.
    let copy = copy.build();
    let copy = Batch::parse(&copy).expect("a built batch is whole");
    let again = copy.records(usize::MAX).expect("a built batch decompresses");
    assert_eq!(again.len(), copied.len());
    for (again, record) in again.iter().zip(copied) {
        let again = again.expect("a built record is well-formed");
        assert_eq!((again.offset, again.timestamp), (record.offset, record.timestamp));
        assert_eq!((again.key, again.value, again.headers), (record.key, record.value, record.headers));
    }
}
