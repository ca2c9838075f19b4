use super::*;
use proptest::prelude::*;

const MOUSE: &str = include_str!("../../../pipelines/mouse_v1.nf");

fn edit(text: &str, edits: &[Edit]) -> String {
    let edited = apply(text, edits).unwrap_or_else(|error| panic!("{error} {:?}", error.help));
    assert_eq!(undo(&edited.text, &edited.changes).as_deref(), Some(text));
    assert_eq!(redo(text, &edited.changes).as_ref(), Some(&edited.text));
    edited.text
}

fn refused(text: &str, edit: Edit) -> String {
    let error = apply(text, &[edit]).unwrap_err();
    format!("{} {}", error.message, error.help.unwrap_or_default())
}

/// The lines that differ, as a small diff.
fn difference(before: &str, after: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let same = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let tail = a[same..].iter().rev().zip(b[same..].iter().rev()).take_while(|(a, b)| a == b).count();
    let lines = |mark: &str, lines: &[&str]| lines.iter().map(|line| format!("{mark}{line}\n")).collect::<String>();
    lines("-", &a[same..a.len() - tail]) + &lines("+", &b[same..b.len() - tail])
}

fn s(text: &str) -> String {
    text.to_owned()
}

#[test]
fn an_argument_is_set_where_it_stands_or_added_behind_the_last() {
    let set = |key: &str, value: &str| Edit::SetArgument { step: s("direction"), key: s(key), value: s(value) };
    assert_eq!(
        difference(MOUSE, &edit(MOUSE, &[set("folds", "10")])),
        "-    model = lda(shrinkage = auto), folds = 8)\n+    model = lda(shrinkage = auto), folds = 10)\n"
    );
    assert_eq!(
        difference(MOUSE, &edit(MOUSE, &[set("model.shrinkage", "0.1")])),
        "-    model = lda(shrinkage = auto), folds = 8)\n+    model = lda(shrinkage = 0.1), folds = 8)\n"
    );
    assert_eq!(
        difference(MOUSE, &edit(MOUSE, &[set("stratify", "true")])),
        "-    model = lda(shrinkage = auto), folds = 8)\n+    model = lda(shrinkage = auto), folds = 8, stratify = true)\n"
    );
    assert_eq!(edit("a = f.g()\n", &[Edit::SetArgument { step: s("a"), key: s("k"), value: s("1") }]), "a = f.g(k = 1)\n");
    assert_eq!(edit("a = f.g(x,\n)\n", &[Edit::SetArgument { step: s("a"), key: s("k"), value: s("1") }]), "a = f.g(x, k = 1\n)\n");
    assert_eq!(
        edit("a = f.g(m = lda)\n", &[Edit::SetArgument { step: s("a"), key: s("m.k"), value: s("1") }]),
        "a = f.g(m = lda(k = 1))\n"
    );
    assert_eq!(edit("a = f.g(x, k = 1, l = 2)\n", &[Edit::UnsetArgument { step: s("a"), key: s("k") }]), "a = f.g(x, l = 2)\n");
    assert_eq!(edit("a = f.g(k = 1, l = 2)\n", &[Edit::UnsetArgument { step: s("a"), key: s("k") }]), "a = f.g(l = 2)\n");
    assert!(refused(MOUSE, Edit::SetArgument { step: s("directon"), key: s("k"), value: s("1") }).contains("did you mean `direction`?"));
    assert!(refused(MOUSE, Edit::UnsetArgument { step: s("direction"), key: s("fold") }).contains("did you mean `folds`?"));
}

