//! `exec` steps: any program as a step, with its inputs as files and one file as its result.

use crate::support::Place;

/// A pipeline with one program on a simulated session.
fn pipeline(exec: &str) -> String {
    format!(
        "pipeline p\nparam word = \"two words; exit 7\"\ninput sessions = ingest.simulate(trials_per_direction = 4, units = [6, 6, 6], communities = 2)\n\
         responses = ingest.trials(sessions[\"sim1\"])\ntuning = ingest.tuning(responses, by = \"direction\")\nmade = {exec}\nreport r {{ tuning, made }}\n"
    )
}

#[test]
fn a_program_reads_results_and_its_table_is_a_result() {
    let place = Place::new();
    let exec = r#"exec("""
      head -1 {{ tuning | csv }} > header
      printf 'lines,word,seed\n' > {{ out }}
      printf '%s,%s,%s\n' "$(wc -l < {{ tuning | csv }} | tr -d ' ')" {{ word }} {{ seed }} >> {{ out }}
    """, tuning = tuning, word = param.word) -> csv("made.csv") with seed = 5"#;
    place.write("p.nf", pipeline(exec));
    place.run(&["run", "p.nf"]).exits(0).says("3 tasks ran");
    place.run(&["get", "made", "--as", "csv", "-o", "-"]).exits(0).says("49,two words; exit 7,5");
    // The same again, and with another layout: nothing runs. Another value: the program only.
    place.run(&["run", "p.nf"]).exits(0).says("(0 tasks ran,");
    place.run(&["run", "p.nf", "--set", "word=other"]).exits(0).says("(1 tasks ran,");
    let scratch = place.path().join("cache/scratch");
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0, "a program's folder was left behind");
}

#[test]
fn the_same_output_stops_the_wave() {
    let place = Place::new();
    let two = |comment: &str| {
        pipeline(&format!("exec(\"wc -c < {{{{ tuning }}}} > {{{{ out }}}} # {comment}\", tuning = tuning) -> file(\"n\")")).replace(
            "report r { tuning, made }",
            "next = exec(\"cat {{ made }} {{ made }} > {{ out }}\", made = made) -> file(\"m\")\nreport r { next }",
        )
    };
    place.write("p.nf", two("one"));
    place.run(&["run", "p.nf"]).exits(0);
    place.write("p.nf", two("two"));
    place.run(&["run", "p.nf"]).exits(0).says("(1 tasks ran,");
    place.run(&["explain", "made"]).exits(0);
}

#[test]
fn a_family_is_a_folder_of_files() {
    let place = Place::new();
    place.write(
        "p.nf",
        "pipeline p\ninput sessions = ingest.simulate(trials_per_direction = 4, units = [6, 6, 6], communities = 2)\nfor s in sessions {\n\
         \x20 responses = ingest.trials(sessions[s])\n  size = exec(\"wc -c < {{ r }} > {{ out }}\", r = responses) -> file(\"n\")\n}\n\
         all = exec(\"ls {{ r }} {{ r | csv }} > {{ out }}; cat {{ sizes }}/* >> {{ out }}\", r = gather(responses), sizes = gather(size)) -> file(\"list\")\n\
         report r { all }\n",
    );
    place.run(&["run", "p.nf"]).exits(0);
    // A File is exported as it is.
    let said = place.run(&["get", "all", "-o", "-"]);
    assert!(said.out.contains("sim1.arrow") && said.out.contains("sim3.csv"), "{} {}", said.out, said.err);
}

#[test]
fn a_program_that_fails_is_told_with_what_it_printed_and_its_command() {
    let place = Place::new();
    place.write(
        "p.nf",
        pipeline("exec(\"echo so far; echo trouble with {{ tuning }} >&2; exit 3; echo > {{ out }}\", tuning = tuning) -> file(\"x\")"),
    );
    place
        .run(&["run", "p.nf"])
        .exits(3)
        .says("step `made` failed: the program ended with exit status: 3")
        .says("trouble with in/tuning.arrow")
        .says("the command was: echo so far");
    // What was done before it is there.
    place.run(&["get", "tuning", "-o", "t.csv"]).exits(0);
    place.write("p.nf", pipeline("exec(\"echo > other; true {{ out }} {{ tuning }}\", tuning = tuning) -> file(\"x\")"));
    place.run(&["run", "p.nf"]).exits(3).says("did not write the file `x`; it wrote other");
    place.write("p.nf", pipeline("exec(\"ln -s /etc/passwd {{ out }}; true {{ tuning }}\", tuning = tuning) -> file(\"x\")"));
    place.run(&["run", "p.nf"]).exits(3).says("`x` is a symbolic link and no file");
    place.write("p.nf", pipeline("exec(\"echo nonsense > {{ out }}; true {{ tuning }}\", tuning = tuning) -> parquet(\"x.parquet\")"));
    place.run(&["run", "p.nf"]).exits(3).says("is not what it declared");
}

#[test]
fn a_program_that_fails_at_first_is_started_again_in_an_empty_folder() {
    let place = Place::new();
    let mark = place.path().join("mark");
    let exec = |retries: u32| {
        pipeline(&format!(
            "exec(\"test ! -e left && touch left; test -e {m} || {{ touch {m}; exit 1; }}; cp {m} {{{{ out }}}}; true {{{{ tuning }}}}\", tuning = tuning) \
             -> file(\"x\") with retries = {retries}",
            m = mark.display()
        ))
    };
    // It leaves its mark outside of its folder, which a sandbox would refuse.
    let run = || crate::support::said(place.unboxed().args(["run", "p.nf"]).output().unwrap());
    place.write("p.nf", exec(0));
    run().exits(3);
    std::fs::remove_file(&mark).unwrap();
    place.write("p.nf", exec(1));
    run().exits(0);
}

#[test]
#[cfg(unix)]
fn a_program_that_takes_too_long_or_leaves_something_behind_is_ended_with_all_it_started() {
    let place = Place::new();
    let pid = place.path().join("pid");
    let alive = || {
        let pid = std::fs::read_to_string(&pid).unwrap();
        std::path::Path::new(&format!("/proc/{}/stat", pid.trim())).exists()
            && !std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default().contains(") Z")
    };
    let begin = format!("sleep 1000 & echo $! > {}; ", pid.display());
    place.write(
        "p.nf",
        pipeline(&format!(
            "exec(\"{begin} sleep 1000; true {{{{ out }}}} {{{{ tuning }}}}\", tuning = tuning) -> file(\"x\") with time = 300 ms"
        )),
    );
    let run = || crate::support::said(place.unboxed().args(["run", "p.nf"]).output().unwrap());
    run().exits(3).says("ran longer than 0.3 s");
    assert!(!cfg!(target_os = "linux") || !alive());
    // It ends well, and leaves a process behind that holds its output open.
    place.write(
        "p.nf",
        pipeline(&format!("exec(\"{begin} echo done > {{{{ out }}}}; true {{{{ tuning }}}}\", tuning = tuning) -> file(\"x\")")),
    );
    run().exits(0);
    assert!(!cfg!(target_os = "linux") || !alive());
    // The file is taken out as it is, under any name, as the report says.
    place.run(&["get", "made.out", "-o", "made.txt"]).exits(0).says("a File, as it is");
    assert_eq!(std::fs::read_to_string(place.path().join("made.txt")).unwrap(), "done\n");
    let page = std::fs::read_to_string(place.path().join("reports/r.html")).unwrap();
    assert!(page.contains("neuroflow get") && !page.contains("id=\"scores\"") && page.contains("id=\"graph\""));
}

#[test]
fn a_program_that_prints_without_end_fills_nothing() {
    let place = Place::new();
    let exec =
        "exec(\"yes neuroflow | head -c 50000000; echo the end; echo 1 > {{ out }}; true {{ tuning }}\", tuning = tuning) -> file(\"x\")";
    place.write("p.nf", pipeline(exec));
    place.run(&["run", "p.nf"]).exits(0);
    let size: u64 = walk(&place.path().join("cache"));
    assert!(size < 2_000_000, "{size}");
}

fn walk(folder: &std::path::Path) -> u64 {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { entry.metadata().map_or(0, |found| found.len()) })
        .sum()
}

#[test]
fn a_program_sees_no_secret_of_the_environment() {
    let place = Place::new();
    place.write("p.nf", pipeline("exec(\"env > {{ out }}; true {{ tuning }}\", tuning = tuning) -> file(\"x\")"));
    let mut command = place.command();
    crate::support::said(command.env("SECRET_KEY", "sesame").args(["run", "p.nf"]).output().unwrap()).exits(0);
    let said = place.run(&["get", "made", "-o", "-"]);
    assert!(said.out.contains("NEUROFLOW_SEED=0") && !said.out.contains("sesame"), "{}", said.out);
}

#[test]
fn a_text_never_becomes_a_command_in_whatever_quotes() {
    let place = Place::new();
    let hostile = "a b'; touch PWNED; echo '$(touch PWNED)`touch PWNED`";
    let exec = r#"exec("""
      printf '%s' {{ word }} > {{ out }}
      echo "{{ word }}" '{{ word }}' '" {{ word }} "'
      ls >> {{ out }}
      true {{ tuning }}
    """, tuning = tuning, word = param.word) -> file("x")"#;
    place.write("p.nf", pipeline(exec));
    place.run(&["run", "p.nf", "--set", &format!("word={hostile}")]).exits(0);
    let said = place.run(&["get", "made", "-o", "-"]).exits(0);
    assert!(said.out.starts_with(hostile), "{}", said.out);
    assert!(!said.out.lines().any(|line| line == "PWNED") && !place.path().join("PWNED").exists(), "{}", said.out);
}

#[test]
fn a_step_that_gave_nothing_is_told_as_such() {
    let place = Place::new();
    place.write("p.nf", pipeline("exec(\"exit 1; true {{ out }} {{ tuning }}\", tuning = tuning) -> file(\"x\")"));
    place.run(&["run", "p.nf"]).exits(3);
    place.run(&["get", "made", "-o", "x"]).exits(4).says("`made` gave nothing in run");
}
