//! Damage and growth: what is damaged is seen as missing and written again, what is to be kept is kept whole, and files that grow are read as they grow.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use neuroflow_cache::{ActionOutput, ActionRecord, Cache, CacheError, Digest, Disk, OsDisk};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn os() -> Arc<dyn Disk> {
    Arc::new(OsDisk::new())
}

fn open(root: &Path) -> Cache {
    Cache::open(root, os()).unwrap()
}

/// Where a large object is.
fn file_of(root: &Path, digest: &Digest) -> PathBuf {
    let name = digest.to_string();
    root.join("objects").join(&name[..2]).join(&name[2..])
}

/// Replaces a large object by bytes of the same length, or flips a bit wherever a small one stands.
fn damage(root: &Path, digest: &Digest, content: &[u8]) {
    let path = file_of(root, digest);
    if path.exists() {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, vec![0; content.len()]).unwrap();
        return;
    }
    let mut hit = 0;
    for entry in std::fs::read_dir(root.join("segments")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let Some(at) = bytes.windows(content.len()).position(|window| window == content) else { continue };
        bytes[at] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        hit += 1;
    }
    assert!(hit > 0, "{digest} is nowhere");
}

/// An answer with one output and a log; gives its key, the output's digest and the log's.
fn answer(cache: &Cache, number: u8) -> (Digest, Digest, Digest) {
    let content = vec![number; 5000];
    let (digest, log, key) = (cache.put(&content).unwrap(), cache.put(&[b'l', b'o', b'g', number]).unwrap(), Digest::of(&[number]));
    let outputs = vec![ActionOutput { slot: "out".into(), digest, size: content.len() as u64 }];
    cache.record(&key, &ActionRecord { outputs, log: Some(log), wall_ms: 5.0, ..ActionRecord::default() }).unwrap();
    (key, digest, log)
}

/// Whether there is an answer with its log.
fn is_answered(cache: &Cache, key: &Digest, log: &Digest) -> bool {
    cache.lookup(key).unwrap().is_some_and(|record| record.log == Some(*log)) && cache.get(log).unwrap().is_some()
}

#[test]
fn a_collection_keeps_the_logs_of_the_answers_that_it_keeps() {
    let folder = tempfile::tempdir().unwrap();
    let (pinned, used) = {
        let cache = open(folder.path());
        let pinned = answer(&cache, 1);
        cache.append_run("20260101-a", &serde_json::json!({ "outputs": [pinned.1] })).unwrap();
        cache.pin("20260101-a").unwrap();
        (pinned, answer(&cache, 2))
    };
    let (one, other) = (open(folder.path()), open(folder.path()));
    // Who looks so does not name the log.
    assert!(other.lookup_brief(&used.0).unwrap().is_some());
    assert_eq!(one.gc(0, &[], false).unwrap().removed, 0);
    drop(other);
    assert!(is_answered(&one, &pinned.0, &pinned.2) && is_answered(&one, &used.0, &used.2));
    drop(one);
    let cache = open(folder.path());
    assert_eq!(cache.gc(0, &[], false).unwrap().removed, 2);
    assert!(is_answered(&cache, &pinned.0, &pinned.2) && cache.lookup(&used.0).unwrap().is_none());
}

#[test]
fn a_log_is_as_valuable_as_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let answers: Vec<_> = (1..3)
        .map(|number| {
            let cache = open(folder.path());
            let made = answer(&cache, number);
            cache.append_run(&format!("2026010{number}-a"), &serde_json::json!({ "outputs": [made.1] })).unwrap();
            // File systems tell times only so well.
            std::thread::sleep(std::time::Duration::from_millis(30));
            made
        })
        .collect();
    let cache = open(folder.path());
    assert_eq!(cache.gc(5004, &[], false).unwrap().removed, 2);
    assert!(cache.lookup(&answers[0].0).unwrap().is_none() && is_answered(&cache, &answers[1].0, &answers[1].2));
}

#[test]
fn nothing_is_collected_while_it_is_not_known_what_a_pinned_run_names() {
    for large in [false, true] {
        for is_missing in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let (output, tasks, text) = {
                let cache = open(folder.path());
                let (key, output, _) = answer(&cache, 1);
                let text = format!("{{\"key\":\"{key}\",\"output\":\"{output}\"}}\n{}", " ".repeat(if large { 5000 } else { 0 }));
                let tasks = cache.put(text.as_bytes()).unwrap();
                cache.append_run("20260101-a", &serde_json::json!({ "tasks": tasks })).unwrap();
                cache.pin("20260101-a").unwrap();
                assert_eq!(cache.gc(0, &[], false).unwrap().removed, 0);
                (output, tasks, text)
            };
            if is_missing {
                open(folder.path()).quarantine(&tasks).unwrap();
            }
            if !is_missing || !large {
                // A small one in quarantine still stands in its segment, and only this process knows.
                damage(folder.path(), &tasks, text.as_bytes());
            }
            let cache = open(folder.path());
            let error = cache.gc(0, &[], false).unwrap_err();
            assert!(matches!(error, CacheError::Unprotected { .. }), "{error}");
            assert!(error.to_string().contains("neuroflow cache unpin 20260101-a"), "{error}");
            assert!(cache.contains(&output));
            // Written anew, it protects again; given up, it protects nothing.
            cache.put_repeatable(|into| into.write_all(text.as_bytes())).unwrap();
            cache.gc(0, &[], false).unwrap();
            assert!(cache.contains(&output));
            cache.unpin("20260101-a").unwrap();
            cache.gc(0, &[], false).unwrap();
            assert!(!cache.contains(&output));
        }
    }
}

