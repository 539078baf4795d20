//! Control batches: what brokers write between the records of users.
//!
//! Consumers count their offsets and show nothing of them. The one record's key names the kind: a version, then the
//! type, each an int16. Of the values, only the one that ends a transaction is read here (KIP-98).

use bytes::BytesMut;

use super::{Batch, BatchBuilder, Record};

/// What a control batch says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlType {
    /// The producer's open transaction is void.
    Abort,
    /// The producer's open transaction counts.
    Commit,
    /// A Raft leader begins its epoch (KIP-595).
    LeaderChange,
    /// A Raft snapshot begins (KIP-630).
    SnapshotHeader,
    /// A Raft snapshot ends (KIP-630).
    SnapshotFooter,
    /// The Raft version in force (KIP-853).
    KRaftVersion,
    /// The Raft voters in force (KIP-853).
    KRaftVoters,
    /// A type of a later release. Kafka's clients skip these.
    Unknown(i16),
}

impl ControlType {
    /// The type of that number.
    pub fn from_id(id: i16) -> ControlType {
        match id {
            0 => ControlType::Abort,
            1 => ControlType::Commit,
            2 => ControlType::LeaderChange,
            3 => ControlType::SnapshotHeader,
            4 => ControlType::SnapshotFooter,
            5 => ControlType::KRaftVersion,
            6 => ControlType::KRaftVoters,
            other => ControlType::Unknown(other),
        }
    }

    /// The number on the wire.
    pub fn id(self) -> i16 {
        match self {
            ControlType::Abort => 0,
            ControlType::Commit => 1,
            ControlType::LeaderChange => 2,
            ControlType::SnapshotHeader => 3,
            ControlType::SnapshotFooter => 4,
            ControlType::KRaftVersion => 5,
            ControlType::KRaftVoters => 6,
            ControlType::Unknown(id) => id,
        }
    }
}

/// The end of a producer's transaction in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTxnMarker {
    /// Commit, or else abort.
    pub committed: bool,
    /// The epoch of the transaction coordinator that decided; a marker of an older one is a zombie's.
    pub coordinator_epoch: i32,
}

/// No control record comes near this size, save lists of Raft voters.
const MAX_CONTROL_BYTES: usize = 1 << 20;

impl Batch<'_> {
    /// What a control batch says. `None` for other batches, and for a control batch that cannot be read.
    pub fn control_type(&self) -> Option<ControlType> {
        self.control_record(control_type)
    }

    /// The commit or abort marker in the batch, if that is what it holds.
    pub fn end_txn_marker(&self) -> Option<EndTxnMarker> {
        self.control_record(|record| {
            let committed = match control_type(record)? {
                ControlType::Commit => true,
                ControlType::Abort => false,
                _ => return None,
            };
            // A version, which readers of a later one ignore, then the epoch.
            let coordinator_epoch = i32::from_be_bytes(*record.value?.get(2..)?.first_chunk()?);
            Some(EndTxnMarker { committed, coordinator_epoch })
        })
    }

    fn control_record<T>(&self, read: impl FnOnce(&Record<'_>) -> Option<T>) -> Option<T> {
        if !self.is_control() {
            return None;
        }
        let records = self.records(MAX_CONTROL_BYTES).ok()?;
        read(&records.iter().next()?.ok()?)
    }
}

fn control_type(record: &Record<'_>) -> Option<ControlType> {
    let [version_high, version_low, high, low] = *record.key?.first_chunk()?;
    let version = i16::from_be_bytes([version_high, version_low]);
    // Later versions only add to the key.
    (version >= 0).then(|| ControlType::from_id(i16::from_be_bytes([high, low])))
}

/// Where and when a marker is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkerPosition {
    /// The offset that the marker takes.
    pub offset: i64,
    /// The epoch of the partition's leader.
    pub leader_epoch: i32,
    /// The time in ms.
    pub timestamp: i64,
}

/// The batch that ends a transaction of `producer_id` in one partition.
pub fn control_batch(
    marker: EndTxnMarker,
    producer_id: i64,
    producer_epoch: i16,
    position: MarkerPosition,
) -> BytesMut {
    let control_type = if marker.committed { ControlType::Commit } else { ControlType::Abort };
    let mut key = [0; 4];
    key[2..].copy_from_slice(&control_type.id().to_be_bytes());
    let mut value = [0; 6];
    value[2..].copy_from_slice(&marker.coordinator_epoch.to_be_bytes());
    let mut builder = BatchBuilder::new(position.offset)
        .leader_epoch(position.leader_epoch)
        .producer(producer_id, producer_epoch, -1)
        .transactional()
        .control();
    builder.append(position.timestamp, Some(&key), Some(&value), &[]);
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_round_trip() {
        for committed in [false, true] {
            let marker = EndTxnMarker { committed, coordinator_epoch: 7 };
            let position = MarkerPosition { offset: 12, leader_epoch: 3, timestamp: 1_000 };
            let bytes = control_batch(marker, 99, 4, position);
            let batch = Batch::parse(&bytes).unwrap();
            assert!(batch.is_crc_valid() && batch.is_control() && batch.is_transactional());
            assert_eq!((batch.base_offset(), batch.next_offset(), batch.partition_leader_epoch()), (12, 13, 3));
            assert_eq!((batch.producer_id(), batch.producer_epoch()), (99, 4));
            assert_eq!((batch.base_sequence(), batch.last_sequence()), (-1, -1));
            assert_eq!(batch.max_timestamp(), 1_000);
            assert_eq!(batch.end_txn_marker(), Some(marker));
        }
    }

    #[test]
    fn types_keep_their_numbers() {
        for id in -1..10 {
            assert_eq!(ControlType::from_id(id).id(), id);
        }
    }

    #[test]
    fn only_well_formed_markers_count() {
        let check = |key: &[u8], value: Option<&[u8]>, control_type, marker| {
            let mut builder = BatchBuilder::new(0).control();
            builder.append(0, Some(key), value, &[]);
            let bytes = builder.build();
            let batch = Batch::parse(&bytes).unwrap();
            assert_eq!((batch.control_type(), batch.end_txn_marker()), (control_type, marker), "{key:?} {value:?}");
        };
        let commit = EndTxnMarker { committed: true, coordinator_epoch: 2 };
        // Newer versions of key and value may be longer.
        check(&[0, 1, 0, 1, 9], Some(&[0, 1, 0, 0, 0, 2, 9]), Some(ControlType::Commit), Some(commit));
        check(&[0, 0, 0, 1], Some(&[0, 0, 0, 0, 2]), Some(ControlType::Commit), None);
        check(&[0, 0, 0, 1], None, Some(ControlType::Commit), None);
        check(&[0, 0, 0, 2], Some(&[0; 6]), Some(ControlType::LeaderChange), None);
        check(&[0, 0, 0], Some(&[0; 6]), None, None);
        check(&[0xff, 0xff, 0, 1], Some(&[0; 6]), None, None);
        let mut builder = BatchBuilder::new(0);
        builder.append(0, Some(&[0, 0, 0, 1]), Some(&[0; 6]), &[]);
        assert_eq!(Batch::parse(&builder.build()).unwrap().control_type(), None);
    }
}
