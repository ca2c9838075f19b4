//! Queries in pipelines: over files of which only a part is read, and on a cluster that the project names.

use crate::support::Place;
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use ballista_core::serde::BallistaCodec;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use neuroflow_data::formats::{arrow_ipc::write_arrow_ipc, parquet::write_parquet};
use std::sync::Arc;

fn spikes(rows: i64) -> RecordBatch {
    let unit: ArrayRef = Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row % 50)));
    let area: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|row| ["V1", "LM", "AL"][(row % 3) as usize])));
    let time: ArrayRef = Arc::new(Float64Array::from_iter_values((0..rows).map(|row| row as f64 / 1000.0)));
    RecordBatch::try_from_iter([("unit", unit), ("area", area), ("time", time)]).unwrap()
}

const QUERY: &str = "select area, count(*) as n from spikes where time >= 1.5 group by area order by area";

fn pipeline(reader: &str, more: &str) -> String {
    format!("pipeline p\ninput spikes = {reader}\ncounts = sql(\"{QUERY}\", spikes = spikes)\n{more}\nreport r {{ counts }}\n")
}

#[test]
fn a_query_reads_files_in_parts_and_answers_as_over_the_table() {
    let place = Place::new();
    let batch = spikes(6000);
    place.write("s.parquet", write_parquet(&batch.schema(), std::slice::from_ref(&batch)).unwrap());
    place.write("s.arrow", write_arrow_ipc(&batch.schema(), std::slice::from_ref(&batch)).unwrap());
    let mut answers = Vec::new();
    for reader in ["parquet(\"s.parquet\")", "arrow(\"s.arrow\")"] {
        place.write("p.nf", pipeline(reader, ""));
        place.run(&["run", "p.nf"]).exits(0).says("(1 tasks ran, 0 cached)");
        answers.push(place.run(&["get", "counts", "-o", "-", "--as", "csv"]).exits(0).out);
        // Another step takes the whole table: the query is the same question still.
        let more = "n = exec(\"wc -l < {{ spikes | csv }} > {{ out }}\", spikes = spikes) -> file(\"n\")";
        place.write("p.nf", pipeline(reader, more));
        place.run(&["run", "p.nf", "--until", "n"]).exits(0);
        place.run(&["run", "p.nf"]).exits(0).says("(0 tasks ran, 2 cached)");
        assert_eq!(place.run(&["get", "n", "-o", "-"]).exits(0).out.trim(), "6001");
    }
    // And over a step that made a table of the same rows.
    place.write(
        "p.nf",
        pipeline("parquet(\"s.parquet\")", "").replace("spikes = spikes)", "spikes = table)").replace(
            "counts =",
            "table = exec(\"cp {{ spikes | parquet }} {{ out }}\", spikes = spikes) -> parquet(\"t.parquet\")\ncounts =",
        ),
    );
    place.run(&["run", "p.nf"]).exits(0).says("(2 tasks ran, 0 cached)");
    answers.push(place.run(&["get", "counts", "-o", "-", "--as", "csv"]).exits(0).out);
    assert!(answers.iter().all(|answer| *answer == answers[0] && answer.contains("1500")), "{answers:?}");
}

#[test]
fn a_damaged_file_is_told_as_an_input_before_anything_runs() {
    let place = Place::new();
    place.write("s.parquet", b"PAR1 and then nothing of the kind PAR1");
    place.write("p.nf", pipeline("parquet(\"s.parquet\")", ""));
    place.run(&["run", "p.nf"]).exits(4).says("input `spikes` can't be had").says("s.parquet");
}

#[test]
fn queries_run_on_the_cluster_that_the_project_names_and_give_the_same_bytes() {
    let here = Place::new();
    let batch = spikes(6000);
    let bytes = write_parquet(&batch.schema(), &[batch]).unwrap();
    here.write("s.parquet", &bytes);
    here.write("p.nf", pipeline("parquet(\"s.parquet\")", ""));
    here.run(&["run", "p.nf"]).exits(0);

    // A real scheduler and executor, listening on ports of this machine.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let port = runtime.block_on(async {
        let address = ballista_scheduler::standalone::new_standalone_scheduler().await.unwrap();
        let scheduler = SchedulerGrpcClient::connect(format!("http://localhost:{}", address.port())).await.unwrap();
        ballista_executor::new_standalone_executor(scheduler, 2, BallistaCodec::default()).await.unwrap();
        address.port()
    });
    let there = Place::new();
    there.write("s.parquet", &bytes);
    there.write("p.nf", pipeline("parquet(\"s.parquet\")", ""));
    there.write("neuroflow.toml", format!("[sql]\nscheduler = \"df://localhost:{port}\"\n"));
    there.run(&["run", "p.nf"]).exits(0).says("(1 tasks ran, 0 cached)");
    assert_eq!(here.results(), there.results());
    // Where a query ran is no part of the question.
    there.write("neuroflow.toml", "");
    there.run(&["run", "p.nf"]).exits(0).says("(0 tasks ran, 1 cached)");

    // A scheduler that is gone is told with what to do; so is one that is none.
    let gone = Place::new();
    gone.write("s.parquet", &bytes);
    gone.write("p.nf", pipeline("parquet(\"s.parquet\")", ""));
    gone.write("neuroflow.toml", "[sql]\nscheduler = \"df://localhost:1\"\n");
    gone.run(&["run", "p.nf"]).exits(3).says("df://localhost:1").says("take `scheduler` out of `[sql]`");
    gone.run(&["run", "p.nf", "--dry"]).exits(0);
}

