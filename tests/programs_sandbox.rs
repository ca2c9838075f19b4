//! What a program may read, write and reach.

use crate::support::{Place, Said, said};

/// A pipeline of one program without inputs.
fn pipeline(command: &str) -> String {
    format!("pipeline p\nmade = exec(\"\"\"{command}\"\"\") -> file(\"x\")\nreport r {{ made }}\n")
}

/// Runs a pipeline of one program.
fn run(place: &Place, command: &str) -> Said {
    place.write("p.nf", pipeline(command));
    place.run(&["run", "p.nf"])
}

#[test]
fn a_program_writes_nowhere_but_into_its_folder() {
    let (place, other) = (Place::new(), Place::new());
    let outside = other.path().join("outside");
    let out = outside.display();
    run(&place, &format!("echo x > {out}; echo > {{{{ out }}}}"))
        .exits(3)
        .says("the program ended with exit status")
        .says("Permission denied");
    // Through a link, by a move, by a hard link, and by growing what is there.
    std::fs::write(other.path().join("there"), "before").unwrap();
    let there = other.path().join("there");
    for command in [
        format!("ln -s {out} link; echo x > link"),
        format!("echo x > here; mv here {out}"),
        format!("echo x > here; ln here {out}"),
        format!("echo x >> {}", there.display()),
        format!("rm {}", there.display()),
        format!("mkdir {out}"),
        format!("truncate -s 0 {}", there.display()),
    ] {
        run(&place, &format!("{command}; echo > {{{{ out }}}}")).exits(3);
    }
    assert!(!outside.exists());
    assert_eq!(std::fs::read_to_string(there).unwrap(), "before");
}

#[test]
fn a_program_reads_no_home_no_keys_no_cache_and_no_pipeline() {
    let (place, home) = (Place::new(), Place::new());
    let key = home.write(".ssh/id_ed25519", "sesame");
    place.write("notes.txt", "sesame");
    let (key, in_pipeline) = (key.display().to_string(), place.path().join("notes.txt").display().to_string());
    let cache = place.path().join("cache/objects").display().to_string();
    for (tool, path) in [("cat", key), ("cat", in_pipeline), ("ls", cache), ("cat", "/etc/shadow".to_owned())] {
        place.write("p.nf", pipeline(&format!("{tool} {path} > {{{{ out }}}}")));
        let mut command = place.command();
        let told = said(command.env("HOME", home.path()).args(["run", "p.nf"]).output().unwrap());
        let told = told.exits(3).says("the sandbox kept it from").says(&path).says("with reads = [");
        assert!(!told.err.contains("sesame") && !told.out.contains("sesame"), "{} {}", told.out, told.err);
    }
}

#[test]
fn what_programs_ordinarily_do_is_allowed() {
    let place = Place::new();
    let command = r#"
      test -d "$HOME" && test -w "$TMPDIR" && f=$(mktemp) && echo tmp > "$f"
      mkdir a b && echo 1 > a/x && mv a/x b/y && ln b/y b/z && ln -s y b/w && rm b/z && rmdir a
      echo to-out > /dev/stdout; echo to-err > /dev/stderr; echo nothing > /dev/null; head -c 4 /dev/urandom > /dev/null
      seq 3 | sort -r | xargs -n 1 echo | tr '\n' ' ' > sorted
      cat /proc/self/status /proc/cpuinfo /proc/meminfo /etc/passwd /etc/ld.so.cache > /dev/null
      mkfifo pipe; cat pipe > got & echo through > pipe; wait
      cat b/w sorted got > {{ out }}
    "#;
    run(&place, command).exits(0);
    let told = place.run(&["get", "made", "-o", "-"]).exits(0);
    assert_eq!(told.out, "1\n3 2 1 through\n");
}

#[test]
fn python_with_processes_of_its_own_is_allowed() {
    let place = Place::new();
    let command = "python3 work.py {{ out }}";
    place.write(
        "work.py",
        "import multiprocessing, sys, tempfile, ssl, sqlite3, json\n\
         def square(x):\n    return x * x\n\
         if __name__ == '__main__':\n\
         \x20   lock = multiprocessing.Lock()\n\
         \x20   with lock, tempfile.TemporaryFile() as file, multiprocessing.Pool(2) as pool:\n\
         \x20       file.write(b'x')\n\
         \x20       open(sys.argv[1], 'w').write(str(sum(pool.map(square, range(4)))))\n",
    );
    run(&place, command).exits(0);
    assert_eq!(place.run(&["get", "made", "-o", "-"]).exits(0).out, "14");
}

