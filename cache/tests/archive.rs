//! Export and import: a run moves whole, and a hostile archive moves nothing that it should not.

#![expect(clippy::unwrap_used, reason = "a test ends by panicking")]

use neuroflow_cache::{ActionOutput, ActionRecord, Cache, Digest, Disk, OsDisk};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

fn cache(root: &Path) -> Cache {
    let disk: Arc<dyn Disk> = Arc::new(OsDisk::new());
    Cache::open(root, disk).unwrap()
}

fn content(number: usize) -> Vec<u8> {
    vec![b'a' + number as u8; 100 + number * 6000]
}

/// A run of three answers, and one answer of another run.
fn filled(root: &Path) -> (Cache, Vec<Digest>) {
    let cache = cache(root);
    let mut keys = Vec::new();
    for number in 0..4 {
        let digest = cache.put(&content(number)).unwrap();
        let log = (number == 1).then(|| cache.put(b"a log").unwrap());
        let key = Digest::of(&[number as u8]);
        let outputs = vec![ActionOutput { slot: "out".into(), digest, size: content(number).len() as u64 }];
        cache
            .record(&key, &ActionRecord { outputs, log, summary: serde_json::json!({ "task": number }), ..ActionRecord::default() })
            .unwrap();
        keys.push(key);
    }
    let tasks: Vec<_> = keys[..3].iter().map(|key| serde_json::json!({ "key": key })).collect();
    cache.append_run("20260101-000000-aaaa", &serde_json::json!({ "tasks": tasks })).unwrap();
    (cache, keys)
}

#[test]
fn a_run_moves_whole_to_another_cache_and_nothing_else_does() {
    let folder = tempfile::tempdir().unwrap();
    let (from, keys) = filled(&folder.path().join("from"));
    let file = folder.path().join("run.tar");
    let moved = from.export("newest", &file).unwrap();
    assert_eq!((moved.objects, moved.records, moved.missing), (4, 3, 0));
    let to = cache(&folder.path().join("to"));
    for _ in 0..2 {
        assert_eq!(to.import(&file).unwrap(), moved);
    }
    for (number, key) in keys.iter().enumerate() {
        assert_eq!(to.lookup(key).unwrap(), from.lookup(key).unwrap().filter(|_| number < 3), "{number}");
    }
    assert_eq!(to.get(&Digest::of(b"a log")).unwrap().unwrap().as_slice(), b"a log");
    let record = |cache: &Cache| cache.run::<serde_json::Value>("20260101-000000-aaaa").unwrap();
    assert_eq!(record(&to), record(&from));
    assert!(to.verify().unwrap().is_whole());
    // What is gone is counted.
    from.quarantine(&Digest::of(&content(2))).unwrap();
    let moved = from.export("newest", &file).unwrap();
    assert_eq!((moved.objects, moved.records, moved.missing), (3, 2, 1));
    assert!(from.export("2031", &file).unwrap_err().to_string().contains("there is no run"));
}

/// The parts of an archive: name, kind, content.
type Parts = Vec<(String, tar::EntryType, Vec<u8>)>;

fn parts(file: &Path) -> Parts {
    let mut archive = tar::Archive::new(std::fs::File::open(file).unwrap());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        (String::from_utf8(entry.path_bytes().into_owned()).unwrap(), entry.header().entry_type(), content)
    });
    entries.collect()
}

/// Writes parts with names as they are, and an end that fits them.
fn write(file: &Path, parts: &Parts, mend_end: bool) {
    let mut out = std::fs::File::create(file).unwrap();
    let mut end = blake3::Hasher::new();
    for (name, kind, content) in parts {
        let digest = end.finalize().to_hex().to_string();
        let content = if name == "end" && mend_end { digest.as_bytes() } else { content };
        end.update(name.as_bytes()).update(b"\0").update(Digest::of(content).as_bytes());
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_entry_type(*kind);
        header.set_cksum();
        out.write_all(header.as_bytes()).unwrap();
        out.write_all(content).unwrap();
        out.write_all(&vec![0; content.len().next_multiple_of(512) - content.len()]).unwrap();
    }
    out.write_all(&[0; 1024]).unwrap();
}

