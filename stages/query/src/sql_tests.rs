//! Queries and their answers, refusals, and what they leave behind.

use crate::testing::{ask, ask_with, shown, table, told, units};
use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float32Array, Float64Array, Int64Array, NullArray, StringArray, UInt8Array, UInt64Array,
};
use arrow::buffer::Buffer;
use arrow::datatypes::Int32Type;
use neuroflow_data::formats::parquet::write_parquet;
use neuroflow_data::{Artifact, Axis, Coordinates, Edge, Graph, Kind, Rdm, Responses, Score, Scores, Table, Tensor, Typed, columns};
use neuroflow_stage::{CancelToken, Context, StageError};
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn a_query_joins_filters_and_groups() {
    let quality = table(vec![
        ("unit", Arc::new(StringArray::from(vec!["u1", "u2", "u3"])) as ArrayRef),
        ("good", Arc::new(BooleanArray::from(vec![Some(true), None, Some(true)]))),
    ]);
    let query = "select area, count(*) as n, sum(rate) as rate, max(\"Spikes\") as most
        from units join quality using (unit) where good group by area";
    let answer = ask(&[("units", &units()), ("quality", &quality)], query).unwrap();
    assert_eq!(shown(&answer), "area: Utf8, n: Int64, rate: Float64, most: Int64\nVISp | 2 | 5.5 | 80");
}

#[test]
fn rows_without_an_order_are_sorted_and_ties_of_an_order_broken() {
    let answer = ask(&[("units", &units())], "select area, unit from units").unwrap();
    assert_eq!(shown(&answer), "area: Utf8, unit: Utf8\nVISl | u2\nVISp | u1\nVISp | u3");
    let answer = ask(&[("units", &units())], "select unit, area from units order by area desc").unwrap();
    assert_eq!(shown(&answer), "unit: Utf8, area: Utf8\nu1 | VISp\nu3 | VISp\nu2 | VISl");
    let answer = ask(&[("units", &units())], "select unit from units order by area desc, rate desc limit 1").unwrap();
    assert_eq!(shown(&answer), "unit: Utf8\nu3");
}

#[test]
fn nulls_are_last_in_both_directions_unless_the_query_says_otherwise() {
    let values = table(vec![("x", Arc::new(Float64Array::from(vec![None, Some(1.0), Some(f64::NAN), Some(2.0)])) as ArrayRef)]);
    let ordered = |order: &str| shown(&ask(&[("t", &values)], &format!("select x from t order by x {order}")).unwrap());
    assert_eq!(ordered(""), "x: Float64\n1.0\n2.0\nNaN\nnull");
    assert_eq!(ordered("desc"), "x: Float64\nNaN\n2.0\n1.0\nnull");
    assert_eq!(ordered("desc nulls first"), "x: Float64\nnull\nNaN\n2.0\n1.0");
    assert_eq!(ordered("nulls first"), "x: Float64\nnull\n1.0\n2.0\nNaN");
    let ranked = "select x, row_number() over (order by x desc) as k from t order by k";
    assert_eq!(shown(&ask(&[("t", &values)], ranked).unwrap()), "x: Float64, k: Int64\nNaN | 1\n2.0 | 2\n1.0 | 3\nnull | 4");
}

#[test]
fn columns_without_a_value_can_be_asked_for_and_go_together_with_every_other() {
    let none = |rows: usize| Arc::new(NullArray::new(rows)) as ArrayRef;
    let empty = table(vec![("area", none(0)), ("units", none(0))]);
    assert_eq!(shown(&ask(&[("t", &empty)], "select count(*) as n from t").unwrap()), "n: Int64\n0");
    for query in [
        "select * from t",
        "select area from t where units > 3",
        "select area, count(*) as n, sum(units) as units, max(area) as last from t group by area",
        "select a.area from t a join t b on a.area = b.area order by a.units desc",
        "select units * 2 as twice, area from t",
    ] {
        let answer = ask(&[("t", &empty)], query).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(answer.batch_of(Kind::Table).unwrap().num_rows(), 0, "{query}");
    }
    let full =
        table(vec![("area", Arc::new(StringArray::from(vec!["V1", "LM"])) as ArrayRef), ("units", Arc::new(Int64Array::from(vec![3, 2])))]);
    let hollow = table(vec![("area", Arc::new(StringArray::from(vec!["AL"])) as ArrayRef), ("units", none(1))]);
    for members in [[&empty, &full, &hollow], [&hollow, &empty, &full]] {
        let members: Vec<(&str, &str, &Artifact)> =
            ["a", "b", "c"].into_iter().zip(members).map(|(label, one)| ("t", label, one)).collect();
        let answer = ask_with(&members, "select area, units from t order by units desc", &Context::quiet(1)).unwrap();
        assert_eq!(shown(&answer), "area: Utf8, units: Int64\nV1 | 3\nLM | 2\nAL | null");
    }
}

