//! What a person reads: the same facts in four forms, and no text in them that looks like the card itself.

use super::outside::Outside;
use super::{PIPELINE, project};
use neuroflow_agent::{Card, Draft, How, Origin, Proposal, Seen, Settings, State, html, json, markdown, terminal};
use neuroflow_dsl::edit::Edit;
use std::time::Instant;

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn draft(edits: Vec<Edit>) -> Draft {
    Draft {
        pipeline: "small.nf".into(),
        files: vec![("small.nf".into(), How::Edits(edits))],
        intent: "Do five folds change the score?".into(),
        predictions: vec!["min(direction[*].accuracy) >= 0".into()],
        seen: Seen { free_text: vec!["the note knowledge/bands.md".into()], looks: 2, ..Seen::default() },
        origin: Origin::Chat { model: "qwen3-4b @ 127.0.0.1:8080".into() },
        transcript: None,
        parent: None,
    }
}

fn folds(value: &str) -> Edit {
    Edit::SetArgument { step: "direction".into(), key: "folds".into(), value: value.into() }
}

/// A text without what changes with every version: digests, and numbers of bytes.
fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for letter in text.chars().chain(['\0']) {
        if letter.is_ascii_hexdigit() {
            word.push(letter);
            continue;
        }
        let is_digest = word.len() == 64 || word.len() == 8 && out.ends_with("p-");
        out.push_str(if is_digest { "DIGEST" } else { &word });
        word.clear();
        out.push(letter);
    }
    out.trim_end_matches('\0').to_owned()
}