#[test]
fn hostile_archives_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (from, _) = filled(&folder.path().join("from"));
    let (good, bad) = (folder.path().join("good.tar"), folder.path().join("bad.tar"));
    from.export("newest", &good).unwrap();
    let whole = parts(&good);
    let regular = tar::EntryType::Regular;
    let change = |change: &dyn Fn(&mut Parts)| {
        let mut parts = whole.clone();
        change(&mut parts);
        parts
    };
    let object = whole.iter().position(|(name, _, _)| name.starts_with("objects/")).unwrap();
    let record = whole.iter().position(|(name, _, _)| name.starts_with("records/")).unwrap();
    let run = whole.iter().position(|(name, _, _)| name.starts_with("run/")).unwrap();
    let cases: Vec<(&str, Parts, &str)> = vec![
        ("a way out", change(&|parts| parts.insert(1, ("objects/../../../escaped".into(), regular, b"x".to_vec()))), "does not belong"),
        ("an absolute path", change(&|parts| parts.insert(1, ("/tmp/escaped".into(), regular, b"x".to_vec()))), "does not belong"),
        ("a run with a path", change(&|parts| parts[run].0 = "run/../../escaped.json".into()), "does not belong"),
        ("a link", change(&|parts| parts[object].1 = tar::EntryType::Symlink), "does not belong"),
        ("a sparse file", change(&|parts| parts[object].1 = tar::EntryType::GNUSparse), "does not belong"),
        (
            "a long name",
            change(&|parts| parts.insert(1, ("././@LongLink".into(), tar::EntryType::GNULongName, b"objects/x".to_vec()))),
            "does not belong",
        ),
        ("a wrong object", change(&|parts| parts[object].2[0] ^= 1), "is not what its name says"),
        ("a wrong record", change(&|parts| parts[record].2[70] ^= 1), "is damaged"),
        ("a record of another key", change(&|parts| parts[record].0 = format!("records/{}", Digest::of(b"other"))), "is damaged"),
        (
            "a record without its object",
            change(&|parts| parts.retain(|(name, _, _)| !name.starts_with("objects/"))),
            "names objects that are not in it",
        ),
        ("a wrong run", change(&|parts| parts[run].2 = b"{ not json".to_vec()), "run's record is damaged"),
        ("another version", change(&|parts| parts[0].2 = b"2\n".to_vec()), "another version"),
        ("no beginning", change(&|parts| drop(parts.remove(0))), "does not begin"),
        ("no end", change(&|parts| drop(parts.pop())), "cut off"),
        ("two runs", change(&|parts| parts.insert(run, ("run/other.json".into(), regular, b"{}".to_vec()))), "several runs"),
    ];
    for (name, parts, said) in cases {
        write(&bad, &parts, true);
        let root = folder.path().join("to").join(name);
        let to = cache(&root);
        let error = to.import(&bad).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("bad.tar"), "{name}: {error}");
        assert!(to.runs().unwrap().is_empty(), "{name}: a run was published");
        assert!(to.verify().unwrap().is_whole(), "{name}: something wrong was stored");
        assert_eq!(std::fs::read_dir(root.join("tmp")).unwrap().count(), 0, "{name}: something is left");
    }
    assert!(!Path::new("/tmp/escaped").exists() && !folder.path().join("escaped").exists());
    write(&bad, &change(&|parts| parts[run].2 = b"{}".to_vec()), false);
    assert!(cache(&folder.path().join("to/end")).import(&bad).unwrap_err().to_string().contains("its end does not fit"));
    write(&bad, &whole, true);
    assert!(cache(&folder.path().join("to/good")).import(&bad).is_ok());
}

#[test]
fn an_archive_that_is_cut_or_lies_about_sizes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (from, _) = filled(&folder.path().join("from"));
    let (good, bad) = (folder.path().join("good.tar"), folder.path().join("bad.tar"));
    from.export("newest", &good).unwrap();
    let bytes = std::fs::read(&good).unwrap();
    let to = cache(&folder.path().join("to"));
    // Up to the end entry; the two empty blocks behind it may be missing.
    for length in (0..bytes.len() - 1024 - 512).step_by(997) {
        std::fs::write(&bad, &bytes[..length]).unwrap();
        assert!(to.import(&bad).is_err(), "{length} of {} bytes", bytes.len());
        assert!(to.runs().unwrap().is_empty());
    }
    let mut huge = bytes.clone();
    // The second entry says that it has 8 GiB.
    let header = &mut huge[1024..1536];
    header[124..136].copy_from_slice(b"77777777777\0");
    let mut fixed = tar::Header::new_ustar();
    fixed.as_mut_bytes().copy_from_slice(header);
    fixed.set_cksum();
    header.copy_from_slice(fixed.as_bytes());
    std::fs::write(&bad, &huge).unwrap();
    assert!(to.import(&bad).is_err());
    std::fs::write(&bad, b"not an archive at all").unwrap();
    assert!(to.import(&bad).is_err());
    assert!(to.import(&folder.path().join("nowhere")).unwrap_err().to_string().contains("nowhere"));
    assert!(to.verify().unwrap().is_whole());
}
