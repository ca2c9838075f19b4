//! What is unrolled when, and that nothing depends on the order in which results come.

use super::*;
use crate::testing::{World, checked, labels, pipeline, played, registry};
use proptest::prelude::*;

fn world(columns: &[(&str, &[&str])], scores: &[(&str, f64)]) -> World {
    World {
        members: vec!["m1".into(), "m2".into(), "m3".into()],
        columns: columns
            .iter()
            .map(|(name, values)| ((*name).to_owned(), values.iter().map(|value| Value::from(*value)).collect()))
            .collect(),
        scores: scores.iter().map(|(name, score)| ((*name).to_owned(), *score)).collect(),
    }
}

fn first(waiting: &BTreeSet<usize>) -> usize {
    *waiting.first().unwrap()
}

fn unrolled(text: &str, world: &World) -> Expansion {
    let pipeline = pipeline(text);
    match played(&pipeline, world, first) {
        Ok(expansion) => expansion,
        Err(told) => panic!("{told:#?}"),
    }
}

fn refused(text: &str, world: &World) -> Vec<Diagnostic> {
    played(&pipeline(text), world, first).err().unwrap()
}

/// For each instance its inputs, as labels.
fn inputs(expansion: &Expansion) -> Vec<(String, Vec<String>)> {
    let name = |input: &InstanceInput| match &input.source {
        Source::Step { step, output } => format!("{}:{}.{output}", input.label, expansion.instances[*step].label()),
        Source::Input { input, member } => format!("input {input} {member:?}"),
    };
    expansion.instances.iter().map(|instance| (instance.label(), instance.inputs.iter().map(name).collect())).collect()
}

#[test]
fn loops_nest_and_a_bare_name_is_the_same_member() {
    let expansion = unrolled(
        "pipeline p\nfor a in [1, 2] {\n  x = t.give(n = a)\n  for b in [\"u\", \"v\"] {\n    y = t.take(x, text = \"{a}{b}\")\n  }\n}\nz = t.join(gather(y))\n\
         w = t.take(y[2][\"u\"])\nreport r { z, w }\n",
        &World::default(),
    );
    assert_eq!(
        labels(&expansion),
        ["x[\"1\"]", "x[\"2\"]", "y[\"1\"][\"u\"]", "y[\"1\"][\"v\"]", "y[\"2\"][\"u\"]", "y[\"2\"][\"v\"]", "z", "w"]
    );
    let found = inputs(&expansion);
    assert_eq!(found[4].1, [":x[\"2\"].table"]);
    assert_eq!(found[6].1[1], "1, v:y[\"1\"][\"v\"].table");
    assert_eq!(found[7].1, [":y[\"2\"][\"u\"].table"]);
    let params = |at: usize| expansion.instances[at].params.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
    assert_eq!(params(4), ["n=0", "share=0.0", "text=\"2u\""]);
    assert_eq!(params(1), ["n=2", "share=0.0", "text=\"\""]);
    // What does not differ is held once.
    let same = |a: usize, b: usize| Arc::ptr_eq(&expansion.instances[a].policies, &expansion.instances[b].policies);
    assert!(same(2, 5));
    assert!(Arc::ptr_eq(&expansion.instances[0].name, &expansion.instances[1].name));
}

#[test]
fn a_loop_over_a_column_waits_for_it_and_takes_each_value_once() {
    let text = "pipeline p\nq = t.give()\nfor area in q.table.area {\n  x = t.take(q, text = area)\n}\nz = t.join(gather(x))\nother = t.give(n = 2)\n\
                report r { z, other }\n";
    let pipeline = pipeline(text);
    let world = world(&[("q.area", &["V1", "LM", "V1"])], &[]);
    let stages = registry();
    let mut expansion = Expansion::new(&pipeline);
    struct Nothing;
    impl Known for Nothing {
        fn members(&self, _: usize) -> Vec<String> {
            Vec::new()
        }
        fn column(&self, _: usize, _: &str, _: &str) -> Option<Result<Vec<Value>, String>> {
            None
        }
        fn scores(&self, _: usize) -> Option<Vec<Score>> {
            None
        }
    }
    assert_eq!(expansion.grow(&pipeline, &stages, &Nothing).unwrap(), 0..2);
    assert_eq!(labels(&expansion), ["q", "other"]);
    assert_eq!(expansion.waits_for(), &BTreeSet::from([0]));
    assert_eq!(expansion.grow(&pipeline, &stages, &Nothing).unwrap(), 2..2);
    assert!(!expansion.is_complete());

    let expansion = played(&pipeline, &world, first).unwrap();
    assert_eq!(labels(&expansion), ["q", "other", "x[\"V1\"]", "x[\"LM\"]", "z"]);
    assert_eq!(expansion.instances[3].params.get("text"), Some(&Value::from("LM")));
    assert_eq!(expansion.of(2).count() + expansion.of(1).count(), 3);
}

