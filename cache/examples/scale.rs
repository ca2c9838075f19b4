//! How fast the cache is on this machine: `cargo run --release --example scale -p neuroflow-cache -- [KEYS [FOLDER]]`.
//!
//! Prints one line a measurement, with the ratio to what the machine can do without us.

#![expect(clippy::unwrap_used, reason = "a measurement that fails ends")]

use neuroflow_cache::{ActionOutput, ActionRecord, Cache, Digest, Disk, KeyEncoder, OsDisk};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn disk() -> Arc<dyn Disk> {
    Arc::new(OsDisk::with_mapper(neuroflow_compute::map::map_file))
}

fn key(number: usize) -> Digest {
    let mut key = KeyEncoder::new();
    key.uint(number as u64);
    key.finish()
}

/// The most memory this process had at once, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib / 1024)
}

fn timed<T>(what: &str, count: usize, work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let result = work();
    let seconds = began.elapsed().as_secs_f64();
    println!("{what}: {seconds:.3} s, {:.2} µs each, peak {} MiB", seconds / count as f64 * 1e6, peak_mib());
    result
}

fn write(root: &Path, keys: usize) {
    let cache = Cache::open(root, disk()).unwrap();
    timed("put a small output and record it", keys, || {
        for number in 0..keys {
            let bytes = format!("the output of task {number}, as small as many are: {}", "x".repeat(200));
            let digest = cache.put(bytes.as_bytes()).unwrap();
            let record = ActionRecord {
                stage: "exec".into(),
                version: 1,
                outputs: vec![ActionOutput { slot: "out".into(), digest, size: bytes.len() as u64 }],
                run: "20260101-000000-abcdef".into(),
                started_unix_ms: 1_760_000_000_000,
                wall_ms: 12.5,
                summary: serde_json::json!({ "task": format!("step[\"{number}\"]"), "key": { "stage": "exec", "template": "wc -c < in > out", "inputs": [digest] } }),
                ..ActionRecord::default()
            };
            cache.record(&key(number), &record).unwrap();
        }
    });
    timed("close", keys, || drop(cache));
}

fn read(root: &Path, keys: usize) {
    let all: Vec<Digest> = (0..keys).map(key).collect();
    let began = Instant::now();
    let cache = timed("open", keys, || Cache::open(root, disk()).unwrap());
    let found = timed("look all up", keys, || all.iter().filter(|key| cache.lookup_brief(key).unwrap().is_some()).count());
    println!("open and look up {found} of {keys}: {:.3} s", began.elapsed().as_secs_f64());
    timed("close", keys, || drop(cache));
}

fn inputs(root: &Path, count: usize) {
    let folder = root.join("inputs");
    std::fs::create_dir_all(&folder).unwrap();
    let paths: Vec<_> = (0..count).map(|number| folder.join(format!("input{number}"))).collect();
    for (number, path) in paths.iter().enumerate() {
        std::fs::write(path, format!("input {number}")).unwrap();
    }
    let cache = Cache::open(&root.join("cache"), disk()).unwrap();
    timed("hash new small inputs", count, || paths.iter().for_each(|path| _ = cache.put_file(path).unwrap()));
    timed("save what is known of them", count, || cache.save_stats().unwrap());
    drop(cache);
    // Files that were written less than two seconds before they were hashed are hashed again.
    std::thread::sleep(std::time::Duration::from_secs(2));
    let cache = Cache::open(&root.join("cache"), disk()).unwrap();
    paths.iter().for_each(|path| _ = cache.put_file(path).unwrap());
    cache.save_stats().unwrap();
    drop(cache);
    let cache = Cache::open(&root.join("cache"), disk()).unwrap();
    timed("look at unchanged inputs, from opening on", count, || paths.iter().for_each(|path| _ = cache.put_file(path).unwrap()));
    timed("only stat them", count, || paths.iter().for_each(|path| _ = std::fs::metadata(path).unwrap()));
}

fn hashing(root: &Path) {
    let bytes: Vec<u8> = (0..1usize << 30).map(|at| ((at * 31) >> 3) as u8).collect();
    let path = root.join("large");
    std::fs::write(&path, &bytes).unwrap();
    drop(bytes);
    let cache = Cache::open(&root.join("hashing"), disk()).unwrap();
    for _ in 0..2 {
        // What `b3sum` does: map, and hash on all cores. The cache's own hashing of a mapped file is that.
        timed("1 GiB: hash the mapped file", 1, || {
            Digest::of_many(&neuroflow_compute::map::map_file(&std::fs::File::open(&path).unwrap(), 1 << 30).unwrap())
        });
        timed("1 GiB: hash_file", 1, || cache.hash_file(&path).unwrap());
        std::fs::File::options().append(true).open(&path).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    }
    timed("1 GiB: put_file, hashed and copied", 1, || cache.put_file(&path).unwrap());
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let keys = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let temporary = tempfile::tempdir().unwrap();
    let root = arguments.next().map_or_else(|| temporary.path().to_path_buf(), Into::into);
    match arguments.next().as_deref() {
        Some("read") => return read(&root.join("cache"), keys),
        Some("write") => return write(&root.join("cache"), keys),
        Some("hash") => return hashing(&root),
        _ => {}
    }
    write(&root.join("cache"), keys);
    read(&root.join("cache"), keys);
    read(&root.join("cache"), keys);
    inputs(&root, 100_000.min(keys));
    hashing(&root);
}
