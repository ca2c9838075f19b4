//! Queries on a real scheduler and a real executor, which listen on ports of this machine, in this process.

use crate::testing::{ask_with, shown, table, units};
use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use ballista_core::serde::BallistaCodec;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use neuroflow_data::{Artifact, Axis, Tensor, Typed};
use neuroflow_stage::{CancelToken, Cluster, Context, StageError};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A scheduler and executors, gone with the value.
struct Running {
    _runtime: tokio::runtime::Runtime,
    shared: TempDir,
    scheduler: String,
}

fn running(executors: usize) -> Running {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let port = runtime.block_on(async {
        let address = ballista_scheduler::standalone::new_standalone_scheduler().await.unwrap();
        for _ in 0..executors {
            let scheduler = SchedulerGrpcClient::connect(format!("http://localhost:{}", address.port())).await.unwrap();
            ballista_executor::new_standalone_executor(scheduler, 2, BallistaCodec::default()).await.unwrap();
        }
        address.port()
    });
    Running { _runtime: runtime, shared: tempfile::tempdir().unwrap(), scheduler: format!("df://localhost:{port}") }
}

impl Running {
    fn context(&self) -> Context {
        let cluster = Cluster { scheduler: self.scheduler.clone(), shared: self.shared.path().to_owned() };
        Context { cluster: Some(cluster), ..Context::quiet(1) }
    }
}

fn many(rows: i64) -> Artifact {
    table(vec![
        ("key", Arc::new(Int64Array::from_iter((0..rows).map(|row| (row % 11 > 0).then_some(row * 7919 % 503)))) as ArrayRef),
        ("word", Arc::new(StringArray::from_iter((0..rows).map(|row| (row % 7 > 0).then(|| format!("word {}", row * 31 % 97)))))),
        ("x", Arc::new(Float64Array::from_iter((0..rows).map(|row| (row % 13 > 0).then_some((row as f64).sin() * 1e3))))),
    ])
}

#[test]
fn a_cluster_gives_the_same_bytes() {
    let cluster = running(2);
    // More rows than a group of a shared file, so that there are several parts.
    let (t, u) = (many(300_000), units());
    let axes = vec![Axis::labels("unit", vec!["u1".into(), "u2".into()]), Axis::count("bin", 50)];
    let tensor =
        Tensor::new(axes, None, (0..100).map(|value| f64::from(value).sqrt()).collect::<Vec<_>>()).unwrap().into_artifact().unwrap();
    let tables = [("t", "", &t), ("u", "m1", &u), ("u", "m2", &u), ("r", "", &tensor)];
    let queries = [
        "select key, count(*) as n, count(x) as xs, min(x) as low, max(word) as last from t group by key",
        "select word, sum(x) as sum, avg(x) as mean, stddev(x) as sd from t group by word",
        "select sum(x) as sum, sum(key) as keys from t",
        "select key, word, x from t where x > 990 and word is not null",
        "select a.key, count(*) as n from t a join t b on a.key = b.key and a.x < b.x where a.key < 5 and b.x > 950 group by a.key",
        "select distinct word from t order by word desc",
        "select key, x from t order by x desc limit 20",
        "select key, word from t limit 17",
        "select word, row_number() over (partition by word order by x, key) as place from t where key = 5",
        "select member, area, avg(rate) as rate from u group by member, area",
        "select unit, sum(value) as total from r group by unit",
        "select * from u where unit not in (select unit from r)",
        "select key from t where x = (select max(x) from t)",
        "select key from t where key < 3 union select 1000 as key union all select cast(null as bigint) as key",
        "with few as (select * from t where key < 10) select a.word, b.x from few a left join few b on a.key = b.key and a.x = b.x",
        "select t.word, u.area from t join u on t.key = u.\"Spikes\" where t.x > 900",
        "select key from t where key < 1 union all select key from t where key = 2 union all select key + 1 from t where key = 3",
        "select sum(n) as n, max(x) as x from (select key as n, x from t union all select 1 as n, null as x from t)",
        "select 1 as one",
        "select word, x from t where x > 1e9",
    ];
    for query in queries {
        let here = ask_with(&tables, query, &Context::quiet(1)).unwrap_or_else(|error| panic!("{query}: {error}"));
        let there = ask_with(&tables, query, &cluster.context()).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert!(here.encode().unwrap() == there.encode().unwrap(), "{query}\n{}\n---\n{}", shown(&here), shown(&there));
    }
    assert_eq!(std::fs::read_dir(cluster.shared.path()).unwrap().count(), 0, "what was sent is left");
}

#[test]
fn a_mistake_is_told_before_the_cluster_is_asked() {
    let cluster = Cluster { scheduler: "df://localhost:1".into(), shared: "/nowhere".into() };
    let context = Context { cluster: Some(cluster), ..Context::quiet(1) };
    let error = ask_with(&[("u", "", &units())], "select rat from u", &context).unwrap_err();
    assert_eq!(error.to_string(), "line 1, column 8 of the query: there is no column `rat`");
}

#[test]
fn a_scheduler_that_is_not_there_is_told_with_a_remedy() {
    let shared = tempfile::tempdir().unwrap();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let scheduler = format!("df://127.0.0.1:{port}");
    let context =
        Context { cluster: Some(Cluster { scheduler: scheduler.clone(), shared: shared.path().to_owned() }), ..Context::quiet(1) };
    let error = ask_with(&[("u", "", &units())], "select * from u", &context).unwrap_err();
    assert!(error.to_string().starts_with(&format!("the scheduler {scheduler} of neuroflow.toml can't be reached: ")), "{error}");
    assert_eq!(error.help(), Some("start it, or take `scheduler` out of `[sql]` to run queries here"));
}

#[test]
fn a_cluster_that_fails_is_told_in_its_words() {
    let cluster = running(1);
    let error = ask_with(&[("t", "", &many(100))], "select cast(word as int) as n from t", &cluster.context()).unwrap_err();
    assert!(error.to_string().contains(&cluster.scheduler) && error.to_string().contains("word"), "{error}");
    assert!(error.help().is_some());
}

#[test]
fn a_query_that_waits_for_executors_ends_when_it_is_cancelled() {
    let cluster = running(0);
    let cancel = CancelToken::new();
    let context = Context { cancel: cancel.clone(), ..cluster.context() };
    let rows = many(1000);
    let (ended, after) = std::thread::scope(|scope| {
        let asked = scope.spawn(|| (ask_with(&[("t", "", &rows)], "select key from t", &context), Instant::now()));
        std::thread::park_timeout(Duration::from_millis(600));
        let at = Instant::now();
        cancel.cancel();
        let (ended, when) = asked.join().unwrap();
        (ended, when.duration_since(at))
    });
    assert!(matches!(ended, Err(StageError::Cancelled)), "{ended:?}");
    assert!(after < Duration::from_secs(1), "{after:?}");
}