#[test]
fn a_program_without_leave_does_not_reach_the_network() {
    let place = Place::new();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let command = format!("bash -c 'echo hello > /dev/tcp/127.0.0.1/{port}'; echo > {{{{ out }}}}");
    run(&place, &command).exits(3).says("the sandbox keeps it from the network").says("network = on");
    server.set_nonblocking(true).unwrap();
    assert!(server.accept().is_err());
}

#[test]
fn a_sandbox_can_be_switched_off_or_required_and_what_was_used_is_recorded() {
    let (place, other) = (Place::new(), Place::new());
    let outside = other.path().join("outside");
    place.write("p.nf", pipeline(&format!("echo x > {}; echo > {{{{ out }}}}", outside.display())));
    let with = |wish: &str, path: Option<&str>| {
        let mut command = place.command();
        command.env("NEUROFLOW_SANDBOX", wish).args(["run", "p.nf"]);
        if let Some(path) = path {
            command.env("PATH", path);
        }
        said(command.output().unwrap())
    };
    with("off", None).exits(0).says("programs run without a sandbox: switched off");
    assert!(outside.exists());
    let recorded = |text: &str| {
        everything(&place.path().join("cache")).iter().any(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
    };
    assert!(recorded("\"kind\":\"none\"") && !recorded("\"kind\":\"landlock\""));
    with("nonsense", None).exits(4).says("`nonsense` is no sandbox");
    place.write("p.nf", pipeline("true; echo > {{ out }}"));
    with("bubblewrap", Some("/nowhere")).exits(3).says("programs must run in a sandbox here").says("NEUROFLOW_SANDBOX=off");
    with("require", None).exits(0);
    assert!(recorded("\"network\":\"refused\""));
}

fn everything(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().flatten();
    entries
        .flat_map(|entry| if entry.path().is_dir() { everything(&entry.path()) } else { vec![std::fs::read(entry.path()).unwrap()] })
        .collect()
}

#[test]
fn scripts_that_the_command_names_are_given_and_part_of_the_key() {
    let place = Place::new();
    place.write("scripts/a.sh", "cat scripts/b.txt; echo one > \"$1\"\n");
    place.write("scripts/b.txt", "helper\n");
    // A file beside it that nobody named is not there.
    run(&place, "sh -e scripts/a.sh {{ out }}").exits(3).says("scripts/b.txt");
    place.write("scripts/a.sh", "echo one > \"$1\"\n");
    run(&place, "sh -e scripts/a.sh {{ out }}").exits(0);
    assert_eq!(place.run(&["get", "made", "-o", "-"]).exits(0).out, "one\n");
    // What the script is not changes nothing; what it is does.
    place.write("scripts/b.txt", "other\n");
    place.run(&["run", "p.nf"]).exits(0).says("(0 tasks ran,");
    place.write("scripts/a.sh", "echo two > \"$1\"\n");
    place.run(&["run", "p.nf"]).exits(0).says("(1 tasks ran,");
    assert_eq!(place.run(&["get", "made", "-o", "-"]).exits(0).out, "two\n");
    // A program changes its own copy, and nothing else.
    run(&place, "echo 'rm -rf' > scripts/a.sh; chmod 777 scripts/a.sh; cp scripts/a.sh {{ out }}").exits(0);
    assert_eq!(std::fs::read_to_string(place.path().join("scripts/a.sh")).unwrap(), "echo two > \"$1\"\n");
    place.run(&["cache", "verify"]).exits(0);
}

#[test]
fn what_is_no_plain_file_is_no_result() {
    let place = Place::new();
    place.write("secret", "sesame");
    for (command, what) in [
        ("ln -s /etc/passwd {{ out }}", "a symbolic link"),
        ("mkfifo {{ out }}", "a named pipe"),
        ("mkdir {{ out }}", "a folder"),
        ("true {{ out }}", "it wrote nothing"),
        ("truncate -s 1T {{ out }}", "the program wrote 1.0 TiB into `x`"),
    ] {
        run(&place, command).exits(3).says(what);
    }
}