#[test]
fn what_is_put_again_takes_the_place_of_what_is_damaged() {
    for size in [100, 5000, 400_000] {
        for repeatable in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let content: Vec<u8> = (0..size).map(|at: u32| (at * 7 % 251) as u8).collect();
            let put = |cache: &Cache| match repeatable {
                true => cache.put_repeatable(|into| into.write_all(&content)).unwrap().0,
                false => cache.put(&content).unwrap(),
            };
            let digest = put(&open(folder.path()));
            damage(folder.path(), &digest, &content);
            let cache = open(folder.path());
            assert_eq!(put(&cache), digest);
            assert_eq!(cache.get(&digest).unwrap().unwrap().as_slice(), content);
            assert!(!cache.was_damaged(&digest));
            assert_eq!(cache.stats().unwrap().quarantined, usize::from(repeatable));
            drop(cache);
            // Also for those who come later, wherever the damaged one still stands.
            let cache = open(folder.path());
            assert_eq!(cache.get(&digest).unwrap().unwrap().as_slice(), content);
            assert_eq!(put(&cache), digest);
        }
    }
}

#[test]
fn a_damaged_run_record_is_put_aside_once_and_protects_nothing_silently() {
    let folder = tempfile::tempdir().unwrap();
    let (_, output, _) = {
        let cache = open(folder.path());
        let made = answer(&cache, 1);
        cache.append_run("20260101-a", &serde_json::json!({ "outputs": [made.1] })).unwrap();
        cache.append_run("20260102-b", &serde_json::json!({})).unwrap();
        cache.pin("20260101-a").unwrap();
        made
    };
    let path = folder.path().join("runs/20260101-a.json");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let cache = open(folder.path());
    assert!(cache.gc(0, &[], false).unwrap_err().to_string().contains("its record can't be read"));
    let told = cache.run::<serde_json::Value>("20260101-a").unwrap_err().to_string();
    assert!(told.contains("run 20260101-a can't be read") && told.contains("`neuroflow cache verify`"), "{told}");
    assert_eq!(cache.verify().unwrap().damaged_runs, ["20260101-a"]);
    assert!(folder.path().join("quarantine/run-20260101-a.json").exists() && cache.verify().unwrap().is_whole());
    assert_eq!(cache.runs().unwrap(), ["20260102-b"]);
    assert!(cache.gc(0, &[], false).unwrap_err().to_string().contains("no record of it"));
    cache.unpin("20260101-a").unwrap();
    cache.gc(0, &[], false).unwrap();
    assert!(!cache.contains(&output));
}

#[cfg(target_os = "linux")]
#[test]
fn files_of_a_living_process_are_read_and_never_mapped() {
    use arrow::buffer::Buffer;
    use std::io::{Error, Read, Result};
    use std::os::fd::AsRawFd;

    fn refuses_segments(file: &std::fs::File, length: u64) -> Result<Buffer> {
        let path = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        if path.extension().is_some_and(|ending| ending == "hot" || ending == "cold") {
            return Err(Error::other("a file that grows was mapped"));
        }
        let mut bytes = Vec::new();
        file.take(length).read_to_end(&mut bytes)?;
        Ok(Buffer::from_vec(bytes))
    }

    let folder = tempfile::tempdir().unwrap();
    let writer = open(folder.path());
    answer(&writer, 0);
    let reader = Cache::open(folder.path(), Arc::new(OsDisk::with_mapper(refuses_segments))).unwrap();
    for number in 1..40 {
        let (key, output, log) = answer(&writer, number);
        reader.refresh().unwrap();
        assert!(is_answered(&reader, &key, &log) && reader.contains(&output), "{number}");
    }
    assert!(is_answered(&reader, &Digest::of(&[0]), &Digest::of(b"log\0")));
}

#[test]
fn what_others_append_meanwhile_fails_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let writer = open(folder.path());
    let disk = || -> Arc<dyn Disk> { Arc::new(OsDisk::with_mapper(neuroflow_compute::map::map_file)) };
    std::thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for number in 0..2000u32 {
                writer.put(format!("small {number}").as_bytes()).unwrap();
            }
        });
        while !writing.is_finished() {
            Cache::open(folder.path(), disk()).unwrap().refresh().unwrap();
        }
    });
    let reader = Cache::open(folder.path(), disk()).unwrap();
    assert!((0..2000u32).all(|number| reader.contains(&Digest::of(format!("small {number}").as_bytes()))));
}
