//! A headless Chromium, driven through the Chrome DevTools Protocol:
//! <https://chromedevtools.github.io/devtools-protocol/>. It can reach only loopback addresses.

use std::{
    cell::RefCell,
    fmt, fs,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    rc::Rc,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

use crate::{process::Process, tools, wait};

/// A running browser. It ends when it is dropped.
pub struct Browser {
    connection: Rc<RefCell<Connection>>,
    _process: Process,
    /// The last field, so that the profile is removed after the browser has ended.
    _profile: TempDir,
}

/// A tab of a browser.
pub struct Tab {
    connection: Rc<RefCell<Connection>>,
    target: String,
    session: String,
}

struct Connection {
    socket: WebSocket<TcpStream>,
    calls: u64,
    /// Events received so far.
    events: Vec<Value>,
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browser").finish_non_exhaustive()
    }
}

impl fmt::Debug for Tab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tab").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Connection {
    /// Reads one message: an answer, or an event, which is stored. Returns `None` if no message arrives within the
    /// timeout of the socket.
    fn read(&mut self) -> Option<Value> {
        let message = match self.socket.read() {
            Ok(Message::Text(text)) => serde_json::from_str::<Value>(text.as_str()).expect("JSON"),
            Ok(_) => return None,
            Err(tungstenite::Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => return None,
            Err(error) => panic!("connection to the browser failed: {error}"),
        };
        if message.get("id").is_none() {
            self.events.push(message.clone());
        }
        Some(message)
    }

    fn call(&mut self, session: Option<&str>, method: &str, parameters: &Value) -> Value {
        self.calls += 1;
        let id = self.calls;
        let mut call = json!({"id": id, "method": method, "params": parameters});
        if let Some(session) = session {
            call["sessionId"] = session.into();
        }
        self.socket.send(Message::text(call.to_string())).expect("the browser reads the call");
        wait::found(method, || {
            let answer = self.read().filter(|message| message["id"] == id)?;
            assert!(answer.get("error").is_none(), "{method} {parameters}: {answer}");
            Some(answer["result"].clone())
        })
    }
}

impl Browser {
    /// Starts a browser with a profile of its own.
    ///
    /// # Panics
    ///
    /// Panics if Chromium is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        tools::needs("chromium");
        let profile = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new("chromium");
        command
            .args([
                "--headless=new",
                "--remote-debugging-port=0",
                "--no-first-run",
                "--disable-gpu",
                "--hide-scrollbars",
            ])
            // In containers the tests run as root, and Chromium's sandbox refuses root.
            .args(["--no-sandbox", "--disable-dev-shm-usage"])
            .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = Process::new(command.spawn().expect("chromium"));
        let said = BufReader::new(process.child().stderr.take().expect("standard error of the browser"));
        let mut lines = said.lines().map_while(Result::ok);
        let url = lines.find_map(|line| line.split_once("listening on ").map(|(_, url)| url.to_owned()));
        let url = url.expect("the address of the DevTools protocol");
        // The rest of the output must be read too, else the browser blocks on a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let authority = url.trim_start_matches("ws://").split('/').next().unwrap_or_default();
        let stream = TcpStream::connect(authority).expect("the browser");
        let (socket, _) = tungstenite::client(url.as_str(), stream).expect("the DevTools protocol");
        socket.get_ref().set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        let connection = Rc::new(RefCell::new(Connection { socket, calls: 0, events: Vec::new() }));
        Self { connection, _process: process, _profile: profile }
    }

    /// Opens a tab of this size in pixels. The tab records errors and requests from its beginning.
    #[must_use]
    pub fn tab(&self, width: u32, height: u32) -> Tab {
        let call = |method: &str, parameters: Value| self.connection.borrow_mut().call(None, method, &parameters);
        let text = |value: &Value| value.as_str().expect("a name").to_owned();
        let target = text(&call("Target.createTarget", json!({"url": "about:blank"}))["targetId"]);
        let attached = call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        let tab = Tab { connection: Rc::clone(&self.connection), target, session: text(&attached["sessionId"]) };
        for domain in ["Page", "Runtime", "Log", "Network"] {
            tab.call(&format!("{domain}.enable"), json!({}));
        }
        tab.resize(width, height);
        tab
    }
}

