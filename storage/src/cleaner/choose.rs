//! Which part of a log is to be compacted, and whether now.

use std::ops::Range;

use crate::config::LogConfig;
use crate::log::PartitionLog;
use crate::segment::Segment;

/// What compaction would find to do in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cleanable {
    /// The share of the log that was not compacted yet, in millionths.
    pub dirty_ppm: u32,
}

impl PartitionLog {
    /// What there is to compact, if the log is compacted at all and `min.cleanable.dirty.ratio` or
    /// `max.compaction.lag.ms` says that it is time.
    pub fn cleanable(&self, now_ms: i64) -> Option<Cleanable> {
        let config = self.config();
        if self.check_open().is_err() {
            return None;
        }
        let range = self.dirty_range(now_ms)?;
        let (mut clean_bytes, mut dirty_bytes, mut is_overdue) = (0, 0, false);
        for pair in self.segments().windows(2) {
            let (segment, next) = (&pair[0], pair[1].base_offset());
            if next <= range.start {
                clean_bytes += segment.size();
            } else if segment.base_offset() < range.end {
                dirty_bytes += segment.size();
                is_overdue |= self.is_overdue(segment, &config, now_ms);
            }
        }
        if dirty_bytes == 0 {
            return None;
        }
        let dirty_ppm = u128::from(dirty_bytes) * 1_000_000 / u128::from(clean_bytes + dirty_bytes);
        let dirty_ppm = u32::try_from(dirty_ppm).unwrap_or(u32::MAX);
        (is_overdue || dirty_ppm > config.min_cleanable_dirty_ppm).then_some(Cleanable { dirty_ppm })
    }

    /// Whether a segment has records that `max.compaction.lag.ms` does not let lie any longer.
    fn is_overdue(&self, segment: &Segment, config: &LogConfig, now_ms: i64) -> bool {
        let Some(lag_ms) = config.max_compaction_lag_ms else { return false };
        // A segment that cannot be read is found out when it is compacted.
        let first = segment.first_timestamp(&*self.shared.disk).unwrap_or(-1);
        first >= 0 && u64::try_from(now_ms.saturating_sub(first)).is_ok_and(|age| age > lag_ms)
    }

    /// The offsets that were not compacted yet and may be. The active segment is not among them, nor anything from the
    /// first transaction on that is open, or from the first segment on that has a record younger than
    /// `min.compaction.lag.ms`.
    pub(super) fn dirty_range(&self, now_ms: i64) -> Option<Range<i64>> {
        let config = self.config();
        if !config.compact {
            return None;
        }
        let segments = self.segments();
        let (active, closed) = segments.split_last()?;
        let start = self.cleaned_offset().max(self.log_start_offset());
        let is_young = |segment: &Segment| {
            let age_ms = now_ms.saturating_sub(segment.newest_ms());
            config.min_compaction_lag_ms > 0
                && u64::try_from(age_ms).map_or(true, |age_ms| age_ms < config.min_compaction_lag_ms)
        };
        let mut end = active.base_offset().min(self.first_undecided_offset().unwrap_or(i64::MAX));
        let dirty =
            closed.iter().skip(segments.partition_point(|segment| segment.base_offset() <= start).saturating_sub(1));
        if let Some(young) = dirty.into_iter().find(|segment| is_young(segment)) {
            end = end.min(young.base_offset());
        }
        (start < end).then_some(start..end)
    }
}
