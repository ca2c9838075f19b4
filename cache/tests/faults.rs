//! Faults: at every operation the disk fills or the process dies; afterwards a healthy process finds only whole things, and everything published before.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use arrow::buffer::Buffer;
use neuroflow_cache::faulty::{Fault, FaultyDisk};
use neuroflow_cache::{ActionOutput, ActionRecord, Cache, Digest, Disk, GcWish, KeyEncoder, OpenOptions, OsDisk};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

fn os() -> Arc<dyn Disk> {
    Arc::new(OsDisk::new())
}

fn key(number: u64) -> Digest {
    let mut key = KeyEncoder::new();
    key.uint(number);
    key.finish()
}

fn content(number: u64) -> Vec<u8> {
    // Even ones are small and stand in a segment, odd ones have files of their own.
    format!("content {number} ").repeat(20 + number as usize + number as usize % 2 * 600).into_bytes()
}

fn record(digest: Digest, size: usize) -> ActionRecord {
    ActionRecord {
        stage: "stage".into(),
        version: 1,
        outputs: vec![ActionOutput { slot: "out".into(), digest, size: size as u64 }],
        run: "run".into(),
        started_unix_ms: 5,
        wall_ms: 1.5,
        cpu_ms: None,
        peak_bytes: None,
        log: None,
        summary: serde_json::json!({ "x": 1 }),
    }
}

/// Publishes `numbers` until something fails; gives those whose record was written.
fn publish(root: &Path, disk: Arc<dyn Disk>, numbers: std::ops::Range<u64>) -> Vec<u64> {
    let Ok(cache) = Cache::open_with(root, disk, OpenOptions { background: false, ..OpenOptions::default() }) else { return Vec::new() };
    let mut published = Vec::new();
    for number in numbers {
        let bytes = content(number);
        let Ok(digest) = cache.put(&bytes) else { continue };
        if cache.record(&key(number), &record(digest, bytes.len())).is_ok() {
            published.push(number);
        }
    }
    published
}

fn assert_whole(root: &Path, must: &[u64], may: std::ops::Range<u64>) {
    let cache = Cache::open(root, os()).unwrap();
    for number in may {
        match cache.lookup(&key(number)).unwrap() {
            Some(found) => {
                let bytes = cache.get(&found.outputs[0].digest).unwrap().unwrap();
                assert_eq!(bytes.as_slice(), content(number), "a half-written object was served");
            }
            None => assert!(!must.contains(&number), "{number} was published and is gone"),
        }
    }
    let report = cache.verify().unwrap();
    assert!(report.damaged.is_empty(), "a damaged object was published");
}

#[test]
fn whatever_operation_fails_nothing_half_written_is_served_and_nothing_published_is_lost() {
    let count = {
        let folder = tempfile::tempdir().unwrap();
        let disk = Arc::new(FaultyDisk::new(os(), Fault::Killed, u64::MAX));
        publish(folder.path(), disk.clone(), 0..4);
        disk.operations()
    };
    assert!(count > 10);
    for fault in [Fault::DiskFull, Fault::Killed] {
        for at in 0..count {
            let folder = tempfile::tempdir().unwrap();
            let before = publish(folder.path(), os(), 0..2);
            let disk = Arc::new(FaultyDisk::new(os(), fault, at));
            let mut must = publish(folder.path(), disk, 2..6);
            must.extend(before);
            assert_whole(folder.path(), &must, 0..6);
            // And the work can be finished.
            assert_eq!(publish(folder.path(), os(), 0..6).len(), 6);
            assert_whole(folder.path(), &[0, 1, 2, 3, 4, 5], 0..6);
        }
    }
}

#[test]
fn a_full_disk_says_how_to_free_space() {
    let folder = tempfile::tempdir().unwrap();
    drop(Cache::open(folder.path(), os()).unwrap());
    let mut said = Vec::new();
    for at in 0..60 {
        let disk: Arc<dyn Disk> = Arc::new(FaultyDisk::new(os(), Fault::DiskFull, at));
        if let Ok(cache) = Cache::open(folder.path(), disk)
            && let Err(error) = cache.put(b"some bytes")
        {
            said.push(error.to_string());
        }
    }
    assert!(
        !said.is_empty() && said.iter().all(|text| text.contains("the disk is full") && text.contains("neuroflow cache gc --keep SIZE")),
        "{said:?}"
    );
}