#[test]
fn an_empty_answer_has_its_columns() {
    let answer = ask(&[("units", &units())], "select unit, rate * 2 as twice from units where rate > 100").unwrap();
    assert_eq!(shown(&answer), "unit: Utf8, twice: Float64");
    let nothing = table(vec![("x", Arc::new(Float64Array::from(Vec::<f64>::new())) as ArrayRef)]);
    assert_eq!(shown(&ask(&[("t", &nothing)], "select * from t").unwrap()), "x: Float64");
    assert_eq!(shown(&ask(&[("t", &nothing)], "select sum(x) as x, count(*) as n from t").unwrap()), "x: Float64, n: Int64\nnull | 0");
}

#[test]
fn columns_become_plain_and_nulls_stay() {
    let odd = table(vec![
        ("small", Arc::new(UInt8Array::from(vec![Some(7), None])) as ArrayRef),
        ("half", Arc::new(Float32Array::from(vec![0.5, f32::NAN]))),
        ("word", Arc::new([Some("a"), None].into_iter().collect::<DictionaryArray<Int32Type>>())),
    ]);
    let query = "select small, half, word, null as none, cast(1.25 as decimal(10, 2)) as money, date '2026-11-25' as day from t";
    assert_eq!(
        shown(&ask(&[("t", &odd)], query).unwrap()),
        "small: Int64, half: Float64, word: Utf8, none: Float64, money: Float64, day: Date32\n\
         7 | 0.5 | a | null | 1.25 | 2026-11-25\nnull | NaN | null | null | 1.25 | 2026-11-25"
    );
    assert_eq!(
        told(&[("t", &odd)], "select named_struct('a', small) as s from t"),
        "the query: column `s` of the result is nested, a table has plain columns\n\
         = choose what is in it, `s['field']`, or spread lists with `unnest`"
    );
    let large = "select cast(18446744073709551615 as bigint unsigned) as n";
    assert!(told(&[], large).contains("too large for a table"), "{}", told(&[], large));
}

#[test]
fn what_stands_under_a_null_is_not_part_of_the_result() {
    let with_garbage = |garbage: f64| {
        let values = Float64Array::new(vec![1.0, garbage].into(), Some(vec![true, false].into()));
        ask(&[("t", &table(vec![("x", Arc::new(values) as ArrayRef)]))], "select x from t").unwrap().encode().unwrap()
    };
    assert!(with_garbage(3.0) == with_garbage(4.0));
}

#[test]
fn the_same_bytes_whatever_the_memory_and_the_threads() {
    let rows = 200_000i64;
    let numbers = table(vec![
        ("key", Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row * 7919 % 20_011))) as ArrayRef),
        ("word", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("a word of some length {}", row * 31 % 977))))),
        ("value", Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row * row % 1013)))),
    ]);
    let scratch = tempfile::tempdir().unwrap();
    let queries = [
        "select key, word, value from t",
        "select word, key, value from t order by value desc",
        "select key, count(*) as n, sum(value) as total, min(word) as first from t group by key",
        "select a.key, a.value, b.word from t a join t b on a.key = b.key and a.value = b.value where a.key < 5000",
        "select word, key, sum(value) over (partition by word order by key, value) as running from t",
    ];
    for query in queries {
        let ask = |memory: Option<u64>, threads| {
            let context = Context { memory, threads, scratch: Some(scratch.path().to_owned()), ..Context::quiet(1) };
            ask_with(&[("t", "", &numbers)], query, &context).unwrap_or_else(|error| panic!("{query}: {error}")).encode().unwrap()
        };
        let plenty = ask(None, 1);
        assert!(plenty == ask(None, 8), "{query}: other bytes on eight threads");
        assert!(plenty == ask(Some(24 << 20), 1), "{query}: other bytes with little memory");
    }
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "what was put aside is left");
}

