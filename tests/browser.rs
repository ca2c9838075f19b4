//! The report in a real browser.

use crate::support::{Place, pipeline};
use std::path::PathBuf;
use std::process::Command;

fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("NEUROFLOW_BROWSER").filter(|name| !name.is_empty()).map(PathBuf::from);
    let usual = || {
        ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
            .map(PathBuf::from)
            .into_iter()
            .find(|path| path.is_file())
    };
    named.or_else(usual)
}

#[test]
fn a_browser_shows_the_report() {
    let Some(browser) = browser() else {
        println!("skipped: no Chromium found; set NEUROFLOW_BROWSER to one");
        return;
    };
    let place = Place::new();
    place.write("truth.nf", pipeline("simulated_truth.nf"));
    place.run(&["run", "truth.nf", "--set", "shuffles=20", "--quiet"]).exits(0);
    let page = place.path().join("reports/simulated_truth.html");
    let picture = place.path().join("page.png");
    let headless = |extra: &[&str]| {
        Command::new(&browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"])
            .args(["--disable-component-update", "--disable-quic", "--window-size=1200,3000"])
            .arg(format!("--user-data-dir={}", place.path().join("profile").display()))
            .args(extra)
            .arg(format!("file://{}", page.display()))
            .output()
            .unwrap()
    };
    let dom = String::from_utf8_lossy(&headless(&["--dump-dom"]).stdout).into_owned();
    assert!(
        dom.contains("Simulated data") && dom.contains("ordered by its 4 communities") && dom.contains("</svg>"),
        "{}",
        &dom[..dom.len().min(2000)]
    );
    headless(&[&format!("--screenshot={}", picture.display())]);
    // A blank page of this size compresses to a few kilobytes.
    assert!(picture.metadata().unwrap().len() > 40_000);
}