impl Tab {
    /// Calls a method of the protocol.
    #[expect(clippy::needless_pass_by_value, reason = "every caller makes the parameters in place")]
    pub fn call(&self, method: &str, parameters: Value) -> Value {
        self.connection.borrow_mut().call(Some(&self.session), method, &parameters)
    }

    /// Sets the size of the window.
    pub fn resize(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Sets media features that the style sheet sees, such as `("prefers-color-scheme", "dark")`.
    pub fn prefer(&self, features: &[(&str, &str)]) {
        let features: Vec<Value> = features.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        self.call("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Loads a page and waits until it is complete.
    pub fn open(&self, url: &str) {
        self.call("Page.navigate", json!({"url": url}));
        wait::until(url, || {
            self.run("location.href + ' ' + document.readyState").as_str() == Some(&format!("{url} complete"))
        });
    }

    /// Evaluates a script and returns its value. A promise is awaited. The page's content security policy does not
    /// apply.
    pub fn run(&self, script: &str) -> Value {
        let parameters = json!({"expression": script, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", parameters);
        assert!(answer.get("exceptionDetails").is_none(), "{script}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Evaluates a script and returns its value as text, empty if it is no text.
    pub fn text(&self, script: &str) -> String {
        self.run(script).as_str().unwrap_or_default().to_owned()
    }

    /// Returns a screenshot of the window as PNG.
    pub fn picture(&self) -> Vec<u8> {
        let answer = self.call("Page.captureScreenshot", json!({"format": "png"}));
        BASE64_STANDARD.decode(answer["data"].as_str().unwrap_or_default()).expect("a screenshot")
    }

    /// Writes a screenshot of the window to a file.
    ///
    /// # Panics
    ///
    /// Panics if the file cannot be written.
    pub fn write_picture(&self, file: &Path) {
        fs::write(file, self.picture()).expect("a file");
    }

    /// Shows this tab in front of all others.
    pub fn bring_to_front(&self) {
        self.call("Page.bringToFront", json!({}));
    }

    /// Returns the events with this method name that this tab has received so far.
    pub fn events(&self, method: &str) -> Vec<Value> {
        // Events that the browser sent earlier arrive before the answer to this call.
        self.run("0");
        let connection = self.connection.borrow();
        let ours = connection.events.iter().filter(|it| it["method"] == method && it["sessionId"] == *self.session);
        ours.map(|event| event["params"].clone()).collect()
    }

    /// Returns the errors and warnings of the console, and the uncaught exceptions.
    pub fn errors(&self) -> Vec<String> {
        let entries = self.events("Log.entryAdded").into_iter().map(|event| event["entry"].clone());
        let is_error = |entry: &Value| matches!(entry["level"].as_str(), Some("error" | "warning"));
        // Chromium reports every answer of 400 and above as an error. The status page intentionally has code 503 when
        // unhealthy.
        let is_a_code = |entry: &Value| {
            entry["source"] == "network" && entry["text"].as_str().unwrap_or_default().contains(" 503 ")
        };
        let entries =
            entries.filter(|entry| is_error(entry) && !is_a_code(entry)).map(|entry| entry["text"].to_string());
        let thrown = self.events("Runtime.exceptionThrown").into_iter().map(|event| event.to_string());
        entries.chain(thrown).collect()
    }

    /// Returns the URLs of all requests of this tab.
    pub fn requests(&self) -> Vec<String> {
        let sent = self.events("Network.requestWillBeSent").into_iter();
        sent.map(|event| event["request"]["url"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Returns the browser's identifier of the tab.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }
}
