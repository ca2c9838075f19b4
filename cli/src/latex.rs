//! Text for LaTeX and BibTeX.

use neuroflow_agent::escape_line;

/// A text whose letters mean themselves: whatever LaTeX would read as a command or as the end of a group is taken out of its meaning.
pub(crate) fn in_latex(text: &str) -> String {
    let mut out = String::new();
    for letter in escape_line(text).chars() {
        match letter {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', letter]),
            '\\' => out += "\\textbackslash{}",
            '~' => out += "\\textasciitilde{}",
            '^' => out += "\\textasciicircum{}",
            '<' => out += "\\textless{}",
            '>' => out += "\\textgreater{}",
            '|' => out += "\\textbar{}",
            '±' => out += "$\\pm$",
            '–' => out += "--",
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::in_latex;

    #[test]
    fn every_letter_means_itself() {
        assert_eq!(in_latex("50 % of {x} \\ ~ ^"), "50 \\% of \\{x\\} \\textbackslash{} \\textasciitilde{} \\textasciicircum{}");
        assert_eq!(in_latex("a<b|c>"), "a\\textless{}b\\textbar{}c\\textgreater{}");
        assert_eq!(in_latex("0.5 ±0.1 – a_b & c"), "0.5 $\\pm$0.1 -- a\\_b \\& c");
    }
}
