//! A dictionary as Python prints it, `{'weight': 4, 'type': 'chem'}`: names, numbers, truth values and texts. Nothing is run.

use super::Attribute;

/// The members of a dictionary, in their order; what is `None` is left out.
pub(super) fn dict(text: &str) -> Result<Vec<(String, Attribute)>, String> {
    let inside = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).ok_or("the dictionary is not closed")?;
    let mut rest = inside.trim_start();
    let mut members = Vec::new();
    while !rest.is_empty() {
        let (key, after) = quoted(rest)?.ok_or("a name in quotes is expected in the dictionary")?;
        let after =
            after.trim_start().strip_prefix(':').ok_or_else(|| format!("`{}` has no value in the dictionary", key.escape_debug()))?;
        let (value, after) = value(after.trim_start(), &key)?;
        if let Some(value) = value {
            members.push((key, value));
        }
        let after = after.trim_start();
        rest = match after.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if after.is_empty() => after,
            None => return Err("a comma is missing between two members of the dictionary".into()),
        };
    }
    Ok(members)
}

/// A value and what follows it; nothing for `None`.
fn value<'t>(text: &'t str, key: &str) -> Result<(Option<Attribute>, &'t str), String> {
    if let Some((own, rest)) = quoted(text)? {
        return Ok((Some(Attribute::Text(own)), rest));
    }
    let end = text.find(',').unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let word = word.trim();
    // NumPy 2 prints its numbers with their type: `np.float64(2.5)`.
    let bare = word.strip_prefix("np.").and_then(|typed| typed.strip_suffix(')')).and_then(|typed| typed.split_once('('));
    let bare = bare.map_or(word, |(_, number)| number);
    let own = match bare {
        "None" => None,
        "True" | "True_" => Some(Attribute::Truth(true)),
        "False" | "False_" => Some(Attribute::Truth(false)),
        number => {
            let whole = number.parse::<i64>().map(Attribute::Whole);
            let own = whole.or_else(|_| number.parse::<f64>().map(Attribute::Real));
            Some(own.map_err(|_| format!("the value of `{}` is neither a number nor a text", key.escape_debug()))?)
        }
    };
    Ok((own, rest))
}

/// A text in quotes and what follows it; `None` where no quote stands first.
fn quoted(text: &str) -> Result<Option<(String, &str)>, String> {
    let mut letters = text.char_indices();
    let Some((_, quote @ ('\'' | '"'))) = letters.next() else { return Ok(None) };
    let mut own = String::new();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => match letters.next() {
                Some((_, 'n')) => own.push('\n'),
                Some((_, 't')) => own.push('\t'),
                Some((_, letter @ ('\'' | '"' | '\\'))) => own.push(letter),
                _ => return Err("a text in the dictionary has a character by number".into()),
            },
            letter if letter == quote => return Ok(Some((own, text.get(at + 1..).unwrap_or_default()))),
            letter => own.push(letter),
        }
    }
    Err("a text in the dictionary is not closed".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_names_with_numbers_texts_and_truths() {
        let text = r#"{'weight': 4, "a 'b'": -1.5e-3, 'type': 'it\'s, {so}', 'ok': True, 'no': None, 'np': np.float64(2.5)}"#;
        let expected = [
            ("weight", Attribute::Whole(4)),
            ("a 'b'", Attribute::Real(-0.0015)),
            ("type", Attribute::Text("it's, {so}".into())),
            ("ok", Attribute::Truth(true)),
            ("np", Attribute::Real(2.5)),
        ];
        assert_eq!(dict(text).unwrap(), expected.map(|(name, value)| (name.to_owned(), value)));
        assert_eq!(dict("{}").unwrap(), []);
    }

    #[test]
    fn anything_else_is_refused() {
        for (text, told) in [
            ("{'a': [1, 2]}", "the value of `a` is neither"),
            ("{'a': __import__('os')}", "the value of `a` is neither"),
            ("{1: 2}", "a name in quotes"),
            ("{'a' 2}", "`a` has no value"),
            ("{'a': 'b}", "not closed"),
            ("{'a': 'b' 'c'}", "a comma is missing"),
        ] {
            assert!(dict(text).unwrap_err().contains(told), "{text}");
        }
    }
}