#[test]
fn a_column_that_is_not_there_and_a_value_that_does_not_fit_are_told() {
    let text = "pipeline p\nq = t.give()\nfor area in q.area {\n  x = t.take(q, n = area)\n}\nreport r { x }\n";
    let told = refused(text, &world(&[], &[]));
    assert_eq!((told[0].code, told[0].message.as_str()), ("bad-loop", "there is no column `area`"));
    let told = refused(text, &world(&[("q.area", &["V1"])], &[]));
    assert_eq!(told[0].code, "wrong-value");
}

#[test]
fn inner_loops_over_columns_are_unrolled_member_by_member() {
    let text = "pipeline p\ninput s = files(\"x\")\nfor m in s {\n  q = t.give(text = m)\n  for u in q.unit {\n    x = t.take(q, text = \"{m}{u}\")\n  }\n  \
                all = t.join(gather(x))\n}\nreport r { all }\n";
    let world = world(&[("q[\"m1\"].unit", &["a"]), ("q[\"m2\"].unit", &["b", "c"]), ("q[\"m3\"].unit", &["d"])], &[]);
    let pipeline = pipeline(text);
    let expansion = played(&pipeline, &world, |waiting| *waiting.last().unwrap()).unwrap();
    assert_eq!(
        labels(&expansion)[3..],
        ["x[\"m3\"][\"d\"]", "all[\"m3\"]", "x[\"m2\"][\"b\"]", "x[\"m2\"][\"c\"]", "all[\"m2\"]", "x[\"m1\"][\"a\"]", "all[\"m1\"]"]
    );
    let of_m2 = inputs(&expansion).into_iter().find(|(label, _)| label == "all[\"m2\"]").unwrap();
    assert_eq!(of_m2.1, ["m2, b:x[\"m2\"][\"b\"].table", "m2, c:x[\"m2\"][\"c\"].table"]);
}

#[test]
fn a_branch_is_taken_by_a_score_and_its_family_holds_those_that_were_made() {
    let text = "pipeline p\ninput s = files(\"x\")\nfor m in s {\n  q = t.give(text = m)\n  s1 = t.rate(q)\n  if s1.accuracy > 0.5 and m != \"m9\" {\n    good = \
                t.take(q)\n  } else {\n    bad = t.take(q)\n  }\n}\nz = t.join(gather(good))\nreport r { z, bad }\nexpect bad[*].nothing > 1\n";
    let told = checked(text, &[]);
    assert_eq!(told.diagnostics[0].code, "unknown-metric");
    let text = text.replace("expect bad[*].nothing > 1\n", "");
    let some = world(&[], &[("s1[\"m1\"]", 0.9), ("s1[\"m2\"]", 0.1), ("s1[\"m3\"]", 0.6)]);
    let expansion = unrolled(&text, &some);
    let mut names = labels(&expansion);
    names.sort();
    assert_eq!(names[..2], ["bad[\"m2\"]", "good[\"m1\"]"]);
    let joined = inputs(&expansion).into_iter().find(|(label, _)| label == "z").unwrap();
    assert_eq!(joined.1.len(), 2);
    // None at all is told, with a way out.
    let told = refused(&text, &world(&[], &[]));
    assert_eq!(told[0].code, "empty-family");
    assert!(told[0].help[0].contains("braces of `good`"), "{told:#?}");
}

#[test]
fn conditions_see_families_members_and_parameters() {
    let text = |condition: &str| {
        format!(
            "pipeline p\nparam limit = 0.5\nfor m in [\"a\", \"b\"] {{\n  q = t.give(text = m)\n  s = t.rate(q)\n}}\nif {condition} {{\n  x = t.give(n = 1)\n}} else \
             {{\n  y = t.give(n = 2)\n}}\nreport r {{ x, y, s }}\n"
        )
    };
    let world = world(&[], &[("s[\"a\"]", 0.9), ("s[\"b\"]", 0.2)]);
    for (condition, holds) in [
        ("s[\"a\"].accuracy > param.limit", true),
        ("s[\"b\"].accuracy > param.limit", false),
        ("s[*].accuracy > 0.1", true),
        ("s.accuracy > 0.5", false),
        ("count(s.accuracy > 0.5) == 1", true),
        ("mean(s[*].accuracy) > 0.54 and not any(s.accuracy > 0.95)", true),
    ] {
        let expansion = unrolled(&text(condition), &world);
        assert_eq!(labels(&expansion).contains(&"x".to_owned()), holds, "{condition}");
        assert_eq!(labels(&expansion).contains(&"y".to_owned()), !holds, "{condition}");
    }
}

