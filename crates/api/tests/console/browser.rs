//! A headless Chromium of one's own, and what people do with it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{PASSWORD, Server};

const AXE: &str = include_str!("axe-core/axe.min.js");
/// How long something may take to appear, in milliseconds; a loaded machine is slow.
const PATIENCE: u32 = 25_000;

/// Finds the first visible control that is called so: its text, its label, or its accessible name.
const FIND: &str = r#"
    const isShown = (node) => node.checkVisibility({ visibilityProperty: true }) || node.type === 'radio';
    const top = document.querySelector('dialog[open]') ?? document;
    const nameOf = (node) => node.getAttribute('aria-label') ?? (node.labels?.length ? node.labels[0].textContent : node.textContent);
    const isNamed = (node, name) => { const text = nameOf(node).trim(); return text === name || text === `${name} required`; };
    const find = (name, selector, within) => [...(within ? document.querySelector(within) : top).querySelectorAll(selector)]
        .find((node) => isNamed(node, name) && isShown(node) && !node.disabled);
"#;

/// A browser with one page open; closed when dropped.
pub struct Browser {
    client: Client,
    log: PathBuf,
    driver: Child,
    _profile: TempDir,
    /// Where controls are looked for: the whole page, or one part of it.
    within: Option<String>,
}

fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.exists())
}

/// Whether there is a browser. Without one the test is skipped, and says so; in CI it fails.
pub fn is_there() -> bool {
    let is_there = program("chromium").is_some() && program("chromedriver").is_some();
    let how = "Chromium and its driver are not installed: apt-get install chromium chromium-driver (Debian)";
    if !is_there {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "in CI no test may be skipped: {how}");
        eprintln!("skipped: {how}");
    }
    is_there
}

/// Starts a driver on a free port; gives the port. Two that start at the same time may choose the same port, and then
/// one of them gives up: it is started again.
fn start_driver() -> (Child, u16) {
    for _ in 0..5 {
        let mut driver = Command::new(program("chromedriver").unwrap())
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| {
            let line = line.unwrap();
            line.split_once("started successfully on port ")?.1.trim_end_matches('.').parse().ok()
        });
        if let Some(port) = port {
            return (driver, port);
        }
        driver.wait().unwrap();
    }
    panic!("chromedriver did not start in five attempts")
}

fn capabilities(profile: &Path, log: &Path, size: (u32, u32)) -> serde_json::Map<String, Value> {
    let mut arguments: Vec<String> = [
        "headless=new",
        "no-sandbox",
        "disable-dev-shm-usage",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "hide-scrollbars",
        // A colour on its way from one theme to the other has any contrast.
        "force-prefers-reduced-motion",
        "enable-logging",
    ]
    .map(|argument| format!("--{argument}"))
    .to_vec();
    arguments.push(format!("--user-data-dir={}", profile.display()));
    arguments.push(format!("--log-file={}", log.display()));
    arguments.push(format!("--window-size={},{}", size.0, size.1));
    let options = json!({ "args": arguments, "binary": program("chromium") });
    let all =
        json!({ "browserName": "chrome", "goog:chromeOptions": options, "timeouts": { "script": 60_000 } });
    all.as_object().unwrap().clone()
}

impl Browser {
    pub async fn open(server: &Server) -> Self {
        Self::sized(server, (1280, 900)).await
    }

    pub async fn sized(server: &Server, size: (u32, u32)) -> Self {
        Self::with(server, |profile, log| capabilities(profile, log, size)).await
    }

    /// On a screen of this size that one touches.
    pub async fn touched(server: &Server, (width, height): (u32, u32)) -> Self {
        Self::with(server, |profile, log| {
            let mut capabilities = capabilities(profile, log, (width, height));
            let screen = json!({ "width": width, "height": height, "pixelRatio": 1, "touch": true });
            capabilities["goog:chromeOptions"]["mobileEmulation"] = json!({ "deviceMetrics": screen });
            capabilities
        })
        .await
    }

