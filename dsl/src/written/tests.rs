//! What functions and used files come to, and that no text brings the checker down.

use crate::diagnostics::has_errors;
use crate::testing::{World, checked, labels, played};
use proptest::prelude::*;

const EVERYTHING: &str = include_str!("../../specs/everything.nf");
const QUALITY: &str = "pipeline quality\nparam bin = 10 ms\nfn scaled(raw: Table) {\n  x = t.take(raw)\n  x\n}\ninput rows = csv(\"q.csv\")\nchecked = scaled(rows)\n";

fn codes(text: &str, files: &[(&str, &str)]) -> Vec<&'static str> {
    checked(text, files).diagnostics.iter().map(|told| told.code).collect()
}

fn unrolled(text: &str, files: &[(&str, &str)]) -> Vec<String> {
    let checked = checked(text, files);
    assert!(!has_errors(&checked.diagnostics), "{:#?}", checked.diagnostics);
    match played(&checked.pipeline, &World::default(), |waiting| *waiting.first().unwrap()) {
        Ok(expansion) => labels(&expansion),
        Err(told) => panic!("{told:#?}"),
    }
}

#[test]
fn every_construct_is_checked_without_a_mistake() {
    let checked = checked(EVERYTHING, &[("common/quality.nf", QUALITY)]);
    assert_eq!(checked.diagnostics, []);
    assert_eq!(checked.files.len(), 1);
    assert_eq!(checked.files[0].text, QUALITY);
}

#[test]
fn names_inside_never_meet_names_outside() {
    let text = "pipeline p\nfn f(x: Table, n: Integer) {\n  q = t.take(x, n = n, text = \"{n} of {{n}}\")\n  for n2 in [1, 2] {\n    r = t.take(q, n = n2 + n)\n  }\n  \
                t.join(gather(r))\n}\nq = t.give(n = 9)\nfor n in [5] {\n  r = f(q, n)\n}\ns = f(f(q, 1), n = 2)\nreport out { r, s }\n";
    let names = unrolled(text, &[]);
    assert!(names.contains(&"r/r[\"5\"][\"2\"]".to_owned()), "{names:?}");
    assert!(names.contains(&"s/f/q".to_owned()), "{names:?}");
    assert_eq!(names.iter().filter(|name| *name == "q").count(), 1);
}

#[test]
fn the_value_of_a_function_may_be_any_output_and_a_sweep() {
    let text = "pipeline p\nfn rest() {\n  q = t.give()\n  q.rest\n}\nfn tuned(x: Table) {\n  sweep grid in { n = [1, 2] } {\n    s = t.rate(x, n = n)\n  }\n  grid\n}\n\
                a = rest()\nb = tuned(t.give())\nc = t.take(b)\nd = t.take(a)\nreport r { c, d }\n";
    let told = checked(text, &[]).diagnostics;
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0].message.contains("this is a Tensor"), "{told:#?}");
    let text = text.replace("d = t.take(a)\n", "").replace("c, d", "c, a");
    assert_eq!(unrolled(&text, &[]), ["a", "b/give", "b/s[\"1\"]", "b/s[\"2\"]", "b", "c"]);
}

#[test]
fn a_used_file_may_use_another_below_it() {
    let files = [
        (
            "a/one.nf",
            "pipeline one\nuse \"b/two.nf\" as two with n = 4\nfn f(x: Table) {\n  two.g(x)\n}\nown = two.made\nboth = t.take(two.made)\n",
        ),
        ("a/b/two.nf", "pipeline two\nparam n = 1\nfn g(x: Table) {\n  t.take(x, n = param.n)\n}\nmade = t.give(n = param.n)\n"),
    ];
    let told = codes("pipeline p\nuse \"a/one.nf\" as one\nx = one.f(one.both)\nreport r { x }\n", &files);
    // `own` is no step, and nobody needs it.
    assert_eq!(told, [""; 0]);
    let names = unrolled("pipeline p\nuse \"a/one.nf\" as one\nx = one.f(one.both)\nreport r { x }\n", &files);
    assert_eq!(names, ["one/two/made", "one/both", "x"]);
    assert_eq!(codes("pipeline p\nuse \"a/one.nf\" as one\nx = t.take(one.own)\nreport r { x }\n", &files), ["unknown-stage"]);
}

#[test]
fn what_grows_without_end_is_refused() {
    let mut text = "pipeline p\nfn f0(n: Integer) {\n  t.give(n = n)\n}\n".to_owned();
    for level in 1..30 {
        text.push_str(&format!("fn f{level}(n) {{\n  f{}(n + n)\n}}\n", level - 1));
    }
    assert_eq!(codes(&format!("{text}x = f29(1)\nreport r {{ x }}\n"), &[]), ["bad-function"]);
    let mut text = "pipeline p\nfn f0(x: Table) {\n  t.take(x)\n}\n".to_owned();
    for level in 1..30 {
        text.push_str(&format!("fn f{level}(x) {{\n  a = f{0}(x)\n  b = f{0}(a)\n  b\n}}\n", level - 1));
    }
    assert!(codes(&format!("{text}x = f29(t.give())\nreport r {{ x }}\n"), &[]).contains(&"bad-function"));
}

#[test]
fn files_that_use_each_other_are_shown_as_a_path() {
    let files = [("a.nf", "pipeline a\nuse \"b.nf\" as b\n"), ("b.nf", "pipeline b\nuse \"./a.nf\" as a\n")];
    let told = checked("pipeline p\nuse \"a.nf\" as a\n", &files).diagnostics;
    assert!(told[0].message.ends_with("these files use each other: a.nf → b.nf → a.nf"), "{told:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_damaged_file_is_told_of_and_never_a_panic(
        at in 0..EVERYTHING.len(),
        remove in 0usize..60,
        insert in "[a-z(){}\\[\\]=,.\" \n#0-9]{0,8}",
        from in 0..EVERYTHING.len(),
        length in 0usize..80,
    ) {
        let cut = |start: usize, length: usize| {
            let start = (0..=start).rev().find(|at| EVERYTHING.is_char_boundary(*at)).unwrap_or(0);
            let end = (start + length..=EVERYTHING.len()).find(|at| EVERYTHING.is_char_boundary(*at)).unwrap_or(EVERYTHING.len());
            (start, end)
        };
        let (start, end) = cut(at, remove);
        let (copied, until) = cut(from, length);
        let text = format!("{}{insert}{}{}", &EVERYTHING[..start], &EVERYTHING[copied..until], &EVERYTHING[end..]);
        let whole = checked(&text, &[("common/quality.nf", QUALITY)]);
        for told in &whole.diagnostics {
            prop_assert!(told.span.start <= text.len() && told.span.end <= text.len().max(told.span.start), "{told:?}");
        }
        if !has_errors(&whole.diagnostics) {
            // What is checked can be unrolled, or says why not.
            let _ = played(&whole.pipeline, &World::default(), |waiting| *waiting.first().unwrap());
        }
        // The same text as a used file.
        let used = checked("pipeline p\nuse \"x.nf\" as x\na = t.take(x.best)\nb = x.cleaned(x.rows)\nreport r { a, b, x.grid, x.z }\n", &[("x.nf", &text), ("common/quality.nf", QUALITY)]);
        for told in &used.diagnostics {
            prop_assert!(told.span.end <= 200, "{told:?}");
        }
    }
}
