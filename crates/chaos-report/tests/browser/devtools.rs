//! A browser under the test's hand: headless Chromium, spoken to in the DevTools protocol over a pair of pipes.
//!
//! Chromium reads commands from its file descriptor 3 and writes to 4, each message JSON with a NUL behind it
//! (`--remote-debugging-pipe`). A shell puts its own input and output there, so that no port is opened and nothing needs `unsafe`;
//! when the test process ends, however it ends, the pipe closes and Chromium leaves.
//!
//! Refuses to be a general client: a page, a few events, the inputs that the report answers to.
//! Source: the Chrome DevTools Protocol, domains Target, Page, Runtime, Log, Input, Emulation.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A machine with much else to do needs its time; nothing here waits for so long unless it fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// Chromium, if there is one: `CHAOS_CHROMIUM`, or one of its names on the `PATH`.
pub(crate) fn find() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CHAOS_CHROMIUM") {
        return Some(PathBuf::from(named));
    }
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let path = env::var_os("PATH")?;
    let candidates = env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name)));
    candidates.into_iter().find(|file| file.is_file())
}

/// A running browser.
#[derive(Debug)]
pub(crate) struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    next_id: u64,
    events: Vec<Value>,
}

impl Browser {
    /// Starts `program` with a profile of its own in `profile`, which is made.
    pub(crate) fn start(program: &Path, profile: &Path) -> Self {
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null"#, "sh"])
            .arg(program)
            // A sandbox needs what a container has not; the only pages opened are the report's.
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"])
            .args(["--remote-debugging-pipe", &format!("--user-data-dir={}", profile.display())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts the browser");
        let commands = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, messages) = channel();
        thread::spawn(move || {
            for message in output.split(0) {
                let Ok(message) = message else { break };
                let message = serde_json::from_slice(&message).expect("the browser speaks JSON");
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        Self { child, commands, messages, next_id: 0, events: Vec::new() }
    }

    /// Opens an empty page of this size.
    pub(crate) fn page(&mut self, width: u32, height: u32) -> Page<'_> {
        let target = self.call(None, "Target.createTarget", json!({"url": "about:blank"}));
        let target = target["targetId"].as_str().expect("a target").to_owned();
        let attached = self.call(None, "Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        let session = attached["sessionId"].as_str().expect("a session").to_owned();
        self.events.clear();
        let mut page = Page { browser: self, session, target };
        for domain in ["Page.enable", "Runtime.enable", "Log.enable", "Network.enable"] {
            page.call(domain, json!({}));
        }
        page.resize(width, height);
        page
    }

    fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        self.next_id += 1;
        let mut command = json!({"id": self.next_id, "method": method, "params": params});
        if let Some(session) = session {
            command["sessionId"] = session.into();
        }
        let mut bytes = serde_json::to_vec(&command).expect("JSON");
        bytes.push(0);
        self.commands.write_all(&bytes).expect("the browser is there");
        let until = Instant::now() + PATIENCE;
        loop {
            let message = self.receive(until, method);
            if message["id"] == self.next_id {
                assert!(message.get("error").is_none(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    fn receive(&mut self, until: Instant, what: &str) -> Value {
        let left = until.saturating_duration_since(Instant::now());
        self.messages.recv_timeout(left).unwrap_or_else(|error| panic!("waiting for {what}: {error}"))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium's own children end with it; it has no data that it would have to save.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A page of the browser; closed on drop.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    browser: &'a mut Browser,
    session: String,
    target: String,
}

impl Page<'_> {
    /// Any command.
    pub(crate) fn call(&mut self, method: &str, params: Value) -> Value {
        let session = self.session.clone();
        self.browser.call(Some(&session), method, params)
    }

    /// A window of this size, a telephone's if it is narrow.
    pub(crate) fn resize(&mut self, width: u32, height: u32) {
        let phone = width < 600;
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone});
        self.call("Emulation.setDeviceMetricsOverride", metrics);
        self.call("Emulation.setTouchEmulationEnabled", json!({"enabled": phone, "maxTouchPoints": 5}));
    }

    /// What the reader's system prefers, for example `prefers-color-scheme` and `dark`.
    pub(crate) fn prefer(&mut self, features: &[(&str, &str)]) {
        let features: Vec<Value> = features.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Opens a file and waits until it is loaded.
    pub(crate) fn open(&mut self, file: &Path) {
        let loaded = |event: &Value| event["method"] == "Page.loadEventFired";
        self.browser.events.retain(|event| !loaded(event));
        let answer = self.call("Page.navigate", json!({"url": format!("file://{}", file.display())}));
        assert!(answer.get("errorText").is_none(), "{answer}");
        let until = Instant::now() + PATIENCE;
        while !self.browser.events.iter().any(loaded) {
            let event = self.browser.receive(until, "the page");
            self.browser.events.push(event);
        }
    }

    /// The value of a JavaScript expression.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", params);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// A number that an expression has.
    pub(crate) fn number(&mut self, expression: &str) -> f64 {
        let value = self.value(expression);
        value.as_f64().unwrap_or_else(|| panic!("{expression} is {value}, no number"))
    }

    /// Waits until an expression is true.
    pub(crate) fn wait_for(&mut self, expression: &str) {
        let until = Instant::now() + PATIENCE;
        while self.value(expression) != true {
            assert!(Instant::now() < until, "never came true: {expression}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where an element is on the screen, scrolled there if need be: left, top, width, height.
    pub(crate) fn place(&mut self, selector: &str) -> [f64; 4] {
        let selector = serde_json::to_string(selector).expect("JSON");
        let expression = format!(
            "(() => {{ const e = document.querySelector({selector}); e.scrollIntoView({{ block: 'center', behavior: 'instant' }}); \
             const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; }})()"
        );
        let place = self.value(&expression);
        [0, 1, 2, 3].map(|index| place[index].as_f64().expect("a number"))
    }

    /// A mouse event; `more` are further members.
    pub(crate) fn mouse(&mut self, kind: &str, (x, y): (f64, f64), more: Value) {
        let mut params = json!({"type": kind, "x": x, "y": y});
        for (key, value) in more.as_object().expect("an object") {
            params[key] = value.clone();
        }
        self.call("Input.dispatchMouseEvent", params);
    }

    /// Presses, moves in steps and releases the left button.
    pub(crate) fn drag(&mut self, from: (f64, f64), to: (f64, f64)) {
        let pressed = json!({"button": "left", "buttons": 1, "clickCount": 1});
        self.mouse("mouseMoved", from, json!({}));
        self.mouse("mousePressed", from, pressed.clone());
        for step in 1..=5 {
            let part = f64::from(step) / 5.0;
            let at = (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part);
            self.mouse("mouseMoved", at, pressed.clone());
        }
        self.mouse("mouseReleased", to, json!({"button": "left", "clickCount": 1}));
    }

    /// Clicks into the middle of an element.
    pub(crate) fn click(&mut self, selector: &str) {
        let [left, top, width, height] = self.place(selector);
        let middle = (left + width / 2.0, top + height / 2.0);
        self.drag(middle, middle);
    }

    /// Presses a key.
    pub(crate) fn key(&mut self, key: &str) {
        let mut params = json!({"type": "keyDown", "key": key});
        if key.chars().count() == 1 {
            params["text"] = key.into();
        }
        self.call("Input.dispatchKeyEvent", params);
        self.call("Input.dispatchKeyEvent", json!({"type": "keyUp", "key": key}));
    }

    /// Everything that the browser complained of, and every address that the page asked for beyond itself.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        // A round trip, so that what happened before it has been told.
        self.value("0");
        let complaint = |event: &Value| {
            let params = &event["params"];
            match event["method"].as_str()? {
                "Runtime.exceptionThrown" => Some(format!("exception: {}", params["exceptionDetails"])),
                "Runtime.consoleAPICalled" => Some(format!("console: {}", params["args"])),
                // Advice on speed, caused by the test's own looking at pixels.
                "Log.entryAdded" if params["entry"]["text"].as_str().is_some_and(|it| it.contains("getImageData")) => {
                    None
                }
                "Log.entryAdded" => Some(format!("log: {}", params["entry"]["text"])),
                "Network.requestWillBeSent" if params["type"] != "Document" => {
                    Some(format!("request: {}", params["request"]["url"]))
                }
                "Page.javascriptDialogOpening" => Some("a dialog".to_owned()),
                _ => None,
            }
        };
        let session = Value::from(self.session.as_str());
        self.browser.events.iter().filter(|event| event["sessionId"] == session).filter_map(complaint).collect()
    }
}

impl Drop for Page<'_> {
    fn drop(&mut self) {
        if !thread::panicking() {
            let target = self.target.clone();
            self.browser.call(None, "Target.closeTarget", json!({"targetId": target}));
        }
    }
}
