//! Lines that a person answers, beside the words of a conversation.

use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

/// How often Ctrl-C was pressed since [`watch`].
static PRESSED: AtomicUsize = AtomicUsize::new(0);

/// From now on Ctrl-C ends what is asked, and not the program.
///
/// It is so when this returns: the editor of lines has a handler of its own while a line is typed, and puts back what was there when it began. Listening that
/// began in the middle of a line would be lost with its end.
#[cfg(unix)]
pub(super) fn watch(runtime: &tokio::runtime::Runtime) {
    use tokio::signal::unix::{SignalKind, signal};
    let _inside = runtime.enter();
    let Ok(mut pressed) = signal(SignalKind::interrupt()) else { return };
    runtime.spawn(async move {
        while pressed.recv().await.is_some() {
            PRESSED.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// From now on Ctrl-C ends what is asked, and not the program.
#[cfg(not(unix))]
pub(super) fn watch(runtime: &tokio::runtime::Runtime) {
    runtime.spawn(async {
        while tokio::signal::ctrl_c().await.is_ok() {
            PRESSED.fetch_add(1, Ordering::Relaxed);
        }
    });
}

/// Whether Ctrl-C was pressed since [`watch`].
pub(super) fn was_pressed() -> bool {
    PRESSED.load(Ordering::Relaxed) > 0
}

/// A line from the person; none at the end of input, with Ctrl-D, and with Ctrl-C where that is watched for.
pub(super) fn line(question: &str) -> Option<String> {
    print!("{question}");
    let _ = std::io::stdout().flush();
    if !waited() {
        println!();
        return None;
    }
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line.trim().to_owned()),
    }
}

/// Waits for a line; false when Ctrl-C was pressed instead. A read that is under way would not end by it.
#[cfg(unix)]
fn waited() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let before = PRESSED.load(Ordering::Relaxed);
    let stdin = std::io::stdin();
    let step = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    loop {
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&step)) {
            Ok(0) | Err(rustix::io::Errno::INTR) if PRESSED.load(Ordering::Relaxed) != before => return false,
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            // A line, its end, or something that only reading tells.
            Ok(_) | Err(_) => return true,
        }
    }
}

#[cfg(not(unix))]
fn waited() -> bool {
    true
}