#[test]
fn policies_and_controls_are_set_added_and_taken_away() {
    let text = "a = f.g(x)  # why\nb = f.h(a)\n  with seed = 7\n";
    let policy = |step: &str, key: &str, value: &str| Edit::SetPolicy { step: s(step), key: s(key), value: s(value) };
    assert_eq!(edit(text, &[policy("a", "seed", "3")]), "a = f.g(x)\n  with seed = 3  # why\nb = f.h(a)\n  with seed = 7\n");
    assert_eq!(edit(text, &[policy("b", "seed", "3")]), "a = f.g(x)  # why\nb = f.h(a)\n  with seed = 3\n");
    assert_eq!(edit(text, &[policy("b", "memory", "2 GiB")]), "a = f.g(x)  # why\nb = f.h(a)\n  with seed = 7, memory = 2 GiB\n");
    assert_eq!(edit(text, &[Edit::UnsetPolicy { step: s("b"), key: s("seed") }]), "a = f.g(x)  # why\nb = f.h(a)\n");
    let control = |call: &str| Edit::AddControl { step: s("b"), call: s(call) };
    let one = edit(text, &[control("shuffle(\"y\")")]);
    assert_eq!(one, "a = f.g(x)  # why\nb = f.h(a)\n  with seed = 7, control = shuffle(\"y\")\n");
    let two = edit(&one, &[control("window(-1 s .. 0 s)")]);
    assert_eq!(two, "a = f.g(x)  # why\nb = f.h(a)\n  with seed = 7, control = [shuffle(\"y\"), window(-1 s .. 0 s)]\n");
    let three = edit(&two, &[control("circular_shift(n = 20)")]);
    assert!(three.contains("window(-1 s .. 0 s), circular_shift(n = 20)]"));
    assert!(refused(&two, control("shuffle( \"y\" )")).contains("already"));
}

#[test]
fn a_step_is_inserted_in_the_braces_of_its_neighbour_or_behind_them() {
    let call = s("decode.classify(responses, target = \"orientation\") with seed = 7");
    let inside = Edit::InsertStep { name: s("late"), call: call.clone(), after: s("tuning"), outside: false };
    assert_eq!(difference(MOUSE, &edit(MOUSE, &[inside])), format!("+  late      = {call}\n"));
    let long = "decode.classify(responses, target = \"orientation\", window = 0 s .. 2 s, model = lda(shrinkage = auto))";
    let inside =
        Edit::InsertStep { name: s("late"), call: format!("{long} with seed = 7, retries = 1"), after: s("brain"), outside: false };
    assert_eq!(difference(MOUSE, &edit(MOUSE, &[inside])), format!("+  late     = {long}\n+    with seed = 7, retries = 1\n"));
    let outside = Edit::InsertStep { name: s("both"), call: s("query.table(gather(direction))"), after: s("likeness"), outside: true };
    assert_eq!(difference(MOUSE, &edit(MOUSE, &[outside])), "+both = query.table(gather(direction))\n+\n");
    let line = "for x in [1, 2] { a = f.g(x) }\n";
    let step = Edit::InsertStep { name: s("b"), call: s("f.h(a)"), after: s("a"), outside: false };
    assert_eq!(edit(line, &[step]), "for x in [1, 2] { a = f.g(x) b = f.h(a) }\n");
    let taken = Edit::InsertStep { name: s("tuning"), call: s("f.g()"), after: s(""), outside: false };
    assert!(refused(MOUSE, taken).contains("already"));
}

#[test]
fn a_step_leaves_with_its_lines_and_from_reports() {
    let text = edit(MOUSE, &[Edit::RemoveStep { name: s("audit") }]);
    assert!(!text.contains("audit"), "{text}");
    assert!(text.contains("transfer, direction, orientation, tuning, communities"));
    assert_eq!(text.lines().count(), MOUSE.lines().count() - 2);
}

#[test]
fn a_pipeline_is_written_from_nothing() {
    let edits = [
        Edit::Begin { name: s("new"), title: s("What is \"here\"?") },
        Edit::AddInput { name: s("sessions"), value: s("mat(\"data/*.mat\")") },
        Edit::SetParam { name: s("folds"), value: s("8") },
        Edit::InsertStep { name: s("responses"), call: s("ingest.trials(sessions)"), after: s(""), outside: false },
        Edit::InsertStep { name: s("direction"), call: s("decode.classify(responses)"), after: s("responses"), outside: false },
        Edit::AddReport { name: s("new"), title: s("All"), items: s("direction") },
        Edit::AddExpect { condition: s("direction.accuracy > 0.5"), message: s("it is there") },
        Edit::AddReport { name: s("new"), title: s(""), items: s("direction, responses") },
        Edit::Comment { step: s("direction"), text: s("eight directions\u{7}\nof one grating") },
    ];
    assert_eq!(
        edit("", &edits),
        "pipeline new \"What is \\\"here\\\"?\"\n\nparam folds = 8\n\ninput sessions = mat(\"data/*.mat\")\n\nresponses = ingest.trials(sessions)\n\
         # eight directions\n# of one grating\ndirection = decode.classify(responses)\n\n\
         expect direction.accuracy > 0.5 \"it is there\"\n\nreport new \"All\" { direction, responses }\n"
    );
}

