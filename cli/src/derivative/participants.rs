//! Who took part, as far as the sources say it: rows of their `participants.tsv` for the subjects that the dataset has.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

const ID: &str = "participant_id";

/// The rows of tables that are about `subjects` (`sub-01`), under the columns of all of them; none when no table has one. Where several are about a subject,
/// the first counts. What can't be read as such a table says nothing.
pub(super) fn participants(tables: &[String], subjects: &BTreeSet<String>) -> Option<String> {
    let (mut columns, mut rows): (Vec<&str>, Vec<Vec<(&str, &str)>>) = (vec![ID], Vec::new());
    let mut seen = BTreeSet::new();
    for table in tables {
        let mut lines = table.trim_start_matches('\u{feff}').lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
        let Some(id) = header.iter().position(|name| *name == ID) else { continue };
        for line in lines {
            let cells: Vec<&str> = line.split('\t').collect();
            let is_meant = cells.get(id).is_some_and(|id| subjects.contains(*id) && seen.insert((*id).to_owned()));
            if is_meant {
                rows.push(header.iter().copied().zip(cells).collect());
                let new: Vec<&str> = header.iter().filter(|name| !columns.contains(name)).copied().collect();
                columns.extend(new);
            }
        }
    }
    if rows.is_empty() {
        return None;
    }
    rows.sort_by_key(|row| row.iter().find(|(name, _)| *name == ID).map(|(_, id)| *id));
    let mut text = format!("{}\n", columns.join("\t"));
    for row in &rows {
        let cell = |column: &&str| row.iter().find(|(name, _)| name == column).map_or("n/a", |(_, cell)| cell);
        text += &format!("{}\n", columns.iter().map(cell).collect::<Vec<_>>().join("\t"));
    }
    Some(text)
}

/// What the sources say of the columns; where several say something, the first counts.
pub(super) fn described(texts: &[String]) -> Map<String, Value> {
    let mut all = Map::new();
    for text in texts {
        let Ok(Value::Object(fields)) = serde_json::from_str(text.trim_start_matches('\u{feff}')) else { continue };
        for (name, said) in fields {
            all.entry(name).or_insert(said);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_carried_for_the_subjects_that_are_there() {
        let one = "\u{feff}participant_id\tage\r\nsub-02\t31\nsub-01\t30\nsub-09\t1\n".to_owned();
        let other = "group\tparticipant_id\nx\tsub-01\ny\tsub-03\n".to_owned();
        let subjects = ["sub-01", "sub-02", "sub-03", "sub-04"].map(str::to_owned).into();
        let text = participants(&[one, "no table".into(), other], &subjects).unwrap();
        assert_eq!(text, "participant_id\tage\tgroup\nsub-01\t30\tn/a\nsub-02\t31\tn/a\nsub-03\tn/a\ty\n");
        assert_eq!(participants(&["participant_id\nsub-09\n".into()], &subjects), None);
    }
}