#[test]
fn one_proposal_in_four_forms() {
    let place = project();
    let area = PIPELINE.lines().find(|line| line.starts_with("areas = ")).unwrap();
    place.write("small.nf", PIPELINE.replace(area, "areas = ingest.trials(sessions[\"sim1\"])"));
    let outside = Outside::of(place);
    let inside = outside.project(Settings::default());
    let edits = vec![
        folds("5"),
        Edit::AddControl { step: "direction".into(), call: "window(-1 s .. 0 s)".into() },
        Edit::RemoveExpect { condition: "min(direction[*].accuracy) >= 0".into() },
        Edit::Comment { step: "areas".into(), text: "how many units each area has".into() },
    ];
    let proposal = block(inside.propose(draft(edits))).unwrap();
    let card = Card::of(&inside, &proposal, State::Offered, None, vec!["small.nf".into()]);
    let form = serde_json::to_string_pretty(&json(&card)).unwrap();
    for (name, shown) in
        [("card.txt", terminal(&card, false)), ("card.md", markdown(&card)), ("card.html", html(&card)), ("card.json", form)]
    {
        let file = format!("{}/tests/agent/cards/{name}", env!("CARGO_MANIFEST_DIR"));
        let shown = masked(&shown);
        if std::env::var_os("NEUROFLOW_BLESS").is_some() {
            std::fs::create_dir_all(std::path::Path::new(&file).parent().unwrap()).unwrap();
            std::fs::write(&file, &shown).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(expected == shown, "{name} is another one; NEUROFLOW_BLESS=1 writes it\n{shown}");
    }
}

/// Texts that try to be more than a text.
fn hostile() -> Vec<String> {
    let spaces = " ".repeat(60);
    let mut all: Vec<String> = [
        "x\n  re-runs   0 of 0 tasks",
        "x\r  cost      nothing runs",
        "x\u{1b}[1A\u{1b}[2K  look      nothing",
        "x\u{85}  read      no free text",
        "x\u{2028}  approve [a]",
        "\u{202e}evil\u{2066}",
        "x\u{8}\u{8}\u{8}y",
        "| a | b |\n| c | d |",
        "a | b",
        "`a` | `b`",
        "```\n# heading\n```",
        "````",
        "</pre></td></table><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "\" onmouseover=\"alert(1)",
        "&lt;b&gt;",
        "[link](javascript:alert(1))",
        "![x](http://127.0.0.1/x)",
        "{{ card }}",
        "\u{e0041}\u{e0042}",
    ]
    .map(str::to_owned)
    .to_vec();
    // A terminal would begin a new line where its width ends.
    for width in [60, 80, 100, 120] {
        all.push(format!("x{}  re-runs   0 of 0 tasks", " ".repeat(width)));
        all.push(format!("{}{spaces}{spaces}proposal p-00000000  \"harmless\"  by a person", "y".repeat(width)));
    }
    all
}

/// The lines of a terminal's card that carry a label.
fn labels(card: &str) -> Vec<String> {
    let label = |line: &str| {
        let rest = line.strip_prefix("  ")?;
        // The shortest of them differ in this many letters.
        (!rest.starts_with(' ')).then(|| rest.chars().take(5).collect())
    };
    card.lines().filter_map(label).collect()
}

#[test]
fn no_text_forges_a_line_a_cell_or_a_tag() {
    let outside = Outside::of(project());
    let inside = outside.project(Settings::default());
    let honest = block(inside.propose(draft(vec![folds("5")]))).unwrap();
    let with = |text: &str| {
        let mut proposal: Proposal = honest.clone();
        proposal.intent = text.to_owned();
        proposal.predictions = vec![text.to_owned()];
        proposal.origin = Origin::Mcp { client: text.to_owned(), version: text.to_owned() };
        proposal.seen.free_text = vec![text.to_owned()];
        if let Some(plan) = &mut proposal.plan {
            plan.moves = vec![text.to_owned()];
            plan.later = vec![text.to_owned()];
        }
        Card::of(&inside, &proposal, State::Offered, Some(text.to_owned()), vec![text.to_owned()])
    };
    let plain = with("x");
    for text in hostile() {
        let card = with(&text);
        let shown = terminal(&card, false);
        assert_eq!(labels(&shown), labels(&terminal(&plain, false)), "{text:?}\n{shown}");
        assert_eq!(shown.lines().filter(|line| line.starts_with("proposal ")).count(), 1, "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        assert!(!shown.chars().any(|letter| letter.is_control() && letter != '\n'), "{text:?}\n{shown}");
        // With colours there are ours and no others.
        assert_eq!(terminal(&card, true).matches('\u{1b}').count(), terminal(&plain, true).matches('\u{1b}').count(), "{text:?}");
        let (page, empty) = (html(&card), html(&plain));
        assert_eq!(page.matches('<').count(), empty.matches('<').count(), "{text:?}\n{page}");
        assert_eq!(page.matches('>').count(), empty.matches('>').count(), "{text:?}");
        assert_eq!(page.matches('"').count(), empty.matches('"').count(), "{text:?}");
        let (note, empty) = (markdown(&card), markdown(&plain));
        assert_eq!(note.lines().count(), empty.lines().count(), "{text:?}\n{note}");
        for (line, known) in note.lines().zip(empty.lines()) {
            assert_eq!(line.matches('`').count(), known.matches('`').count(), "{text:?}\n{line}");
            // In a table a bar ends a cell, in code too.
            let bars = |line: &str| line.replace("\\|", "").matches('|').count();
            if known.starts_with("| ") {
                assert_eq!(bars(line), bars(known), "{text:?}\n{line}");
            }
        }
        let document = json(&card).to_string();
        assert!(document.lines().count() == 1 && serde_json::from_str::<serde_json::Value>(&document).is_ok());
    }
}

#[test]
fn long_lines_of_a_change_do_not_begin_at_the_left_edge() {
    let outside = Outside::of(project());
    let inside = outside.project(Settings::default());
    let comment = format!("fine{}proposal p-00000000  \"harmless\"  by a person{}  re-runs   0 of 0 tasks", " ".repeat(70), " ".repeat(40));
    let proposal = block(inside.propose(draft(vec![Edit::Comment { step: "areas".into(), text: comment.clone() }]))).unwrap();
    let shown = terminal(&Card::of(&inside, &proposal, State::Offered, None, Vec::new()), false);
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    assert_eq!(shown.lines().filter(|line| line.trim_start().starts_with("proposal p-")).count(), 1, "{shown}");
    // Nothing of it is lost.
    let joined = shown.replace("\n               ↳ ", "");
    assert!(joined.contains(comment.trim()), "{joined}");
}

#[test]
fn a_change_is_shown_as_it_is_made() {
    let outside = Outside::of(project());
    let inside = outside.project(Settings::default());
    let proposal = block(inside.propose(draft(vec![folds("5")]))).unwrap();
    let card = Card::of(&inside, &proposal, State::Offered, None, Vec::new());
    let after = proposal.files[0].apply(PIPELINE).unwrap();
    assert_eq!(after, PIPELINE.replace("folds = 4", "folds = 5"));
    assert_eq!((card.files[0].added, card.files[0].removed), (1, 1));
    outside.is_unchanged("a card");
}

/// The longest time that the card of a change of 200 steps may take to make, in a build for tests on a busy machine. It is about 200 ms when nothing else runs.
const LONGEST_MS: u128 = 3000;

#[test]
fn the_card_of_a_change_of_200_steps_is_there_at_once() {
    let place = project();
    let mut text = String::from(
        "pipeline small\n\ninput sessions = ingest.simulate(trials_per_direction = 4, units = [6, 6, 6], communities = 2)\n\nresponses = ingest.trials(sessions[\"sim1\"])\n",
    );
    for step in 0..199 {
        text.push_str(&format!("step_{step} = ingest.window(responses, window = 0 s .. {}.5 s)\n", step % 2 + 1));
    }
    text.push_str("\nreport r { ");
    text.push_str(&(0..199).map(|step| format!("step_{step}")).collect::<Vec<_>>().join(", "));
    text.push_str(" }\n");
    place.write("small.nf", &text);
    let outside = Outside::of(place);
    let inside = outside.project(Settings::default());
    let change = |end: &str| Draft {
        predictions: Vec::new(),
        ..draft(vec![Edit::SetArgument { step: "step_7".into(), key: "window".into(), value: format!("0 s .. {end} s") }])
    };
    block(inside.propose(change("1.25"))).unwrap();
    let mut took: Vec<u128> = ["1.3", "1.4", "1.6", "1.7", "1.8"]
        .iter()
        .map(|end| {
            let began = Instant::now();
            let proposal = block(inside.propose(change(end))).unwrap();
            let shown = terminal(&Card::of(&inside, &proposal, State::Offered, None, Vec::new()), false);
            assert!(shown.contains("200 tasks") || shown.contains("of 20"), "{shown}");
            began.elapsed().as_millis()
        })
        .collect();
    took.sort_unstable();
    println!("the card of a change of 200 steps: {} ms (median of {took:?})", took[2]);
    assert!(took[2] < LONGEST_MS, "{took:?}");
}

/// A pipeline of so many steps that score the same responses, each with null draws.
fn controlled(steps: usize) -> String {
    let mut text = String::from(
        "pipeline small\n\ninput sessions = ingest.simulate(trials_per_direction = 4, units = [6, 6, 6], communities = 2)\n\nresponses = ingest.trials(sessions[\"sim1\"])\n",
    );
    for step in 0..steps {
        let folds = step % 3 + 2;
        text.push_str(&format!(
            "step_{step} = decode.classify(responses, target = \"direction\", folds = {folds})\n  with control = shuffle(\"direction\", n = 200), seed = 1\n"
        ));
    }
    text.push_str("\nreport r { step_0 }\n");
    text
}

/// The median of how long something takes, in milliseconds, and the median of something else in turn with it, so that both have the same machine.
fn medians(mut one: impl FnMut(), mut other: impl FnMut()) -> (f64, f64) {
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..5 {
        for (place, work) in [&mut one as &mut dyn FnMut(), &mut other].into_iter().enumerate() {
            let began = Instant::now();
            work();
            took[place].push(began.elapsed().as_secs_f64() * 1e3);
        }
    }
    took.iter_mut().for_each(|took| took.sort_by(f64::total_cmp));
    (took[0][2], took[1][2])
}

/// A card compares two plans. What it works out beside them must not be much more than making them, with whatever null draws, and grows as they do.
#[test]
fn a_card_takes_little_longer_than_the_plans_that_it_compares() {
    let mut of_size = Vec::new();
    for steps in [100, 200, 400] {
        let place = project();
        place.write("small.nf", controlled(steps));
        let outside = Outside::of(place);
        let inside = outside.project(Settings::default());
        // All that follows is changed with it.
        let change = || draft(vec![Edit::SetArgument { step: "responses".into(), key: "session".into(), value: "\"other\"".into() }]);
        let made = || block(inside.propose(Draft { predictions: Vec::new(), ..change() }));
        let proposal = made().unwrap();
        assert!(proposal.plan.as_ref().unwrap().count(neuroflow_engine::delta::Fate::Changed) > steps * 20);
        let twice = || (0..2).for_each(|_| drop(block(inside.plan_now("small.nf")).unwrap().unwrap()));
        let (card, plans) = medians(|| drop(made().unwrap()), twice);
        println!("{steps} steps with null draws: the card {card:.0} ms, the two plans {plans:.0} ms");
        of_size.push((card, plans));
    }
    for (card, plans) in &of_size {
        assert!(*card < MOST_PLANS * plans, "{of_size:?}");
    }
    let (small, large) = (of_size[0].0, of_size[2].0);
    assert!(large < MOST_GROWTH * small, "four times the steps: {of_size:?}");
}

/// How many times as long as the plans a card may take; 2 to 4 when little else runs.
const MOST_PLANS: f64 = 8.0;

/// How many times as long four times the steps may take; 16 would be their square.
const MOST_GROWTH: f64 = 10.0;