    async fn with(
        server: &Server,
        capabilities: impl FnOnce(&Path, &Path) -> serde_json::Map<String, Value>,
    ) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let log = profile.path().join("console.log");
        let (driver, port) = start_driver();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(profile.path(), &log))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        client.goto(&format!("http://{}", server.address)).await.unwrap();
        Self { client, log, driver, _profile: profile, within: None }
    }

    /// The same page, but controls and text are looked for in one part of it.
    pub async fn inside<T>(&mut self, selector: &str, work: impl AsyncFnOnce(&Self) -> T) -> T {
        self.within = Some(selector.to_owned());
        let done = work(self).await;
        self.within = None;
        done
    }

    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(&format!("{FIND}{script}"), arguments).await.unwrap()
    }

    /// Waits in the page until the expression is true; gives its value. `a` are the arguments.
    async fn until(&self, what: &str, expression: &str, arguments: &[&str]) -> Value {
        let script = format!(
            "{FIND} const done = arguments[arguments.length - 1]; const a = arguments[0]; const within = arguments[1];
             const end = performance.now() + {PATIENCE};
             const look = () => {{
                 const found = (() => {{ {expression} }})();
                 if (found) done(found === true ? true : 'done');
                 else if (performance.now() > end) done(null);
                 else setTimeout(look, 50);
             }};
             look();"
        );
        let arguments = vec![json!(arguments), json!(self.within)];
        let found = self.client.execute_async(&script, arguments).await.unwrap();
        if found.is_null() {
            let text = self.client.execute("return document.body.innerText", Vec::new()).await.unwrap();
            panic!("{what} did not come; the page says:\n{}", text.as_str().unwrap_or_default());
        }
        found
    }

    /// Waits until the page says this.
    pub async fn see(&self, text: &str) {
        let place = "const place = within ? document.querySelector(within) : document.body;";
        let expression = format!("{place} return place?.innerText.replace(/\\s+/g, ' ').includes(a[0])");
        self.until(&format!("`{text}`"), &expression, &[text]).await;
    }

    /// Waits until the page does not say this.
    pub async fn see_no(&self, text: &str) {
        let place = "const place = within ? document.querySelector(within) : document.body;";
        let expression =
            format!("{place} return place && !place.innerText.replace(/\\s+/g, ' ').includes(a[0])");
        self.until(&format!("the end of `{text}`"), &expression, &[text]).await;
    }

    /// Waits until a selector has found at least so many.
    pub async fn count(&self, selector: &str, least: usize) {
        let least = least.to_string();
        let expression = "return document.querySelectorAll(a[0]).length >= Number(a[1])";
        self.until(&format!("{least} of `{selector}`"), expression, &[selector, &least]).await;
    }

    /// Scrolls to the end, again and again, until the page says this.
    pub async fn scroll_to(&self, text: &str) {
        let expression = "window.scrollTo(0, document.documentElement.scrollHeight);
            return [...document.querySelectorAll('main .row')].at(-1)?.textContent.includes(a[0])";
        self.until(&format!("the end with `{text}`"), expression, &[text]).await;
    }

    /// Waits for a button, link or tab of this name and clicks it.
    pub async fn click(&self, name: &str) {
        let expression = "const node = find(a[0], 'button, a, [role=tab], summary', within); node?.click(); return Boolean(node)";
        self.until(&format!("a button `{name}`"), expression, &[name]).await;
    }

    /// Types into the field of this name, in place of what is there.
    pub async fn fill(&self, name: &str, value: &str) {
        let expression =
            "const node = find(a[0], 'input, textarea, select', within); if (!node) return false;
            node.focus(); node.value = a[1];
            for (const event of ['input', 'change']) node.dispatchEvent(new Event(event, { bubbles: true }));
            return true";
        self.until(&format!("a field `{name}`"), expression, &[name, value]).await;
    }

    /// Shows another page.
    pub async fn go(&self, path: &str) {
        self.run("location.hash = arguments[0]", vec![json!(path)]).await;
    }

    pub async fn reload(&self) {
        self.client.refresh().await.unwrap();
    }

    /// Signs a demo person in, with the picker.
    pub async fn sign_in(&self, name: &str) {
        let pick = "const node = [...document.querySelectorAll('.person-card')].find((card) => card.textContent.includes(a[0]));
            node?.click(); return Boolean(node)";
        self.until(name, pick, &[name]).await;
        self.fill("Password", PASSWORD).await;
        self.click("Sign in").await;
        self.count("main .row", 2).await;
    }

    /// What is too wide for the screen, or too small to be hit (WCAG 2.5.8: 24 by 24 pixels).
    pub async fn misfits(&self) -> Vec<String> {
        let script = r"
            const { scrollWidth, clientWidth } = document.documentElement;
            const wide = scrollWidth > clientWidth ? [`the page is ${scrollWidth} wide, the screen ${clientWidth}`] : [];
            const controls = [...document.querySelectorAll('button, a, input, select, textarea, summary, [role=tab]')];
            const small = controls.filter((node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest('.skip'))
                .map((node) => [node, node.getBoundingClientRect()])
                .filter(([, { width, height }]) => Math.round(width) < 24 || Math.round(height) < 24)
                .map(([node, { width, height }]) => `${node.outerHTML.slice(0, 120)} is ${width} by ${height}`);
            return [...wide, ...small]";
        let found = self.client.execute(script, Vec::new()).await.unwrap();
        found.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    /// What axe-core finds wrong with the page as it is.
    pub async fn violations(&self) -> Vec<String> {
        self.client.execute(AXE, Vec::new()).await.unwrap();
        let script = "const done = arguments[arguments.length - 1];
            axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => done(violations.flatMap((rule) =>
                rule.nodes.map((node) => `${rule.id}: ${node.html.slice(0, 160)} (${node.failureSummary.slice(0, 200)})`))))
                .catch((error) => done([`axe failed: ${error}`]))";
        let found = self.client.execute_async(script, Vec::new()).await.unwrap();
        let found = found.as_array().unwrap();
        found.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    /// What the page wrote to the console. That the server refused something is the browser's own remark.
    pub fn complaints(&self) -> Vec<String> {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let is_ours = |line: &&str| line.contains("CONSOLE") && !line.contains("Failed to load resource");
        log.lines().filter(is_ours).map(str::to_owned).collect()
    }

    pub async fn screenshot(&self, file: &Path) {
        std::fs::write(file, self.client.screenshot().await.unwrap()).unwrap();
    }

    /// Chooses the colours.
    pub async fn theme(&self, name: &str) {
        let script = "localStorage.setItem('demo-reset.theme', arguments[0]); document.documentElement.dataset.theme = arguments[0]";
        self.client.execute(script, vec![json!(name)]).await.unwrap();
    }

    /// Ends, and fails if the page complained of anything.
    pub async fn close(self) {
        assert_eq!(self.complaints(), Vec::<String>::new());
        self.client.clone().close().await.unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Chromium goes with its driver.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
