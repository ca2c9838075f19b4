//! Labels of tasks, as people read them: a step's name, its members in brackets, and behind a dot the part of it.
//!
//! Names of members come from data and may hold anything, so a label is read from its ends: a name has no brackets and no spaces, and a part no `"]`.

/// The step's name: `direction` of `direction["m1"] · controls`.
pub fn step_name(label: &str) -> &str {
    label.split(['[', ' ']).next().unwrap_or(label)
}

/// The part that is no step's own call: `controls` of `direction["m1"] · controls`.
pub fn part(label: &str) -> Option<&str> {
    let members = label.rfind("\"]").map_or(0, |at| at + 2);
    label[members..].split_once(" · ").map(|(_, part)| part)
}

/// The step with its members: `direction["m1"]` of `direction["m1"] · controls`.
pub fn step(label: &str) -> &str {
    match part(label) {
        Some(part) => label.strip_suffix(part).and_then(|rest| rest.strip_suffix(" · ")).unwrap_or(label),
        None => label,
    }
}

/// The members: `["m1"]` of `direction["m1"] · controls`.
pub fn members(label: &str) -> &str {
    let step = step(label);
    &step[step_name(step).len()..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_read_whatever_its_members_are_called() {
        for (label, name, of_members, of_part) in [
            ("direction", "direction", "", None),
            ("direction · controls", "direction", "", Some("controls")),
            ("direction[\"m1\"] · shuffle 0–99", "direction", "[\"m1\"]", Some("shuffle 0–99")),
            ("a[\"x · y\"]", "a", "[\"x · y\"]", None),
            ("a[\"x · y\"][\"b[1] c\"] · window", "a", "[\"x · y\"][\"b[1] c\"]", Some("window")),
            ("lab/a[\"ä\"]", "lab/a", "[\"ä\"]", None),
        ] {
            assert_eq!((step_name(label), members(label), part(label)), (name, of_members, of_part), "{label}");
            assert_eq!(step(label), format!("{name}{of_members}"));
        }
    }
}