#[test]
fn a_result_that_does_not_fit_is_refused_with_a_remedy() {
    let rows = table(vec![("x", Arc::new(Int64Array::from_iter_values(0..20_000)) as ArrayRef)]);
    let context = Context { memory: Some(1 << 20), ..Context::quiet(1) };
    let error = ask_with(&[("t", "", &rows)], "select a.x as a, b.x as b from t a, t b", &context).unwrap_err();
    assert!(error.to_string().contains("more memory") || error.to_string().contains("larger than 512 KiB"), "{error}");
    assert!(error.help().unwrap().contains("`memory = …`"), "{error}");
}

#[test]
fn a_query_that_never_ends_ends_within_a_second_of_being_cancelled() {
    let rows = table(vec![("x", Arc::new(Int64Array::from_iter_values(0..3_000_000)) as ArrayRef)]);
    let bombs = [
        "select count(*) from t a, t b where a.x * b.x < 0 - a.x - b.x",
        "select count(*) from t a join t b on a.x + b.x < 0",
        "select count(*) from t a join t b on a.x % 2 = b.x % 2 and a.x + b.x < 0",
        "select sum(a.x) from t a, t b, t c",
        "with recursive r as (select 1 as n union all select n + 1 from r) select count(*) from r",
    ];
    for bomb in bombs {
        let cancel = CancelToken::new();
        let context = Context { cancel: cancel.clone(), memory: Some(512 << 20), ..Context::quiet(1) };
        let (started, wait) = std::sync::mpsc::channel();
        let ended = std::thread::scope(|scope| {
            let running = scope.spawn(|| {
                started.send(()).unwrap();
                let ended = ask_with(&[("t", "", &rows)], bomb, &context);
                (ended, Instant::now())
            });
            wait.recv().unwrap();
            // The query is given time to be in the middle of its work.
            std::thread::park_timeout(Duration::from_millis(400));
            let asked = Instant::now();
            cancel.cancel();
            let (ended, at) = running.join().unwrap();
            assert!(matches!(ended, Err(StageError::Cancelled)), "{bomb}: {ended:?}");
            at.duration_since(asked)
        });
        assert!(ended < Duration::from_secs(1), "{bomb}: {ended:?}");
    }
}