#[test]
fn names_change_wherever_they_are_used() {
    let text = edit(MOUSE, &[Edit::Rename { from: s("direction"), to: s("heading") }]);
    assert!(text.contains("expect max(heading[*].accuracy) > 0.5"));
    assert!(text.contains("transfer, heading, orientation"));
    // The target is a column of the data, and texts are texts.
    assert!(text.contains("heading = decode.classify(responses, target = \"direction\""));
    assert!(text.contains("shuffle(\"direction\""));
    let text = edit(MOUSE, &[Edit::Rename { from: s("shuffles"), to: s("draws") }]);
    assert!(text.contains("param draws = 200") && text.contains("n = param.draws"), "{text}");
    assert!(!text.contains("shuffles"));
    assert!(refused(MOUSE, Edit::Rename { from: s("direction"), to: s("mouse") }).contains("already"));
}

#[test]
fn expectations_leave_as_written() {
    let text = edit(MOUSE, &[Edit::RemoveExpect { condition: s("max(direction[*].accuracy)>0.5") }]);
    assert_eq!(text.lines().count(), MOUSE.lines().count() - 1);
    assert!(refused(MOUSE, Edit::RemoveExpect { condition: s("true") }).contains("no such"));
}

#[test]
fn nothing_can_be_smuggled_in_behind_a_value() {
    for value in [
        "1)\nevil = exec(\"rm\"",
        "1 # comment",
        "1, seed = 2",
        "",
        "1 with seed = 3",
        "1\nexpect true",
        "\"open",
        "{{",
        "f(",
        "1) -> table(\"x\"",
    ] {
        for edit in [
            Edit::SetArgument { step: s("direction"), key: s("folds"), value: s(value) },
            Edit::SetPolicy { step: s("direction"), key: s("seed"), value: s(value) },
            Edit::SetParam { name: s("shuffles"), value: s(value) },
            Edit::SetParam { name: s("another"), value: s(value) },
            Edit::AddControl { step: s("direction"), call: s(value) },
        ] {
            assert!(apply(MOUSE, std::slice::from_ref(&edit)).is_err(), "{edit:?}");
        }
    }
    for call in ["f.g()\nevil = exec(\"rm\") -> table(\"x\")", "f.g() # x", "f.g() }\n", "f.g() expect true"] {
        for edit in [
            Edit::InsertStep { name: s("new"), call: s(call), after: s(""), outside: false },
            Edit::ReplaceCall { step: s("direction"), call: s(call) },
            Edit::AddInput { name: s("new"), value: s(call) },
            Edit::SetInput { name: s("sessions"), value: s(call) },
            Edit::AddExpect { condition: s(call), message: s("") },
        ] {
            assert!(apply(MOUSE, std::slice::from_ref(&edit)).is_err(), "{edit:?}");
        }
    }
    for name in ["a b", "a = 1\nb", "for", "1a", "", "a-b", "ä"] {
        assert!(apply(MOUSE, &[Edit::InsertStep { name: s(name), call: s("f.g()"), after: s(""), outside: false }]).is_err());
        assert!(apply(MOUSE, &[Edit::SetArgument { step: s("direction"), key: s(name), value: s("1") }]).is_err() || name == "for");
    }
    let text = edit(MOUSE, &[Edit::AddExpect { condition: s("true"), message: s("a\" }\nevil = exec(\"rm\")") }]);
    assert!(text.contains("expect true \"a\\\" }\\nevil = exec(\\\"rm\\\")\""));
}

