//! Inputs from files: single ones, and families that a pattern names.

use crate::support::Place;

fn chains(place: &Place, n: usize) {
    for i in 0..n {
        place.write(&format!("in/{i}.txt"), format!("x{i}\nsecond line\n"));
    }
    place.write(
        "p.nf",
        "pipeline p\ninput files = file(\"in/*.txt\")\nfor f in files {\n  a = exec(\"head -n1 {{ x }} > {{ out }}\", x = files[f]) -> file(\"a\")\n  \
         b = exec(\"cat {{ a }} > {{ out }}\", a = a) -> file(\"b\")\n}\nreport r { b }\n",
    );
}

#[test]
fn a_pattern_is_a_family_and_one_changed_file_is_one_changed_chain() {
    let place = Place::new();
    chains(&place, 5);
    place.run(&["run", "p.nf"]).exits(0).says("(10 tasks ran, 0 cached)");
    place.run(&["get", "b[\"3\"]", "-o", "-"]).exits(0).says("x3");
    place.write("in/3.txt", "changed\nsecond line\n");
    place.run(&["run", "p.nf"]).exits(0).says("(2 tasks ran, 8 cached)");
    place.run(&["get", "b[\"3\"]", "-o", "-"]).exits(0).says("changed");
    // What a step does not read of a file changes nothing behind it.
    place.write("in/3.txt", "changed\nanother line\n");
    place.run(&["run", "p.nf"]).exits(0).says("(1 tasks ran, 9 cached)");
    // A file that was only touched is the same file.
    std::fs::File::options().write(true).open(place.path().join("in/2.txt")).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    place.run(&["run", "p.nf"]).exits(0).says("(0 tasks ran, 10 cached)");
    // One more, one less.
    place.write("in/new.txt", "new\n");
    place.run(&["run", "p.nf"]).exits(0).says("(2 tasks ran, 10 cached)");
    std::fs::remove_file(place.path().join("in/0.txt")).unwrap();
    place.run(&["run", "p.nf"]).exits(0).says("(0 tasks ran, 10 cached)");
}

#[test]
fn tables_of_a_pattern_are_gathered_with_their_labels() {
    let place = Place::new();
    for (mouse, rows) in [("m1", "V1,3\nLM,2\n"), ("m2", "AL,7\n")] {
        place.write(&format!("data/{mouse}/areas.csv"), format!("area,units\n{rows}"));
    }
    place.write(
        "p.nf",
        "pipeline p\ninput areas = csv(\"data/*/areas.csv\")\n\
         all = sql(\"select * from areas order by units\", areas = gather(areas))\n\
         one = sql(\"select sum(units) as n from areas\", areas = areas[\"m1\"])\nreport r { all, one }\n",
    );
    place.run(&["run", "p.nf"]).exits(0);
    let all = place.run(&["get", "all", "-o", "-", "--as", "csv"]).exits(0);
    for part in ["m1", "m2", "AL", "7"] {
        assert!(all.out.contains(part), "{part} is not in {}", all.out);
    }
    place.run(&["get", "one", "-o", "-", "--as", "csv"]).exits(0).says("5");
}

#[test]
fn a_pattern_that_fits_nothing_or_a_file_that_is_damaged_is_told_with_its_place() {
    let place = Place::new();
    chains(&place, 0);
    place.run(&["run", "p.nf"]).exits(4).says("input `files` can't be had").says("in/*.txt: no file fits");
    place.write("p.nf", "pipeline p\ninput t = csv(\"t/*.csv\") or csv(\"u/*.csv\")\nn = sql(\"select count(*) as n from t\", t = gather(t))\nreport r { n }\n");
    place.write("t/a.csv", "x\n1\n");
    place.write("t/b.csv", b"x\n\xff\xfe\n");
    place.run(&["run", "p.nf"]).exits(4).says("t/b.csv");
    place.write("t/b.csv", "x\n1\n");
    place.run(&["run", "p.nf"]).exits(0);
    // Members that are not there, and families in the place of one.
    place.write("p.nf", "pipeline p\ninput t = csv(\"t/*.csv\")\nn = sql(\"select count(*) as n from t\", t = t[\"c\"])\nreport r { n }\n");
    place.run(&["run", "p.nf"]).exits(2).says("`t` has no member `c`");
    place.write(
        "p.nf",
        "pipeline p\ninput t = npz(\"t/*.npz\")\nn = exec(\"ls {{ t }} > {{ out }}\", t = t) -> file(\"n\")\nreport r { n }\n",
    );
    place.run(&["check", "p.nf"]).exits(2).says("reads one file and no pattern");
}

#[test]
fn scripts_begin_at_the_folder_of_the_pipeline_and_inputs_at_the_working_folder() {
    let place = Place::new();
    place.write("pipelines/scripts/count.sh", "wc -l < \"$1\"");
    place.write("data.txt", "1\n2\n3\n");
    place.write(
        "pipelines/p.nf",
        "pipeline p\ninput data = file(\"data.txt\")\nn = exec(\"sh scripts/count.sh {{ data }} > {{ out }}\", data = data) -> file(\"n\")\nreport r { n }\n",
    );
    place.run(&["run", "pipelines/p.nf"]).exits(0);
    place.run(&["get", "n", "-o", "-"]).exits(0).says("3");
    place.run(&["run", "pipelines/p.nf"]).exits(0).says("(0 tasks ran, 1 cached)");
}

#[test]
fn the_first_line_of_a_csv_is_its_header_and_a_header_alone_is_an_empty_table() {
    let place = Place::new();
    let flow = "pipeline p\ninput t = csv(\"t.csv\")\nn = sql(\"select count(*) as n from t\", t = t)\nall = sql(\"select * from t\", t = t)\nreport r { n, all }\n";
    place.write("p.nf", flow);
    for (text, rows) in [("area,units\n", "0"), ("area\nV1\nV1\n", "2")] {
        place.write("t.csv", text);
        place.run(&["run", "p.nf"]).exits(0);
        assert_eq!(place.run(&["get", "n", "-o", "-", "--as", "csv"]).exits(0).out, format!("n\n{rows}\n"), "{text}");
        let header = text.lines().next().unwrap();
        assert_eq!(place.run(&["get", "all", "-o", "-", "--as", "csv"]).exits(0).out.lines().next(), Some(header));
    }
    place.write("t.csv", "area,n,area\nV1,3,LM\n");
    place.run(&["run", "p.nf"]).exits(4).says("t.csv").says("line 1, field 3").says("column `area` stands twice in the header");
    // What an index is called that pandas writes.
    place.write("t.csv", ",n\n0,3\n");
    place.run(&["run", "p.nf"]).exits(0);
    assert_eq!(place.run(&["get", "all", "-o", "-", "--as", "csv"]).exits(0).out, "column_1,n\n0,3\n");
}

#[test]
fn an_empty_member_of_a_family_goes_together_with_the_others() {
    let place = Place::new();
    place.write("t/a.csv", "area,units\n");
    place.write("t/b.csv", "area,units\nV1,3\nLM,2\n");
    place.write(
        "p.nf",
        "pipeline p\ninput t = csv(\"t/*.csv\")\nall = sql(\"select area, units from t order by units desc\", t = gather(t))\nreport r { all }\n",
    );
    place.run(&["run", "p.nf"]).exits(0);
    assert_eq!(place.run(&["get", "all", "-o", "-", "--as", "csv"]).exits(0).out, "area,units\nV1,3\nLM,2\n");
}