#[test]
fn tensors_have_a_row_for_each_value() {
    let units =
        Axis::labels("unit", vec!["u1".into(), "u2".into()]).with_property("community", Coordinates::Labels(vec!["a".into(), "b".into()]));
    let axes = vec![units, Axis::numbers("bin", Some("s"), vec![-0.5, 0.0, 0.5])];
    let tensor = Tensor::new(axes, None, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap().into_artifact().unwrap();
    assert_eq!(
        shown(&ask(&[("t", &tensor)], "select * from t where bin >= 0 and unit = 'u2'").unwrap()),
        "unit: Utf8, community: Utf8, bin: Float64, value: Float64\nu2 | b | 0.0 | 5.0\nu2 | b | 0.5 | 6.0"
    );
    let answer = ask(&[("t", &tensor)], "select community, avg(value) as mean from t group by community").unwrap();
    assert_eq!(shown(&answer), "community: Utf8, mean: Float64\na | 2.0\nb | 5.0");
    assert_eq!(shown(&ask(&[("t", &tensor)], "select count(*) as n from t").unwrap()), "n: Int64\n6");
}

#[test]
fn responses_have_the_columns_of_their_trials_and_the_signals_of_the_animal() {
    let axes = vec![Axis::count("trial", 2), Axis::count("unit", 2), Axis::numbers("bin", Some("s"), vec![0.0, 1.0])];
    let values = Tensor::new(axes, None, (0..8).map(f64::from).collect::<Vec<_>>()).unwrap();
    let trials = Table::from_columns(vec![columns::from_numbers("direction", vec![0.0, 90.0])]).unwrap();
    let covariate_axes = vec![
        Axis::count("trial", 2),
        Axis::labels("covariate", vec!["speed".into(), "pupil".into()]),
        Axis::numbers("bin", Some("s"), vec![0.0, 1.0]),
    ];
    let covariates = Tensor::new(covariate_axes, None, (10..18).map(f64::from).collect::<Vec<_>>()).unwrap();
    let responses = Responses::new("mouse", values, trials, Some(covariates)).unwrap().into_artifact().unwrap();
    assert_eq!(
        shown(&ask(&[("r", &responses)], "select * from r where unit = 1").unwrap()),
        "trial: Int64, unit: Int64, bin: Float64, direction: Float64, speed: Float64, pupil: Float64, value: Float64\n\
         0 | 1 | 0.0 | 0.0 | 10.0 | 12.0 | 2.0\n0 | 1 | 1.0 | 0.0 | 11.0 | 13.0 | 3.0\n\
         1 | 1 | 0.0 | 90.0 | 14.0 | 16.0 | 6.0\n1 | 1 | 1.0 | 90.0 | 15.0 | 17.0 | 7.0"
    );
}

#[test]
fn scores_edges_and_matrices_are_tables() {
    let scores = Scores::new(vec![Score::new("accuracy", 0.75, 8)]).into_artifact().unwrap();
    assert_eq!(
        shown(&ask(&[("s", &scores)], "select metric, value, p from s").unwrap()),
        "metric: Utf8, value: Float64, p: Float64\naccuracy | 0.75 | null"
    );
    let nodes = Axis::labels("unit", vec!["a".into(), "b".into(), "c".into()]);
    let graph = Graph::new(nodes, vec![Edge { source: 0, target: 2, weight: 0.5 }], "correlation").unwrap().into_artifact().unwrap();
    assert_eq!(
        shown(&ask(&[("g", &graph)], "select * from g").unwrap()),
        "source: Int64, target: Int64, weight: Float64, source_node: Utf8, target_node: Utf8\n0 | 2 | 0.5 | a | c"
    );
    let conditions = Axis::labels("condition", vec!["x".into(), "y".into()]);
    let rdm = Rdm::from_triangles(vec!["V1".into()], conditions, "correlation", &[vec![0.25]]).unwrap().into_artifact().unwrap();
    assert_eq!(
        shown(&ask(&[("r", &rdm)], "select * from r where condition < condition_2").unwrap()),
        "rdm: Utf8, condition: Utf8, condition_2: Utf8, value: Float64\nV1 | x | y | 0.25"
    );
}

#[test]
fn a_family_is_one_table_that_says_whose_a_row_is() {
    let more =
        table(vec![("unit", Arc::new(StringArray::from(vec!["u9"])) as ArrayRef), ("Spikes", Arc::new(Float64Array::from(vec![2.5])))]);
    let members = [("units", "m1", &units()), ("units", "m2", &more)];
    let quiet = Context::quiet(1);
    let answer = ask_with(&members, "select member, unit, area, \"Spikes\" from units where member = 'm2' or unit = 'u1'", &quiet).unwrap();
    assert_eq!(shown(&answer), "member: Utf8, unit: Utf8, area: Utf8, Spikes: Float64\nm1 | u1 | VISp | 30.0\nm2 | u9 | null | 2.5");
    let members = [("units", "area = VISp, day = 1", &units()), ("units", "area = VISp, day = 2", &more)];
    let answer = ask_with(&members, "select area_2, day, count(*) as n from units group by area_2, day", &quiet).unwrap();
    assert_eq!(shown(&answer), "area_2: Utf8, day: Int64, n: Int64\nVISp | 1 | 3\nVISp | 2 | 1");
    let other = table(vec![("unit", Arc::new(BooleanArray::from(vec![true])) as ArrayRef)]);
    let error = ask_with(&[("units", "m1", &units()), ("units", "m2", &other)], "select * from units", &quiet).unwrap_err();
    assert_eq!(
        error.to_string(),
        "table `units`: the members of the family do not go together: column `unit` is Boolean in `m2`, Utf8 before it"
    );
}

#[test]
fn a_number_that_does_not_fit_a_family_is_an_error_with_its_column_and_member() {
    let signed = table(vec![("n", Arc::new(Int64Array::from(vec![Some(-1), None])) as ArrayRef)]);
    let unsigned = |largest: u64| table(vec![("n", Arc::new(UInt64Array::from(vec![Some(largest), None])) as ArrayRef)]);
    let asked = |largest: u64| {
        let members = unsigned(largest);
        ask_with(&[("t", "m1", &signed), ("t", "m2", &members)], "select n from t", &Context::quiet(1))
    };
    assert_eq!(shown(&asked(i64::MAX as u64).unwrap()), "n: Int64\n-1\n9223372036854775807\nnull\nnull");
    let error = asked(u64::MAX).unwrap_err();
    assert_eq!(error.to_string(), "table `t`: member `m2`: column `n` has whole numbers that are too large for a table");
    assert!(error.help().unwrap().contains("cast it to `double`"), "{error}");
}

#[test]
fn a_damaged_page_is_told_with_its_table_and_member() {
    let batch = units().batch_of(Kind::Table).unwrap().clone();
    let mut bytes = write_parquet(&batch.schema(), std::slice::from_ref(&batch)).unwrap();
    // The head of the first page.
    bytes[4..24].fill(0xff);
    let file = Artifact::from_bytes(Buffer::from_vec(bytes));
    let said = told(&[("spikes", &file)], "select * from spikes");
    assert!(said.starts_with("table `spikes`: Parquet: "), "{said}");
    let members = [("spikes", "m1", &units()), ("spikes", "m2", &file)];
    let error = ask_with(&members, "select * from spikes", &Context::quiet(1)).unwrap_err();
    assert!(error.to_string().starts_with("table `spikes`: member `m2`: Parquet: "), "{error}");
}

#[test]
fn a_raw_file_answers_like_the_table_that_is_read_from_it() {
    let batch = units().batch_of(Kind::Table).unwrap().clone();
    let parquet = Artifact::from_bytes(Buffer::from_vec(write_parquet(&batch.schema(), std::slice::from_ref(&batch)).unwrap()));
    let arrow = neuroflow_data::formats::arrow_ipc::write_arrow_ipc(&batch.schema(), &[batch.clone(), batch.clone()]).unwrap();
    let arrow = Artifact::from_bytes(Buffer::from_vec(arrow));
    let artifact = Artifact::from_bytes(Buffer::from_vec(units().encode().unwrap()));
    for query in ["select * from t", "select rate, unit from t where rate > 1", "select count(*) as n from t where area = 'VISp'"] {
        let expected = shown(&ask(&[("t", &units())], query).unwrap());
        assert_eq!(shown(&ask(&[("t", &parquet)], query).unwrap()), expected, "{query}");
        assert_eq!(shown(&ask(&[("t", &artifact)], query).unwrap()), expected, "{query}");
    }
    assert_eq!(
        shown(&ask(&[("t", &arrow)], "select count(*) as n, sum(rate) as rate from t").unwrap()),
        "n: Int64, rate: Float64\n6 | 11.5"
    );
    let text = Artifact::from_bytes(Buffer::from_vec(b"a,b\n1,2\n".to_vec()));
    assert_eq!(
        told(&[("t", &text)], "select * from t"),
        "table `t`: file: byte 0: this is a text, and does not say of what; name its reader: `csv`, `spike_text` or `edge_list`"
    );
}

#[test]
fn mistakes_are_told_with_place_reason_and_remedy() {
    let units = units();
    let said = |query: &str| told(&[("units", &units)], query);
    let queries = [
        "selec * from units",
        "select unit\nfrom units\nwhere rat > 1",
        "select spikes from units",
        "select unit from unit",
        "select * from 'units.csv'",
        "select * from information_schema.tables",
        "select unit, count(*) from units",
        "select average(rate) from units",
        "select rate, now() from units",
        "select random()",
        "select unit from units where area = \"VISp\"",
        "select a.unit from units a join units b on a.unit = b.unit where rate > 1",
        "select * from units a join units b on a.unit = b.unit",
        "select 1 / 0",
        "select cast('x' as int)",
        "select unit from units; select 1",
        "select unit from units where",
        "select rate + unit from units",
        "",
    ];
    let all: Vec<String> = queries.iter().map(|query| format!("{query}\n  {}", said(query).replace("\n", "\n  "))).collect();
    let snapshot = concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/mistakes.txt");
    let now = all.join("\n\n") + "\n";
    if std::env::var_os("NEUROFLOW_BLESS").is_some() {
        std::fs::write(snapshot, &now).unwrap();
    } else {
        assert_eq!(now, std::fs::read_to_string(snapshot).unwrap(), "NEUROFLOW_BLESS=1 writes the snapshot anew");
    }
}

#[test]
fn what_is_no_query_is_refused_and_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.csv").display().to_string();
    let secret = folder.path().join("secret.csv");
    std::fs::write(&secret, "a\n1\n").unwrap();
    let secret = secret.display().to_string();
    let hostile = [
        "create table x as select 1".to_owned(),
        "create view x as select 1".to_owned(),
        format!("create external table x stored as csv location '{secret}'"),
        format!("copy (select 1) to '{path}'"),
        format!("copy units to '{path}' stored as csv"),
        "insert into units values (1)".to_owned(),
        "update units set rate = 0".to_owned(),
        "delete from units".to_owned(),
        "drop table units".to_owned(),
        "truncate table units".to_owned(),
        "set datafusion.execution.target_partitions = 8".to_owned(),
        "reset datafusion.execution.target_partitions".to_owned(),
        "show tables".to_owned(),
        "show all".to_owned(),
        "describe units".to_owned(),
        "explain select 1".to_owned(),
        "explain analyze select 1".to_owned(),
        "prepare p as select 1".to_owned(),
        "execute p".to_owned(),
        "begin transaction".to_owned(),
        "create function f() returns int return 1".to_owned(),
        "select * into x from units".to_owned(),
        format!("select * from '{secret}'"),
        format!("select * from \"{secret}\""),
        format!("select * from read_csv('{secret}')"),
        format!("select * from (select * from '{secret}')"),
        format!("with a as (select * from '{secret}') select * from a"),
        format!("select (select a from '{secret}')"),
        format!("select 1 where exists (select a from '{secret}')"),
        "select input_file_name() from units".to_owned(),
        "select version()".to_owned(),
        "select uuid()".to_owned(),
        "select current_date".to_owned(),
        "select current_timestamp".to_owned(),
        "select current_time".to_owned(),
        "select (select now())".to_owned(),
        "select 1 where now() > now()".to_owned(),
        "select * from units order by random()".to_owned(),
        "with a as (select random() as r) select r from a".to_owned(),
        "select @@version".to_owned(),
        "select * from datafusion.public.units".to_owned(),
        "select * from information_schema.df_settings".to_owned(),
    ];
    for query in &hostile {
        match ask(&[("units", &units())], query) {
            Err(StageError::Refused { .. }) => {}
            other => panic!("{query}: {other:?}"),
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a query wrote a file");
}

#[test]
fn monsters_are_refused_or_answered_but_never_crash() {
    let deep = "(".repeat(2000) + "1" + &")".repeat(2000);
    let long = vec!["1"; 20_000].join("+");
    let just = vec!["1"; 250].join("+");
    let wide = (0..1000).map(|n| format!("{n} as c{n}")).collect::<Vec<_>>().join(", ");
    let either = vec!["1 = 2"; 8000].join(" or ");
    let list = (0..8000).map(|number| number.to_string()).collect::<Vec<_>>().join(", ");
    let unions = vec!["select 1 as a"; 100].join(" union all ");
    for query in [
        format!("select {deep} as x"),
        format!("select {long} as x"),
        format!("select {wide}"),
        format!("select {just} as x"),
        format!("select {either} as x"),
        format!("select 7 in ({list}) as x"),
        unions,
        "\u{0}\u{1}select".to_owned(),
        "select '".to_owned(),
        "select \"".to_owned(),
        "/* ".to_owned(),
        "select 'a' || chr(0) || '\u{10FFFF}' as t".to_owned(),
        "select repeat('x', 10000000000) as t".to_owned(),
        "select power(10, 400) as p, 0.0/0.0 as q, 9223372036854775807 + 1 as r".to_owned(),
    ] {
        match ask(&[], &query) {
            Ok(_) | Err(StageError::Refused { .. }) => {}
            Err(other) => panic!("{}: {other}", &query[..query.len().min(60)]),
        }
    }
}