/// The hot file of the only segment.
fn hot_file(root: &Path) -> std::path::PathBuf {
    let files = std::fs::read_dir(root.join("segments")).unwrap().map(|entry| entry.unwrap().path());
    let mut hot = files.filter(|path| path.extension().is_some_and(|ending| ending == "hot"));
    let only = hot.next().unwrap();
    assert_eq!(hot.next(), None);
    only
}

#[test]
fn a_segment_cut_at_any_length_gives_the_records_before_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path(), os(), 0..3);
    let segment = hot_file(folder.path());
    let whole = std::fs::read(&segment).unwrap();
    let mut most = 0;
    for length in 0..=whole.len() {
        std::fs::write(&segment, &whole[..length]).unwrap();
        let cache = Cache::open(folder.path(), os()).unwrap();
        let found = (0..3).filter(|number| cache.lookup(&key(*number)).unwrap().is_some()).count();
        assert!(found >= most && found <= 3);
        most = found;
    }
    assert_eq!(most, 3);
}

#[test]
fn a_flipped_bit_in_a_record_or_an_object_is_never_served() {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path(), os(), 1..2);
    let segment = hot_file(folder.path());
    let whole = std::fs::read(&segment).unwrap();
    for position in (0..whole.len()).step_by(3) {
        let mut flipped = whole.clone();
        flipped[position] ^= 0x10;
        std::fs::write(&segment, &flipped).unwrap();
        let cache = Cache::open(folder.path(), os()).unwrap();
        if let Some(found) = cache.recorded(&key(1)) {
            assert_eq!(found, record(Digest::of(&content(1)), content(1).len()), "byte {position}");
        }
        if let Some(found) = cache.lookup(&key(1)).unwrap() {
            assert_eq!(found, record(Digest::of(&content(1)), content(1).len()), "byte {position}");
        }
    }
    std::fs::write(&segment, &whole).unwrap();
    let cache = Cache::open(folder.path(), os()).unwrap();
    let digest = Digest::of(&content(1));
    let name = digest.to_string();
    let path = folder.path().join("objects").join(&name[..2]).join(&name[2..]);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, vec![0; content(1).len()]).unwrap();
    assert_eq!(cache.verify().unwrap().damaged, [digest]);
    assert!(cache.lookup(&key(1)).unwrap().is_none() && cache.stats().unwrap().quarantined == 1);
}

#[test]
fn processes_at_the_same_time_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for worker in 0..4u64 {
            let root = folder.path();
            // Overlapping ranges: some things are published by two at once.
            scope.spawn(move || assert_eq!(publish(root, os(), worker * 20..worker * 20 + 40).len(), 40));
        }
    });
    assert_whole(folder.path(), &(0..100).collect::<Vec<_>>(), 0..100);
}

#[test]
fn many_segments_become_one_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..40 {
        publish(folder.path(), os(), number..number + 1);
    }
    drop(Cache::open(folder.path(), os()).unwrap());
    let files = std::fs::read_dir(folder.path().join("segments")).unwrap().count();
    assert!(files < 60, "{files} files are left of 80");
    assert_whole(folder.path(), &(0..40).collect::<Vec<_>>(), 0..40);
}

#[test]
fn collecting_keeps_what_pinned_and_newest_runs_name() {
    for from in [0, 1000] {
        let folder = tempfile::tempdir().unwrap();
        // Small objects, or large ones.
        let content = |number: u64| vec![b'a' + number as u8; 50 + number as usize + from * 10];
        let digests: Vec<Digest> = {
            let cache = Cache::open(folder.path(), os()).unwrap();
            let digests: Vec<Digest> = (0..4).map(|number| cache.put(&content(number)).unwrap()).collect();
            for (number, id) in [(1, "20260101-a"), (2, "20260102-b"), (3, "20260103-c")] {
                cache.append_run(id, &serde_json::json!({ "outputs": [digests[number]] })).unwrap();
            }
            digests
        };
        let cache = Cache::open(folder.path(), os()).unwrap();
        assert!(cache.pin("20260101").unwrap() && !cache.pin("20260101-a").unwrap());
        let dry = cache.gc(0, &[], true).unwrap();
        assert_eq!((dry.removed, cache.stats().unwrap().objects), (3, 4));
        let size = |number| content(number).len() as u64;
        let report = cache.gc(size(1) + size(3), &[], false).unwrap();
        assert_eq!((report.removed, report.freed), (2, size(0) + size(2)));
        let here = |digests: &[Digest]| digests.iter().map(|digest| cache.contains(digest)).collect::<Vec<_>>();
        assert_eq!(here(&digests), [false, true, false, true]);
        assert_eq!(cache.pins().unwrap(), ["20260101-a"]);
        assert!(cache.unpin("20260101-a").unwrap() && !cache.unpin("20260101-a").unwrap());
        assert_eq!(cache.gc(0, &[], false).unwrap().kept, 0);
        assert_eq!(here(&digests), [false; 4]);
        assert!(cache.pin("20310101").unwrap_err().to_string().contains("there is no run"));
    }
}