#[test]
fn lists_and_gaps_of_an_answer_are_exported_and_reported() {
    let place = Place::new();
    place.write("t.csv", "area,units\nV1,3\nV1,\nLM,2\n");
    let query =
        "select area, array_agg(units order by units) as units, min(units) as least from t where area = 'V1' or units > 9 group by area";
    let missing = "select units from t";
    place.write(
        "p.nf",
        format!("pipeline p\ninput t = csv(\"t.csv\")\nlists = sql(\"{query}\", t = t)\ngaps = sql(\"{missing}\", t = t)\nreport r {{ lists, gaps }}\n"),
    );
    place.run(&["run", "p.nf"]).exits(0);
    let lists = place.run(&["get", "lists", "-o", "-", "--as", "csv"]).exits(0);
    assert_eq!(lists.out, "area,units,least\nV1,\"[3,null]\",3\n");
    for (step, values) in [("lists", serde_json::json!([[3, null]])), ("gaps", serde_json::json!([2, 3, null]))] {
        let json = place.run(&["get", step, "-o", "-", "--as", "json"]).exits(0);
        let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
        assert_eq!(json["columns"]["units"], values);
    }
}

#[test]
fn a_damaged_page_of_a_file_is_told_with_the_table() {
    let place = Place::new();
    let batch = spikes(100);
    let mut bytes = write_parquet(&batch.schema(), std::slice::from_ref(&batch)).unwrap();
    bytes[4..24].fill(0xff);
    place.write("s.parquet", bytes);
    place.write("p.nf", "pipeline p\ninput s = parquet(\"s.parquet\")\nq = sql(\"select * from t\", t = s)\nreport r { q }\n");
    let said = place.run(&["run", "p.nf"]);
    assert_ne!(said.code, 0);
    said.says("table `t`: Parquet: ");
}

#[test]
fn values_in_a_query_stay_values() {
    let place = Place::new();
    place.write("t.csv", "area,n\nVI'Sl,1\nV1,2\n");
    let flow = |value: &str, written: &str| {
        let text = format!(
            "pipeline p\nparam area = \"{value}\"\ninput t = csv(\"t.csv\")\nq = sql(\"select n from t where area = {written}\", t = t)\nreport r {{ q }}\n"
        );
        place.write("p.nf", text);
        place.run(&["run", "p.nf"])
    };
    let rows = || place.run(&["get", "q", "-o", "-", "--as", "csv"]).exits(0).out;
    flow("x' or 'a'='a", "'{param.area}'").exits(0);
    assert_eq!(rows(), "n\n");
    flow("VI'Sl", "'{param.area}'").exits(0);
    assert_eq!(rows(), "n\n1\n");
    flow("VI'Sl", "{param.area}").exits(2).says("outside of quotes").says("write `'{param.area}'`");
    // A loop over a column, whose values nobody knows before.
    let looped = |written: &str| {
        let text = format!(
            "pipeline p\ninput t = csv(\"t.csv\")\nareas = sql(\"select distinct area from t\", t = t)\nfor area in areas.area {{\n  \
             q = sql(\"select n from t where area = {written}\", t = t)\n}}\nreport r {{ q }}\n"
        );
        place.write("p.nf", text);
        place.run(&["run", "p.nf"])
    };
    looped("'{area}'").exits(0);
    assert_eq!(place.run(&["get", "q[\"VI'Sl\"]", "-o", "-", "--as", "csv"]).exits(0).out, "n\n1\n");
    let said = looped("{area}");
    assert_ne!(said.code, 0);
    said.says("outside of quotes");
}

#[test]
fn a_value_in_a_query_stays_a_value() {
    let place = Place::new();
    place.write("u.csv", "unit,area\n1,VI'Sl\n2,x' or 'a'='a\n3,V1\n");
    place.write(
        "p.nf",
        "pipeline p\ninput u = csv(\"u.csv\")\nareas = sql(\"select distinct area from u\", u = u)\nfor area in areas.area {\n  \
         own = sql(\"select count(*) as n from u where area = '{area}'\", u = u)\n}\nall = sql(\"select sum(n) as n, count(*) as m from own\", own = gather(own))\nreport r { all }\n",
    );
    place.run(&["run", "p.nf"]).exits(0);
    assert_eq!(place.run(&["get", "all", "-o", "-", "--as", "csv"]).exits(0).out, "n,m\n3,3\n");
    place.write("p.nf", "pipeline p\nparam area = \"x' or true\"\ninput u = csv(\"u.csv\")\nown = sql(\"select count(*) as n from u where area = {param.area}\", u = u)\nreport r { own }\n");
    place.run(&["check", "p.nf"]).exits(2).says("stands outside of quotes in the query");
}

#[test]
fn a_table_without_rows_has_none_and_goes_with_others() {
    let place = Place::new();
    place.write("d/1.csv", "unit,rate\n1,0.5\n");
    place.write("d/2.csv", "unit,rate\n");
    place.write("p.nf", "pipeline p\ninput d = csv(\"d/*.csv\")\nn = sql(\"select count(*) as n, sum(rate) as r from d\", d = gather(d))\nempty = sql(\"select count(*) as n from d\", d = d[\"2\"])\nreport r { n, empty }\n");
    place.run(&["run", "p.nf"]).exits(0);
    assert_eq!(place.run(&["get", "n", "-o", "-", "--as", "csv"]).exits(0).out, "n,r\n1,0.5\n");
    assert_eq!(place.run(&["get", "empty", "-o", "-", "--as", "csv"]).exits(0).out, "n\n0\n");
    place.write("d/2.csv", "a,a\n1,2\n");
    place.run(&["run", "p.nf"]).exits(4).says("column `a` stands twice in the header").says("d/2.csv");
}
