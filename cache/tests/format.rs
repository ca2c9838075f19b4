//! A cache of format 1 is brought to the present format; a format that is not known is refused and left as it is.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use neuroflow_cache::{ActionOutput, ActionRecord, Cache, CacheError, Digest, Disk, OsDisk};
use std::path::Path;
use std::sync::Arc;

fn os() -> Arc<dyn Disk> {
    Arc::new(OsDisk::new())
}

/// A frame as format 1 wrote it.
fn old_frame(key: &Digest, record: &serde_json::Value) -> Vec<u8> {
    let payload = serde_json::to_vec(record).unwrap();
    let check = Digest::of(&[&key.as_bytes()[..], &payload].concat());
    [b"NFA1", &(payload.len() as u32).to_le_bytes()[..], key.as_bytes(), &check.as_bytes()[..8], &payload].concat()
}

fn old_object(root: &Path, bytes: &[u8]) -> Digest {
    let digest = Digest::of(bytes);
    let name = digest.to_string();
    std::fs::create_dir_all(root.join("objects").join(&name[..2])).unwrap();
    std::fs::write(root.join("objects").join(&name[..2]).join(&name[2..]), bytes).unwrap();
    digest
}

fn old_record(digest: &Digest, size: usize) -> serde_json::Value {
    serde_json::json!({
        "stage": "decode.classify", "version": 3, "outputs": [{ "slot": "scores", "digest": digest, "size": size }], "run": "20250101-000000-aaaa",
        "started_unix_ms": 1_735_689_600_000i64, "wall_ms": 12.5, "cpu_ms": null, "log": null,
        "summary": { "task": "direction", "scores": [{ "name": "accuracy", "value": 0.5 }] },
    })
}

/// A folder as the first version left it: two answers in two logs, one of them torn at its end, and what was known about a file.
fn old_cache(root: &Path) -> [(Digest, Digest); 2] {
    let answers = [b"small".to_vec(), vec![7; 10_000]].map(|bytes| (Digest::of(&bytes[..3]), old_object(root, &bytes), bytes.len()));
    std::fs::create_dir_all(root.join("actions")).unwrap();
    for (number, (key, digest, size)) in answers.iter().enumerate() {
        let mut log = old_frame(key, &old_record(digest, *size));
        if number == 1 {
            log.extend(&old_frame(&Digest::of(b"torn"), &old_record(digest, *size))[..70]);
        }
        std::fs::write(root.join(format!("actions/17-{number}.log")), log).unwrap();
    }
    std::fs::create_dir_all(root.join("runs")).unwrap();
    std::fs::write(root.join("runs/20250101-000000-aaaa.json"), br#"{"id":"20250101-000000-aaaa"}"#).unwrap();
    std::fs::write(root.join("in-use"), b"").unwrap();
    let known = serde_json::json!({ "/data/x": { "size": 1, "mtime_ns": 2, "ctime_ns": 3, "inode": 4, "hashed_ns": 5, "digest": Digest::of(b"x") } });
    std::fs::write(root.join("stat.json"), known.to_string()).unwrap();
    answers.map(|(key, digest, _)| (key, digest))
}

#[test]
fn a_cache_of_the_first_format_is_taken_over_whole() {
    let folder = tempfile::tempdir().unwrap();
    let answers = old_cache(folder.path());
    for _ in 0..2 {
        let cache = Cache::open(folder.path(), os()).unwrap();
        for (key, digest) in answers {
            let found = cache.lookup(&key).unwrap().unwrap();
            let size = cache.get(&digest).unwrap().unwrap().len() as u64;
            let expected = ActionRecord {
                stage: "decode.classify".into(),
                version: 3,
                outputs: vec![ActionOutput { slot: "scores".into(), digest, size }],
                run: "20250101-000000-aaaa".into(),
                started_unix_ms: 1_735_689_600_000,
                wall_ms: 12.5,
                summary: old_record(&digest, 0)["summary"].clone(),
                ..ActionRecord::default()
            };
            assert_eq!(found, expected);
            assert_eq!(cache.lookup_brief(&key).unwrap().unwrap().scores, Some(expected.summary["scores"].clone()));
        }
        assert!(cache.lookup(&Digest::of(b"torn")).unwrap().is_none());
        assert_eq!(cache.runs().unwrap(), ["20250101-000000-aaaa"]);
        assert!(cache.verify().unwrap().is_whole());
    }
    assert_eq!(std::fs::read_to_string(folder.path().join("format")).unwrap(), "neuroflow cache 2\n");
    for gone in ["actions", "stat.json", "in-use"] {
        assert!(!folder.path().join(gone).exists(), "{gone} is left");
    }
    assert!(folder.path().join("stat.bin").exists());
}

#[test]
fn while_a_process_of_the_first_format_runs_nothing_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    old_cache(folder.path());
    let running = std::fs::File::open(folder.path().join("in-use")).unwrap();
    running.lock_shared().unwrap();
    let error = Cache::open(folder.path(), os()).map(|_| ()).unwrap_err();
    assert!(matches!(error, CacheError::InUse { .. }) && error.to_string().contains("earlier version"), "{error}");
    assert!(folder.path().join("actions/17-0.log").exists());
    drop(running);
    Cache::open(folder.path(), os()).unwrap();
}

#[test]
fn a_newer_or_unknown_format_is_refused_with_both_versions_and_a_remedy() {
    for (content, said) in [(&b"neuroflow cache 3\n"[..], "has format 3"), (b"something else", "of an unknown kind")] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("format"), content).unwrap();
        let error = Cache::open(folder.path(), os()).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("formats up to 2") && error.contains("NEUROFLOW_CACHE"), "{error}");
        assert!(!folder.path().join("segments").exists());
    }
}

#[test]
fn a_format_file_that_was_cut_says_the_way_out() {
    for content in ["", "neuroflow ca", "neuroflow cache 2"] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("format"), content).unwrap();
        let error = Cache::open(folder.path(), os()).map(|_| ()).unwrap_err();
        assert!(matches!(error, CacheError::CutFormat { .. }) && error.to_string().contains("move the folder aside"), "{error}");
    }
}