#[test]
fn what_another_process_uses_is_not_collected() {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path(), os(), 0..4);
    let one = Cache::open(folder.path(), os()).unwrap();
    let other = Cache::open(folder.path(), os()).unwrap();
    // A small one and a large one are in use; what is only there is not.
    assert!(other.lookup(&key(0)).unwrap().is_some() && other.lookup_brief(&key(1)).unwrap().is_some());
    let report = one.gc(0, &[], false).unwrap();
    assert_eq!((report.removed, report.in_use), (2, (content(0).len() + content(1).len()) as u64));
    for cache in [&one, &other] {
        cache.refresh().unwrap();
        let found: Vec<bool> = (0..4).map(|number| cache.lookup(&key(number)).unwrap().is_some()).collect();
        assert_eq!(found, [true, true, false, false]);
        assert!(cache.get(&Digest::of(&content(0))).unwrap().is_some());
    }
    drop(other);
    drop(one);
    let one = Cache::open(folder.path(), os()).unwrap();
    assert_eq!(one.gc(0, &[], false).unwrap().removed, 2);
    assert!(one.collect(&GcWish::default()).unwrap().removed == 0);
}

#[test]
fn by_age_only_what_nobody_used_lately_goes() {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path(), os(), 1..4);
    let cache = Cache::open(folder.path(), os()).unwrap();
    let age = |seconds| GcWish { older_than: Some(std::time::Duration::from_secs(seconds)), ..GcWish::default() };
    // Their records say 1970; the files of 1 and 3 were written just now.
    let report = cache.collect(&age(3600)).unwrap();
    assert_eq!(report.removed, 1);
    assert!(cache.lookup(&key(1)).unwrap().is_some() && cache.lookup(&key(2)).unwrap().is_none());
}

#[test]
fn a_file_is_read_again_when_it_changed_and_when_it_was_hashed_too_soon_after_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("input");
    let cache = Cache::open(&folder.path().join("cache"), os()).unwrap();
    std::fs::write(&file, b"one").unwrap();
    let first = cache.put_file(&file).unwrap();
    // The same size, within the clock's granularity.
    std::fs::write(&file, b"two").unwrap();
    let second = cache.put_file(&file).unwrap();
    assert_ne!(first.0, second.0);
    assert_eq!(second.0, Digest::of(b"two"));
}

#[test]
fn a_damaged_stat_cache_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("stat.bin"), b"not entries").unwrap();
    let cache = Cache::open(folder.path(), os()).unwrap();
    let file = folder.path().join("input");
    std::fs::write(&file, b"one").unwrap();
    assert_eq!(cache.put_file(&file).unwrap().0, Digest::of(b"one"));
    cache.save_stats().unwrap();
    assert!(Cache::open(folder.path(), os()).is_ok());
}

#[test]
fn runs_are_found_by_their_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path(), os()).unwrap();
    assert!(cache.find_run("newest").unwrap_err().to_string().contains("no run yet"));
    for id in ["20260101-abc", "20260101-abd", "20260102-x"] {
        cache.append_run(id, &serde_json::json!({ "id": id })).unwrap();
    }
    assert_eq!(cache.find_run("newest").unwrap(), "20260102-x");
    assert_eq!(cache.find_run("20260101-abc").unwrap(), "20260101-abc");
    assert!(cache.find_run("20260101").unwrap_err().to_string().contains("may be"));
    assert_eq!(cache.run::<serde_json::Value>("20260102-x").unwrap()["id"], "20260102-x");
}

proptest! {
    #[test]
    fn a_digest_reads_back_from_its_text(bytes in any::<[u8; 32]>(), other in ".{0,70}") {
        let digest = Digest::from_bytes(bytes);
        prop_assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        if let Ok(read) = other.parse::<Digest>() {
            prop_assert_eq!(read.to_string(), other.to_lowercase());
        }
    }

    #[test]
    fn bytes_come_back_as_they_were(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), os()).unwrap();
        let digest = cache.put(&bytes).unwrap();
        let back: Buffer = cache.get(&digest).unwrap().unwrap();
        prop_assert_eq!(back.as_slice(), bytes.as_slice());
    }
}
