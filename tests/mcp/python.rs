//! The official client for Python, from PyPI, over both ways: another implementation of the same protocol.

use super::*;
use std::process::Command;

#[test]
fn the_python_client_looks_and_proposes() {
    let root = env!("CARGO_MANIFEST_DIR");
    let made = Command::new(format!("{root}/tests/mcp/start")).output();
    let python = match made {
        Ok(made) if made.status.success() => String::from_utf8_lossy(&made.stdout).trim().to_owned(),
        Ok(made) => return eprintln!("passed over: {}", String::from_utf8_lossy(&made.stderr).trim()),
        Err(error) => return eprintln!("passed over: {error}"),
    };
    let place = project(LEFT_TO_CLIENTS);
    place.write("knowledge/a.md", "a text that somebody wrote\n");
    let before = outside(&place);
    let mut client = place.command();
    let program = client.get_program().to_owned();
    let mut command = Command::new(python);
    command.arg(format!("{root}/tests/mcp/client.py")).arg(&program).current_dir(place.path());
    // The server gets the environment of these tests; a client of the SDK passes on little of its own.
    for (name, value) in client.arg("mcp").get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let said = crate::support::said(command.output().unwrap()).exits(0);
    let told: Value = serde_json::from_str(said.out.lines().last().unwrap()).unwrap();
    assert_eq!(told["tools"], 20, "{told}");
    assert_eq!(told["waiting"]["status"], "awaiting_human", "{told}");
    assert_eq!(told["declined"]["status"], "awaiting_human", "{told}");
    assert!(told["declined"]["not_approved"].as_str().unwrap().contains("declined"), "{told}");
    assert!(told["stage"].as_str().unwrap().contains("decode.classify"), "{told}");
    assert_eq!(told["http"]["status"], "awaiting_human", "{told}");
    assert_eq!((&told["http"]["needs"], &told["other"]["needs"]), (&json!("client"), &json!("terminal")), "{told}");
    assert_eq!(told["refused"], true, "without the token nothing is told: {told}");
    let actors: Vec<Value> = ledger(&place).into_iter().map(|line| line["actor"].clone()).collect();
    assert!(actors.contains(&json!("python 2 (MCP)")) && actors.contains(&json!("somebody else 3 (MCP)")), "{actors:?}");
    nothing_changed(&place, &before);
}
