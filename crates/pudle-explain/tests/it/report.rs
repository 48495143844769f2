//! Reports of a small dictionary over drawn digits: what is written, and the page in a browser.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use burn::tensor::Device;
use pudle_data::StrokeSettings;
use pudle_explain::{
    ExplainOptions, Explanation, ReportOptions, Ridge, Split, Subject, SubjectOptions, explain,
    open_subject, write_report,
};
use pudle_train::{Checkpoint, DataConfig, Interrupter, Preset, RunConfig, train};
use serde_json::{Value, json};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// A short run over drawn digits.
fn trained(dir: &Path) -> RunConfig {
    let mut config = Preset::Digits.config();
    let pudle_core::DictionaryConfig::Dense(dense) = &mut config.model.dictionary else {
        unreachable!("digits have a dense dictionary")
    };
    dense.atoms = 40;
    config.data = DataConfig::Strokes(StrokeSettings::new(500, [0, 1, 2]));
    config.training.steps = 600;
    train(config.clone(), dir, Interrupter::new()).unwrap();
    config
}

fn explained(config: &RunConfig, dir: &Path) -> (Box<dyn Subject>, Explanation) {
    let device = Device::flex();
    let checkpoint = Checkpoint::read(dir, &device).unwrap();
    let options = SubjectOptions { sigma: None, photographs: 1, seed: 0 };
    let subject = open_subject(checkpoint, config, options, &device).unwrap();
    let inputs = subject.held_out_inputs(3);
    let options =
        ExplainOptions { ridge: Ridge::Sphere, top: 5, inputs, pixels: Vec::new(), seed: 0 };
    let found = explain(subject.as_ref(), &options, &mut |_| ()).unwrap();
    (subject, found)
}

#[test]
fn a_report_says_what_was_found() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    let config = trained(&run);
    let (subject, found) = explained(&config, &run);
    // Drawn digits of three classes: atoms are rebuilt, and by their own class.
    assert!(found.smallest_cosine(10) > 0.9, "{}", found.smallest_cosine(10));
    let agreement = found.agreement(subject.labels(Split::Training), 10);
    assert!(agreement > 0.75, "{agreement}");
    assert!(found.accuracy.unwrap().held_out > 0.9, "{:?}", found.accuracy);
    for output in &found.outputs {
        assert_eq!(output.nearest.len(), 5);
        assert!(output.saliency.len() <= 4 && !output.saliency.is_empty());
    }

    let report = dir.path().join("report");
    let name = "a <run> & \"more\"";
    let options = ReportOptions { dir: &report, replace: false, run: name, seed: 0 };
    let summary = write_report(options, subject.as_ref(), &found).unwrap();
    assert_eq!((summary.data, summary.atoms), (400, 40));
    let page = std::fs::read_to_string(report.join("report.html")).unwrap();
    assert!(page.len() < 10 << 20, "{} bytes", page.len());
    assert!(page.contains("a &lt;run&gt; &amp; &quot;more&quot;"), "names are escaped");
    for outside in ["http://", "https://", "src=\"/", "@import"] {
        let found = page.replace("http://www.w3.org/", "").contains(outside);
        assert!(!found, "the page needs nothing from elsewhere: {outside}");
    }
    let rows = |name: &str| {
        let text = std::fs::read_to_string(report.join(name)).unwrap();
        text.lines().count()
    };
    assert_eq!(rows("atoms.csv"), 41);
    // Five of each kind, by both weights, of forty atoms and three outputs.
    assert_eq!(rows("contributions.csv"), 1 + 2 * 2 * 5 * 43);
    for figure in ["output-0.svg", "output-2.png", "energy.svg", "cosine.png", "codes.png"] {
        assert!(report.join("figures").join(figure).is_file(), "{figure}");
    }
    assert!(write_report(options, subject.as_ref(), &found).is_err());
    let options = ReportOptions { replace: true, ..options };
    write_report(options, subject.as_ref(), &found).unwrap();
    let network = page_data(&page)["network"].clone();
    for (setting, name) in
        [("prox", "relu"), ("algorithm", "fista"), ("schedule", "constant"), ("tying", "tied")]
    {
        assert_eq!(network[setting], name, "the page names its network's {setting}");
    }
    in_a_browser(&page, dir.path());
    refusals(&page, dir.path());
}

/// The data of a page.
pub fn page_data(page: &str) -> Value {
    let start = "<script type=\"application/json\" id=\"data\">";
    let data = page.split(start).nth(1).unwrap().split("</script>").next().unwrap();
    serde_json::from_str(data).unwrap()
}

pub fn browser() -> Option<PathBuf> {
    program(&["chromium", "chromium-browser", "google-chrome"])
}

/// The path of the first of these programs that is installed.
fn program(names: &[&str]) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
        .find(|path| path.is_file())
}

/// What a reader does, done by a script within the page.
const READER: &str = include_str!("reader.js");

/// A page in a browser, by its DevTools protocol.
pub struct Page {
    process: Child,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    session: String,
    calls: u64,
}

