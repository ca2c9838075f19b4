//! After a loss of power.
//!
//! A segment that an earlier start of the machine left without a final mark may name objects that never reached the disk: files of the right size with the wrong
//! content are possible. Everything that its records name behind the last mark is read and compared with its digest; what is wrong goes into quarantine, so
//! that its record is a miss. Then the segment is merged, which says that it was looked at.

use crate::digest::Digest;
use crate::error::CacheError;
use crate::frame::{self, Kind};
use crate::merge::{Merge, merge};
use crate::objects::Objects;
use crate::record::Head;
use std::collections::{BTreeMap, BTreeSet};

/// Looks at what can't be trusted; gives how many objects were wrong.
pub(crate) fn recover(objects: &Objects) -> Result<usize, CacheError> {
    let segments = &objects.segments;
    let mut named: BTreeMap<Digest, u64> = BTreeMap::new();
    let mut unsure = BTreeSet::new();
    {
        let state = segments.reading();
        for segment in state.segments.iter().filter(|segment| segment.is_unsure(segments.users.boot())) {
            unsure.insert(segment.name.clone());
            frame::scan(&segment.hot, 0, |at, header| {
                if header.kind == Kind::Record
                    && at >= segment.safe_until
                    && let Some(record) = frame::whole(&segment.hot, at).and_then(|(_, head)| Head::new(head).record())
                {
                    named.extend(record.outputs.iter().map(|output| (output.digest, output.size)));
                    named.extend(record.log.map(|log| (log, 0)));
                }
            });
        }
    }
    if unsure.is_empty() {
        return Ok(0);
    }
    let mut wrong = 0;
    for digest in named.keys() {
        // Small objects are looked at whenever they are read.
        if let Some(bytes) = objects.get(digest)?
            && Digest::of_many(&bytes) != *digest
        {
            objects.quarantine(digest, None)?;
            wrong += 1;
        }
    }
    // Now their files have to reach the disk before anything says that they did.
    objects.sync(&named.into_keys().collect::<Vec<_>>())?;
    merge(segments, &Merge { only: Some(&unsure), ..Merge::default() })?;
    Ok(wrong)
}
