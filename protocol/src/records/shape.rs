//! Looking at every record of a batch without keeping any.

use super::{Batch, BatchError};

/// How many null keys a [`RecordsSummary`] names. A producer that is told of this many can find the rest itself.
pub const NULL_KEYS_REPORTED: usize = 16;

/// No timestamp was set.
const NO_TIMESTAMP: i64 = -1;

/// What [`validate_records`] has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordsSummary {
    /// How many records there are.
    pub record_count: u32,
    /// The size of the records without compression.
    pub uncompressed_bytes: usize,
    /// The largest timestamp in ms, or -1 when no record has one.
    pub max_timestamp: i64,
    /// The offset of the first record with that timestamp, or -1.
    pub offset_of_max_timestamp: i64,
    /// The smallest timestamp in ms among the records that have one.
    pub min_timestamp: Option<i64>,
    /// How many records have a null key, which a compacted topic cannot take.
    pub null_key_count: u32,
    null_keys: [u32; NULL_KEYS_REPORTED],
}

impl RecordsSummary {
    /// Where in the batch the first [`NULL_KEYS_REPORTED`] records with a null key stand, from 0.
    pub fn null_key_indexes(&self) -> &[u32] {
        &self.null_keys[..NULL_KEYS_REPORTED.min(self.null_key_count as usize)]
    }
}

/// Walks the records as a producer must have written them: as many as the header says, well-formed to the last byte,
/// with offsets that count up from the base offset by one and no attributes.
///
/// Nothing is allocated unless the batch is compressed. The batch's own claims, such as its largest timestamp, are
/// not compared with what is found. Compacted batches have gaps between their offsets and do not pass.
///
/// # Errors
/// As [`Batch::records`], or the first record that is wrong.
pub fn validate_records(batch: &Batch<'_>, max_uncompressed_bytes: usize) -> Result<RecordsSummary, BatchError> {
    let records = batch.records(max_uncompressed_bytes)?;
    let mut summary = RecordsSummary {
        record_count: 0,
        uncompressed_bytes: records.uncompressed_bytes(),
        max_timestamp: NO_TIMESTAMP,
        offset_of_max_timestamp: -1,
        min_timestamp: None,
        null_key_count: 0,
        null_keys: [0; NULL_KEYS_REPORTED],
    };
    for record in &records {
        let record = record?;
        let index = summary.record_count;
        let invalid = |reason| Err(BatchError::InvalidRecord { index, reason });
        if i64::from(record.offset_delta) != i64::from(index) {
            return invalid("its offset does not follow that of the record before");
        }
        if record.attributes != 0 {
            return invalid("it has attributes, and none are defined");
        }
        if record.timestamp > summary.max_timestamp {
            summary.max_timestamp = record.timestamp;
            summary.offset_of_max_timestamp = record.offset;
        }
        if record.timestamp != NO_TIMESTAMP {
            let smallest = summary.min_timestamp.map_or(record.timestamp, |min| min.min(record.timestamp));
            summary.min_timestamp = Some(smallest);
        }
        if record.key.is_none() {
            if let Some(slot) = summary.null_keys.get_mut(summary.null_key_count as usize) {
                *slot = index;
            }
            summary.null_key_count += 1;
        }
        summary.record_count += 1;
    }
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{BatchBuilder, Codec};

    #[test]
    fn summary_names_null_keys_and_extreme_timestamps() {
        for codec in Codec::ALL {
            let mut builder = BatchBuilder::new(40).codec(codec, None);
            for (timestamp, key) in [(5, Some(&b"k"[..])), (-1, None), (9, Some(b"")), (9, None), (3, Some(b"k"))] {
                builder.append(timestamp, key, Some(b"v"), &[]);
            }
            let bytes = builder.build();
            let summary = validate_records(&Batch::parse(&bytes).unwrap(), 1000).unwrap();
            assert_eq!(summary.record_count, 5);
            assert_eq!((summary.max_timestamp, summary.offset_of_max_timestamp), (9, 42));
            assert_eq!(summary.min_timestamp, Some(3));
            assert_eq!((summary.null_key_count, summary.null_key_indexes()), (2, &[1, 3][..]));
        }
    }

    #[test]
    fn many_null_keys_are_counted_but_not_all_named() {
        let mut builder = BatchBuilder::new(0);
        (0..50).for_each(|_| builder.append(-1, None, None, &[]));
        let bytes = builder.build();
        let summary = validate_records(&Batch::parse(&bytes).unwrap(), 1000).unwrap();
        assert_eq!((summary.max_timestamp, summary.offset_of_max_timestamp, summary.min_timestamp), (-1, -1, None));
        assert_eq!(summary.null_key_count, 50);
        assert_eq!(summary.null_key_indexes(), (0..NULL_KEYS_REPORTED as u32).collect::<Vec<_>>());
    }

    #[test]
    fn gaps_between_offsets_and_attributes_are_refused() {
        let mut bytes = BatchBuilder::new(0);
        bytes.append(1, None, Some(b"a"), &[]);
        bytes.append(1, None, Some(b"b"), &[]);
        let good = bytes.build();
        assert!(validate_records(&Batch::parse(&good).unwrap(), 1000).is_ok());
        // Each record is 8 bytes: length, attributes, timestamp delta, offset delta, and so on.
        let check = |at: usize, value: u8, index: u32| {
            let mut bad = good.clone();
            bad[at] = value;
            match validate_records(&Batch::parse(&bad).unwrap(), 1000) {
                Err(BatchError::InvalidRecord { index: found, .. }) => assert_eq!(found, index),
                other => panic!("{other:?}"),
            }
        };
        check(61 + 1, 1, 0);
        check(61 + 3, 2, 0);
        check(61 + 8 + 3, 4, 1);
    }
}
