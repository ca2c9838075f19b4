//! What must not happen, whatever happens: campaigns of kills, failing disks, many processes, wrong clocks and changing inputs.
//!
//! Each is short here, and as long as one likes by a number in the environment: `NEUROFLOW_KILLS` (kills), `NEUROFLOW_FAULT_ROUNDS` (rounds of eight
//! processes), `NEUROFLOW_FAULT_CALLS` (calls of the disk that fail, of each kind; `./dev faults` sets them all). What hostile programs do stands in
//! `programs_ends.rs` and `programs_sandbox.rs`; the cache's own calls, one by one, in `cache/tests/faults.rs`; its locks, in every order, in `models/`.

mod calls;
pub(crate) mod clock;
mod full_disk;
mod inputs;
mod kills;
mod many;

use crate::support::Place;

/// How long a campaign is.
fn knob(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// A pipeline of everything: stages with null draws, programs, queries, a sweep, and a loop over a column that is known only when a program has run.
const MIXED: &str = r#"pipeline mixed

param draws = 10

input sessions = ingest.simulate(trials_per_direction = 8, units = [12, 10, 10], communities = 2)
input units    = csv("units.csv")

for mouse in sessions {
  responses = ingest.trials(sessions[mouse])
  direction = decode.classify(responses, target = "direction", folds = 4)
    with control = shuffle("direction", n = param.draws), seed = 1
}
one = ingest.trials(sessions["sim1"])
sweep grid in { folds = [3, 4] } {
  choice = decode.classify(one, target = "direction", folds = folds)
}
best  = sql("select * from grid order by value desc, folds limit 1", grid = grid)
areas = exec("cut -d, -f2 {{ units | csv }} > {{ out }}", units = units) -> csv("areas.csv")
for area in areas.area {
  own  = sql("select * from units where area = '{area}'", units = units)
  wide = exec("wc -l < {{ own | csv }} > {{ out }}", own = own) -> file("lines")
}
all = exec("cat {{ wide }}/* > {{ out }}", wide = gather(wide)) -> file("all")

report r { direction, best, all }
"#;

/// What [`MIXED`] reads.
const UNITS: &str = "unit,area\n1,V1\n2,LM\n3,V1\n4,AL\n5,PM\n";

fn mixed() -> Place {
    let place = Place::new();
    place.write("mixed.nf", MIXED);
    place.write("units.csv", UNITS);
    place
}