impl Page {
    pub fn open(browser: &Path, file: &Path, profile: &Path) -> Self {
        let mut process = Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = lines
            .find_map(|line| {
                line.unwrap().split("DevTools listening on ").nth(1).map(str::to_owned)
            })
            .expect("the browser says where it listens");
        // The rest of its output is read, or the browser would block.
        std::thread::spawn(move || lines.for_each(drop));
        let (socket, _) = tungstenite::connect(address).unwrap();
        let mut page = Self { process, socket, session: String::new(), calls: 0 };
        let url = format!("file://{}", file.display());
        let target = page.call("Target.createTarget", json!({ "url": url }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = page.call("Target.attachToTarget", attach);
        page.session = session["sessionId"].as_str().unwrap().to_owned();
        // The target begins as an empty page.
        let there = "location.protocol === 'file:' && document.readyState === 'complete'";
        let started = std::time::Instant::now();
        while page.evaluate(there) != true {
            assert!(started.elapsed() < Duration::from_secs(60), "the page does not load");
            std::thread::sleep(Duration::from_millis(50));
        }
        page
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": parameters });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(message.to_string())).unwrap();
        loop {
            let Message::Text(text) = self.socket.read().unwrap() else { continue };
            let answer: Value = serde_json::from_str(&text).unwrap();
            if answer["id"] == self.calls {
                assert_eq!(answer["error"], Value::Null, "{method}");
                return answer["result"].clone();
            }
        }
    }

    pub fn evaluate(&mut self, expression: &str) -> Value {
        let ask = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", ask);
        assert_eq!(answer["exceptionDetails"], Value::Null);
        answer["result"]["value"].clone()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn in_a_browser(page: &str, dir: &Path) {
    let Some(browser) = browser() else {
        eprintln!("no browser here: the page was not tried in one");
        return;
    };
    let trouble = "<script>window.troubles = []; addEventListener('error', (e) => troubles.push(e.message));</script>";
    let file = dir.join("tried.html");
    std::fs::write(&file, page.replacen("<head>", &format!("<head>{trouble}"), 1)).unwrap();
    let mut page = Page::open(&browser, &file, &dir.join("profile"));
    let seen = page.evaluate(READER);
    let seen: Value = serde_json::from_str(seen.as_str().unwrap()).unwrap();
    assert_eq!(seen["errors"], json!([]), "{seen}");
    for yes in ["focusable", "arrow", "detail", "sorted", "top"] {
        assert_eq!(seen[yes], true, "{yes}: {seen}");
    }
    assert_eq!((&seen["pressed"], &seen["stops"]), (&"true".into(), &1.into()), "{seen}");
    assert_eq!(
        (&seen["unnamed"], &seen["rows"], &seen["outputs"]),
        (&0.into(), &40.into(), &3.into())
    );
    // Five and four of each of two kinds of weights.
    assert_eq!((&seen["most"], &seen["least"]), (&10.into(), &8.into()));
    for (figure, most) in [("code", 1e-3), ("weight", 1e-3), ("residual", 1e-3)] {
        assert!(seen[figure].as_f64().unwrap() < most, "{figure}: {seen}");
    }
    assert!(seen["status"].as_str().unwrap().contains("explained below"), "{seen}");
}

/// A page refuses a network whose operator, algorithm, schedule or tying it does not know, and says so.
fn refusals(page: &str, dir: &Path) {
    let unknown = [
        ("prox", "top-k:5", "proximal operator"),
        ("prox", "group:4", "proximal operator"),
        ("algorithm", "amp", "algorithm"),
        ("schedule", "noise-adaptive", "threshold schedule"),
        ("tying", "gain", "weight tying"),
    ];
    let settings = page_data(page)["network"].clone();
    for (setting, name, kind) in unknown {
        let mut settings = json!({
            "prox": settings["prox"],
            "algorithm": settings["algorithm"],
            "schedule": settings["schedule"],
            "tying": settings["tying"],
        });
        let known = format!("\"{setting}\":{}", settings[setting]);
        let replaced = page.replacen(&known, &format!("\"{setting}\":\"{name}\""), 1);
        assert_ne!(page, replaced, "the page has a network with {known}");
        settings[setting] = json!(name);
        let sentence = format!("it does not know the {kind} \"{name}\" of this network");
        match (browser(), program(&["node"])) {
            (Some(browser), _) => refused_by_page(&browser, &replaced, &sentence, dir),
            (None, Some(node)) => refused_by_script(&node, &settings, &sentence),
            (None, None) => eprintln!("no browser and no Node.js here: refusals were not tried"),
        }
    }
}

fn refused_by_page(browser: &Path, page: &str, sentence: &str, dir: &Path) {
    let file = dir.join("refused.html");
    std::fs::write(&file, page).unwrap();
    let profile = tempfile::tempdir_in(dir).unwrap();
    let mut page = Page::open(browser, &file, profile.path());
    let status = page.evaluate("document.getElementById('status').textContent");
    assert!(status.as_str().unwrap().contains(sentence), "{status}");
    assert_eq!(page.evaluate("document.getElementById('choose').hidden"), true);
    let take = "take(new File([], 'own.png')).then(() => window.explained === undefined)";
    assert_eq!(page.evaluate(take), true);
}

/// Without a browser, the part of the page that decides runs in Node.js.
fn refused_by_script(node: &Path, settings: &Value, sentence: &str) {
    let script = include_str!("../../src/report/network.js");
    let script = format!("{script}\nconsole.log(refusal({settings}));");
    let output = Command::new(node).arg("-e").arg(script).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains(sentence), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
