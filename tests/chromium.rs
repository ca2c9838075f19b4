//! A browser without a window, driven over pipes by the DevTools protocol.

use base64::Engine as _;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The browser of this machine; tests that need one are skipped where there is none.
pub fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("NEUROFLOW_BROWSER").filter(|name| !name.is_empty()).map(PathBuf::from);
    let usual = || {
        ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"]
            .map(PathBuf::from)
            .into_iter()
            .find(|path| path.is_file())
    };
    named.or_else(usual)
}

/// A page in a running browser. The browser ends with it.
pub struct Page {
    browser: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    next: u64,
    session: Option<String>,
    events: Vec<Value>,
}

impl Page {
    /// Starts a browser; none where there is none.
    pub fn start(profile: &Path) -> Option<Page> {
        let Some(browser) = browser() else {
            println!("skipped: no Chromium found; set NEUROFLOW_BROWSER to one");
            return None;
        };
        // The browser reads commands from 3 and answers at 4.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1"]).arg(browser);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"]);
        command.args(["--disable-background-networking", "--disable-sync", "--disable-component-update", "--disable-quic"]);
        command.arg("--window-size=1200,900").arg(format!("--user-data-dir={}", profile.display()));
        let mut browser = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (browser.stdin.take().unwrap(), browser.stdout.take().unwrap());
        let (tell, told) = channel();
        std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            loop {
                let mut message = Vec::new();
                if from.read_until(0, &mut message).unwrap_or(0) == 0 {
                    break;
                }
                message.pop();
                if tell.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    break;
                }
            }
        });
        let mut page = Page { browser, to, from: told, next: 0, session: None, events: Vec::new() };
        let target = page.call("Target.createTarget", json!({ "url": "about:blank" }))["targetId"].clone();
        let session = page.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true }));
        page.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            page.call(&format!("{domain}.enable"), json!({}));
        }
        Some(page)
    }

    /// Asks the browser for something.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = serde_json::to_vec(&message).unwrap();
        bytes.push(0);
        self.to.write_all(&bytes).unwrap();
        self.to.flush().unwrap();
        loop {
            let answer = self.from.recv_timeout(Duration::from_secs(120)).unwrap_or_else(|error| panic!("{method}: {error}"));
            if answer["id"] == self.next {
                assert!(answer.get("error").is_none(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    /// Opens an address and waits until it is there.
    #[track_caller]
    pub fn open(&mut self, address: &str) {
        self.events.clear();
        let went = self.call("Page.navigate", json!({ "url": address }));
        assert!(went.get("errorText").is_none(), "{address}: {went}");
        let began = Instant::now();
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            assert!(began.elapsed() < Duration::from_secs(120), "{address} does not load");
            if let Ok(event) = self.from.recv_timeout(Duration::from_millis(100)) {
                self.events.push(event);
            }
        }
    }

    /// The value of an expression in the page.
    #[track_caller]
    pub fn eval(&mut self, expression: &str) -> Value {
        let result = self.call("Runtime.evaluate", json!({ "expression": expression, "awaitPromise": true, "returnByValue": true }));
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {}", result["exceptionDetails"]);
        result["result"]["value"].clone()
    }

    /// Waits until an expression in the page is true.
    #[track_caller]
    pub fn wait_for(&mut self, expression: &str, most: Duration) {
        let began = Instant::now();
        while self.eval(expression) != true {
            assert!(began.elapsed() < most, "{expression} does not become true; the page says:\n{}", self.eval("document.body.innerText"));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Presses a key as a person does: a letter, Enter, Escape or an arrow.
    #[track_caller]
    pub fn press(&mut self, key: &str) {
        let mut down = json!({ "type": "keyDown", "key": key });
        if key.chars().count() == 1 {
            down["text"] = key.into();
        }
        if key == "Enter" {
            down["text"] = "\r".into();
        }
        let codes = [("Enter", 13), ("Escape", 27), ("ArrowLeft", 37), ("ArrowUp", 38), ("ArrowRight", 39), ("ArrowDown", 40)];
        if let Some((_, code)) = codes.iter().find(|(name, _)| *name == key) {
            down["windowsVirtualKeyCode"] = (*code).into();
        }
        self.call("Input.dispatchKeyEvent", down);
        self.call("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": key }));
    }

    /// Types a text where the cursor is.
    #[track_caller]
    pub fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Moves the mouse to the middle of what a selector finds, and clicks when asked to.
    #[track_caller]
    pub fn mouse(&mut self, selector: &str, click: bool) {
        let place = self.eval(&format!(
            "(() => {{ const e = document.querySelector({selector:?}); e.scrollIntoView({{ block: 'center' }}); const b = e.getBoundingClientRect(); \
             return [b.x + b.width / 2, b.y + b.height / 2]; }})()"
        ));
        let event = |kind: &str| json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
        self.call("Input.dispatchMouseEvent", json!({ "type": "mouseMoved", "x": place[0], "y": place[1] }));
        if click {
            self.call("Input.dispatchMouseEvent", event("mousePressed"));
            self.call("Input.dispatchMouseEvent", event("mouseReleased"));
        }
    }

    /// Looks at the page in light or dark, on a screen or on paper, so many points wide.
    pub fn look(&mut self, colours: &str, media: &str, width: u32) {
        let features = json!([{ "name": "prefers-color-scheme", "value": colours }]);
        self.call("Emulation.setEmulatedMedia", json!({ "media": media, "features": features }));
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// A picture of the page, as PNG.
    pub fn picture(&mut self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": true }));
        base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str().unwrap()).unwrap()
    }

    /// The page on paper, as PDF.
    pub fn pdf(&mut self) -> Vec<u8> {
        let printed = self.call("Page.printToPDF", json!({ "printBackground": false, "preferCSSPageSize": true }));
        base64::engine::general_purpose::STANDARD.decode(printed["data"].as_str().unwrap()).unwrap()
    }

    /// What went wrong since the page was opened: mistakes of its script, and what the browser refused it.
    pub fn complaints(&mut self) -> Vec<String> {
        self.eval("0");
        let wrong = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            _ => false,
        };
        self.events.iter().filter(wrong).map(|event| event["params"].to_string()).collect()
    }

    /// Addresses that were asked for since the page was opened, but for data in the page.
    pub fn asked_for(&mut self) -> Vec<String> {
        self.eval("0");
        let requests = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        let urls = requests.filter_map(|event| event["params"]["request"]["url"].as_str().map(str::to_owned));
        urls.filter(|url| !url.starts_with("data:") && !url.starts_with("blob:")).collect()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}