#[test]
fn expressions_say_the_same_wherever_they_stand_and_texts_count() {
    let value = |text: &str| {
        let root = parse(&format!("  x = f({text})\n")).root();
        crate::ast::statements(&root, &mut Vec::new()).remove(0)
    };
    let call = |text: &str| match value(text).kind {
        crate::ast::StatementKind::Step { call, .. } => call,
        other => panic!("{other:?}"),
    };
    for text in ["k = [1, 2]", "a.b[*], k = -1 s .. 2 s", "not x or y < 2", "0 .. 8 step 2", "m = lda(shrinkage = auto)", "x[\"a\"]"] {
        assert!(call(text).says_same(&call(&format!("  {text}"))), "{text}");
    }
    let differ = [
        ("\"span: 1..2\"", "\"span: 3..4\""),
        ("k = 1", "l = 1"),
        ("k = [1]", "k = [1, 2]"),
        ("a.b", "a.c"),
        ("x < y", "x > y"),
        ("-1", "1"),
    ];
    for (one, other) in differ {
        assert!(!call(one).says_same(&call(other)), "{one} {other}");
    }
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let step = prop::sample::select(vec!["direction", "audit", "responses", "transfer", "gabor", "nothing"]).prop_map(str::to_owned);
    let key = prop::sample::select(vec!["folds", "model", "model.shrinkage", "seed", "control", "window", "new"]).prop_map(str::to_owned);
    let value = prop::sample::select(vec!["8", "[1, 2]", "lda(shrinkage = 0.1)", "-1 s .. 0 s", "\"text\"", "a.b[*]", "1)", "not x", ""]);
    let value = value.prop_map(str::to_owned);
    (0usize..12, step, key, value, prop::bool::ANY).prop_map(|(kind, step, key, value, outside)| match kind {
        0 => Edit::SetArgument { step, key, value },
        1 => Edit::UnsetArgument { step, key },
        2 => Edit::SetPolicy { step, key, value },
        3 => Edit::UnsetPolicy { step, key },
        4 => Edit::AddControl { step, call: value },
        5 => Edit::RemoveStep { name: step },
        6 => Edit::Rename { from: step, to: key },
        7 => Edit::InsertStep { name: key, call: format!("f.g({value})"), after: step, outside },
        8 => Edit::SetParam { name: step, value },
        9 => Edit::AddExpect { condition: value, message: key },
        10 => Edit::AddReport { name: s("mouse_v1"), title: key, items: step },
        _ => Edit::Comment { step, text: value },
    })
}

proptest! {
    #[test]
    fn every_edit_can_be_undone_and_gives_a_text_that_parses(edits in prop::collection::vec(any_edit(), 1..8)) {
        // Those that fit, one after the other.
        let mut text = MOUSE.to_owned();
        let mut fit = Vec::new();
        for edit in edits {
            if let Ok(edited) = apply(&text, std::slice::from_ref(&edit)) {
                prop_assert!(parse(&edited.text).diagnostics.is_empty());
                prop_assert_eq!(undo(&edited.text, &edited.changes), Some(text.clone()));
                text = edited.text;
                fit.push(edit);
            }
        }
        // All at once is the same as one after the other, and back again.
        let at_once = apply(MOUSE, &fit).unwrap();
        prop_assert_eq!(&at_once.text, &text);
        prop_assert_eq!(undo(&at_once.text, &at_once.changes), Some(MOUSE.to_owned()));
    }

    #[test]
    fn bytes_that_an_edit_does_not_mention_stay(value in "[0-9]{1,6}") {
        let edit = Edit::SetArgument { step: s("direction"), key: s("folds"), value: value.clone() };
        let edited = apply(MOUSE, &[edit]).unwrap();
        let place = MOUSE.find("folds = 8").unwrap() + "folds = ".len();
        prop_assert_eq!(edited.text, format!("{}{value}{}", &MOUSE[..place], &MOUSE[place + 1..]));
    }

    #[test]
    fn any_text_as_a_value_is_one_value_or_refused(value in "[ -~\n]{0,40}") {
        let before = parse(MOUSE).root().children().count();
        if let Ok(edited) = apply(MOUSE, &[Edit::SetParam { name: s("shuffles"), value }]) {
            prop_assert_eq!(parse(&edited.text).root().children().count(), before);
        }
    }
}