#[test]
fn what_stands_in_a_branch_in_a_branch_is_decided_inside() {
    let text = "pipeline p\nq = t.give()\na = t.rate(q)\nif a.accuracy > 0.5 {\n  b = t.rate(q, n = 2)\n  if b.accuracy > 0.5 {\n    c = t.take(q)\n  } else if \
                b.accuracy > 0.2 {\n    d = t.take(q)\n  }\n}\nif b.accuracy > 0.5 {\n  e = t.take(q)\n} else {\n  f = t.take(q)\n}\nreport r { c, d, e, f }\n";
    let case = |scores: &[(&str, f64)]| labels(&unrolled(text, &world(&[], scores))).into_iter().skip(2).collect::<Vec<_>>().join(" ");
    assert_eq!(case(&[("a", 0.9), ("b", 0.9)]), "b c e");
    assert_eq!(case(&[("a", 0.9), ("b", 0.3)]), "b d f");
    assert_eq!(case(&[("a", 0.9), ("b", 0.1)]), "b f");
    // Of a step that was not made nothing holds.
    assert_eq!(case(&[("a", 0.1)]), "f");
}

#[test]
fn a_sweep_is_the_cross_product_and_one_table() {
    let text = "pipeline p\nq = t.give()\nsweep grid in { a = [1, 2], b = 0.1 .. 0.3 step 0.1 } {\n  x = t.take(q, n = a)\n  s = t.rate(x, share = b)\n}\n\
                best = t.take(grid)\nreport r { best, grid.table }\n";
    let text = text.replace(", grid.table", ", grid");
    let expansion = unrolled(&text, &World::default());
    let grid = expansion.instances.iter().find(|instance| &*instance.name == "grid").unwrap();
    assert_eq!((&*grid.stage, grid.inputs.len()), ("query.sweep", 4));
    assert_eq!(&*grid.inputs[3].label, "s; a=2; b=0.2");
    let Some(Value::List(rows)) = grid.params.get("rows") else { panic!("{:?}", grid.params) };
    assert_eq!(rows[1], Value::List(vec![Value::from("s"), Value::Int(1), Value::Number(0.2)]));
    assert_eq!(grid.params.get("settings"), Some(&Value::List(vec![Value::from("a"), Value::from("b")])));
    assert_eq!(labels(&expansion).iter().filter(|label| label.starts_with("x[")).count(), 4);
    // The step of the same settings is taken.
    let found = inputs(&expansion);
    assert!(found.contains(&("s[\"2\"][\"0.1\"]".into(), vec![":x[\"2\"][\"0.1\"].table".into()])), "{found:?}");
}

#[test]
fn a_sweep_inside_a_loop_is_a_table_for_each_member() {
    let text = "pipeline p\nfor m in [\"a\", \"b\"] {\n  q = t.give(text = m)\n  sweep grid in { n = [1, 2, 3] } {\n    for f in [5, 6] {\n      s = t.rate(q, n = n)\n    }\n  \
                }\n}\nall = t.join(gather(grid))\nreport r { all }\n";
    let expansion = unrolled(text, &World::default());
    let grids: Vec<&StepInstance> = expansion.instances.iter().filter(|instance| &*instance.name == "grid").collect();
    assert_eq!(grids.len(), 2);
    assert_eq!(grids[1].inputs.len(), 6);
    assert_eq!(&*grids[1].inputs[5].label, "s; n=3; f=6");
    assert_eq!(&*grids[1].members[0], "b");
}

#[test]
fn policies_are_evaluated_for_each_member() {
    let text = "pipeline p\nfor i in 1 .. 4 {\n  x = t.give(n = i) with seed = i, cores = 2, memory = 4 GiB .. 16 GiB, backoff = 5 s, retries = 2, time = 10 min, pool \
                = [disk, licence(2)], isolate = process, executor = slurm\n}\nreport r { x }\n";
    let expansion = unrolled(text, &World::default());
    let policies = &expansion.instances[2].policies;
    assert_eq!((policies.seed, policies.cores, policies.memory), (3, 2, Some((4 << 30, 16 << 30))));
    assert_eq!((policies.backoff, policies.retries, policies.time), (5.0, 2, Some(600.0)));
    assert_eq!(policies.pools, [("disk".to_owned(), 1), ("licence".to_owned(), 2)]);
    assert_eq!((policies.isolate, policies.executor.as_deref()), (true, Some("slurm")));
    let text = "pipeline p\nq = t.give()\nx = exec(\"run {{ q }} {{ out }}\", q = q) -> file(\"x\")\n  with env = \"envs/py.lock\", scripts = [\"scripts/*.py\"], reads = \
                [\"/opt/fsl\"], network = on\nreport r { x }\n";
    let told = checked(text, &[]);
    assert!(told.diagnostics[0].message.contains("`file` reads no output"), "{:?}", told.diagnostics);
    let expansion = unrolled(&text.replace("file(", "csv("), &World::default());
    let policies = &expansion.instances[1].policies;
    assert_eq!((policies.environment.as_deref(), policies.network), (Some("envs/py.lock"), true));
    assert_eq!((policies.scripts.join(" "), policies.reads.join(" ")), ("scripts/*.py".into(), "/opt/fsl".into()));
}

