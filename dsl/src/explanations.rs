//! A page for each kind of mistake, inside the binary: `neuroflow explain CODE`.

/// Code and page.
pub const PAGES: &[(&str, &str)] = &[];

/// The page of a code.
pub fn explanation(code: &str) -> Option<&'static str> {
    PAGES.iter().find(|(known, _)| *known == code).map(|(_, page)| *page)
}
