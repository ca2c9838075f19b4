//! A page for each kind of mistake, inside the binary: `neuroflow explain CODE`.

/// Code and page.
pub const PAGES: &[(&str, &str)] = &[
    ("bad-exec", include_str!("../../docs/errors/bad-exec.md")),
    ("bad-function", include_str!("../../docs/errors/bad-function.md")),
    ("bad-loop", include_str!("../../docs/errors/bad-loop.md")),
    ("bad-query", include_str!("../../docs/errors/bad-query.md")),
    ("bad-set", include_str!("../../docs/errors/bad-set.md")),
    ("bad-sweep", include_str!("../../docs/errors/bad-sweep.md")),
    ("bad-template", include_str!("../../docs/errors/bad-template.md")),
    ("bad-use", include_str!("../../docs/errors/bad-use.md")),
    ("control-unsupported", include_str!("../../docs/errors/control-unsupported.md")),
    ("cycle", include_str!("../../docs/errors/cycle.md")),
    ("duplicate-name", include_str!("../../docs/errors/duplicate-name.md")),
    ("empty-family", include_str!("../../docs/errors/empty-family.md")),
    ("family-needs-index", include_str!("../../docs/errors/family-needs-index.md")),
    ("maybe-missing", include_str!("../../docs/errors/maybe-missing.md")),
    ("missing-input", include_str!("../../docs/errors/missing-input.md")),
    ("missing-parameter", include_str!("../../docs/errors/missing-parameter.md")),
    ("no-pipeline", include_str!("../../docs/errors/no-pipeline.md")),
    ("syntax", include_str!("../../docs/errors/syntax.md")),
    ("type-mismatch", include_str!("../../docs/errors/type-mismatch.md")),
    ("unit-mismatch", include_str!("../../docs/errors/unit-mismatch.md")),
    ("unknown-control", include_str!("../../docs/errors/unknown-control.md")),
    ("unknown-metric", include_str!("../../docs/errors/unknown-metric.md")),
    ("unknown-name", include_str!("../../docs/errors/unknown-name.md")),
    ("unknown-parameter", include_str!("../../docs/errors/unknown-parameter.md")),
    ("unknown-policy", include_str!("../../docs/errors/unknown-policy.md")),
    ("unknown-reader", include_str!("../../docs/errors/unknown-reader.md")),
    ("unknown-stage", include_str!("../../docs/errors/unknown-stage.md")),
    ("unknown-unit", include_str!("../../docs/errors/unknown-unit.md")),
    ("unused-step", include_str!("../../docs/errors/unused-step.md")),
    ("wrong-value", include_str!("../../docs/errors/wrong-value.md")),
];

/// The page of a code.
pub fn explanation(code: &str) -> Option<&'static str> {
    PAGES.iter().find(|(known, _)| *known == code).map(|(_, page)| *page)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code that a diagnostic of this crate is made with, from the sources themselves.
    fn codes() -> Vec<String> {
        let sources = [
            include_str!("check/mod.rs"),
            include_str!("check/settings.rs"),
            include_str!("check/inputs.rs"),
            include_str!("check/steps.rs"),
            include_str!("check/bindings.rs"),
            include_str!("check/arguments.rs"),
            include_str!("check/policies.rs"),
            include_str!("check/programs.rs"),
            include_str!("check/results.rs"),
            include_str!("parser.rs"),
            include_str!("evaluate.rs"),
            include_str!("condition.rs"),
            include_str!("ast.rs"),
            include_str!("policy.rs"),
            include_str!("check/blocks.rs"),
            include_str!("check/promises.rs"),
            include_str!("check/queries.rs"),
            include_str!("check/sweeps.rs"),
            include_str!("written/functions.rs"),
            include_str!("written/names.rs"),
            include_str!("written/uses.rs"),
            include_str!("expand/mod.rs"),
            include_str!("expand/instance.rs"),
            include_str!("expand/references.rs"),
        ];
        let mut codes = Vec::new();
        for source in sources {
            for opening in ["Diagnostic::error(\"", "Diagnostic::warning(\"", "error(\"", "((\""] {
                for rest in source.split(opening).skip(1) {
                    let code = rest.split('"').next().unwrap_or_default();
                    if !code.is_empty() && code.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
                        codes.push(code.to_owned());
                    }
                }
            }
        }
        codes.sort();
        codes.dedup();
        codes
    }

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let codes = codes();
        for code in &codes {
            assert!(explanation(code).is_some(), "docs/errors/{code}.md is missing");
        }
        for (code, page) in PAGES {
            assert!(codes.iter().any(|known| known == code), "{code} is never told");
            assert!(page.starts_with(&format!("# {code}: ")), "docs/errors/{code}.md");
        }
    }
}