#[test]
fn an_index_that_no_member_has_is_told_with_those_that_are_there() {
    let text = "pipeline p\nfor m in [\"left\", \"right\"] {\n  x = t.give(text = m)\n}\ny = t.take(x[\"lef\"])\nreport r { y }\n";
    let told = refused(text, &World::default());
    assert_eq!(told[0].message, "`x` has no such member; it has `left`, `right`");
    assert_eq!(told[0].help, ["did you mean `left`?"]);
}

#[test]
fn a_million_wrong_members_are_told_in_a_few_words() {
    let text = "pipeline p\nfor i in 0 .. 100000 {\n  x = t.give(n = 0 - i)\n}\nreport r { x }\n";
    let told = refused(text, &World::default());
    assert!(told.len() <= 10, "{}", told.len());
}

/// Nanoseconds to unroll so many chains of two steps; the least of several tries, for a machine that does other things as well.
fn time_of(chains: usize) -> u128 {
    let pipeline =
        pipeline(&format!("pipeline p\nfor i in 0 .. {chains} {{\n  x = t.give(n = i)\n  y = t.take(x)\n}}\nreport r {{ y }}\n"));
    let stages = registry();
    let run = || {
        let begin = std::time::Instant::now();
        let mut expansion = Expansion::new(&pipeline);
        let world = World::default();
        let _ = &world;
        struct Nothing;
        impl Known for Nothing {
            fn members(&self, _: usize) -> Vec<String> {
                Vec::new()
            }
            fn column(&self, _: usize, _: &str, _: &str) -> Option<Result<Vec<Value>, String>> {
                None
            }
            fn scores(&self, _: usize) -> Option<Vec<Score>> {
                None
            }
        }
        expansion.grow(&pipeline, &stages, &Nothing).unwrap();
        assert_eq!(expansion.instances.len(), 2 * chains);
        begin.elapsed().as_nanos()
    };
    (0..5).map(|_| run()).min().unwrap()
}

#[test]
fn time_grows_with_the_number_of_steps_and_not_faster() {
    let (small, large) = (time_of(10_000), time_of(100_000));
    // Ten times as many steps; what is quadratic anywhere would take a hundred times as long.
    assert!(large < small * 25, "{small} ns and {large} ns");
}

proptest! {
    #[test]
    fn the_order_in_which_results_come_changes_nothing_but_positions(
        choices in prop::collection::vec(0usize..5, 1..40),
        scores in prop::collection::vec(0.0f64..1.0, 9),
        counts in prop::collection::vec(0usize..3, 3),
    ) {
        let text = "pipeline p\ninput s = files(\"x\")\nfor m in s {\n  q = t.give(text = m)\n  for u in q.unit {\n    x = t.rate(q, n = u)\n    if x.accuracy > 0.5 {\n      \
                    y = t.take(q, n = u)\n    }\n  }\n}\nif any(x.accuracy > 0.9) {\n  z = t.give(n = 3)\n}\nreport r { y, z }\n";
        let pipeline = pipeline(text);
        let mut world = world(&[], &[]);
        let mut number = 0;
        for (member, count) in ["m1", "m2", "m3"].into_iter().zip(counts) {
            let units: Vec<Value> = (0..count).map(|unit| Value::Int(unit as i64)).collect();
            for unit in 0..count {
                world.scores.insert(format!("x[\"{member}\"][\"{unit}\"]"), scores[number]);
                number += 1;
            }
            world.columns.insert(format!("q[\"{member}\"].unit"), units);
        }
        let mut choices = choices.into_iter().cycle();
        let wild = played(&pipeline, &world, |waiting| *waiting.iter().nth(choices.next().unwrap() % waiting.len()).unwrap()).unwrap();
        let tame = played(&pipeline, &world, first).unwrap();
        let sorted = |expansion: &Expansion| {
            let mut all = inputs(expansion);
            all.sort();
            all
        };
        prop_assert_eq!(sorted(&wild), sorted(&tame));
        for (position, instance) in wild.instances.iter().enumerate() {
            for input in &instance.inputs {
                if let Source::Step { step, .. } = input.source {
                    prop_assert!(step < position);
                }
            }
        }
    }
}
