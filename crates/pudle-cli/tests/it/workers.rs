//! Workers: trainings whose batches other processes share.
#![cfg(all(feature = "remote", feature = "flex"))]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use predicates::str::contains;

use crate::cli::{folder, words};
use crate::runs::{SETTINGS, assert_close, losses};

/// A worker process, killed at the end of a test.
struct Worker {
    process: Child,
    url: String,
}

impl Worker {
    fn start(dir: &Path, flags: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_pudle"))
            .current_dir(dir)
            .args(["worker", "--listen", "127.0.0.1:0"])
            .args(flags.split_whitespace())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        // What it prints later is thrown away, so that its pipe never fills.
        thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        let url = line.split_whitespace().next().expect("an address").to_owned();
        assert!(url.starts_with("ws://127.0.0.1:"), "{line}");
        Self { process, url }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A connection in the middle that counts bytes and can go silent.
struct Middle {
    url: String,
    bytes: Arc<AtomicU64>,
    silent: Arc<AtomicBool>,
}

impl Middle {
    fn before(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let (bytes, silent) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, stopped) = (bytes.clone(), silent.clone());
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                for (from, to) in
                    [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    let (counted, stopped) = (counted.clone(), stopped.clone());
                    thread::spawn(move || forward(from, to, &counted, &stopped));
                }
            }
        });
        Self { url, bytes, silent }
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, bytes: &AtomicU64, silent: &AtomicBool) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        bytes.fetch_add(count as u64, Ordering::Relaxed);
        while silent.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(50));
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

fn train(dir: &Path, line: &str) -> assert_cmd::assert::Assert {
    words(dir, &format!("train {line}"))
}

/// A training in the background, and when `metrics.csv` has a row of step `step`.
fn begin(dir: &Path, line: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_pudle"))
        .current_dir(dir)
        .arg("train")
        .args(line.split_whitespace())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until a run has saved the checkpoint of some step.
fn wait_for_checkpoint(run: &Path) {
    let end = Instant::now() + Duration::from_secs(120);
    while fs::read_dir(run.join("checkpoint")).map_or(0, Iterator::count) == 0 {
        assert!(Instant::now() < end, "no checkpoint");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The end of a training: its status, what it said, and how long it took from now.
fn end(child: Child) -> (Option<i32>, String, Duration) {
    let started = Instant::now();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said, started.elapsed())
}

fn small(dir: &Path) {
    fs::write(dir.join("small.toml"), SETTINGS.replace("batch = 2", "batch = 4")).unwrap();
}

#[test]
fn two_workers_find_the_losses_of_one_device() {
    let dir = folder();
    let dir = dir.path();
    small(dir);
    let (one, two) = (Worker::start(dir, ""), Worker::start(dir, ""));
    let middle = Middle::before(one.port());
    train(dir, "--config small.toml --steps 50 --out alone").success();
    let line =
        format!("--config small.toml --steps 50 --out shared --workers {},{}", middle.url, two.url);
    train(dir, &line).success().stdout(contains("finished"));
    let (shared, alone) = (losses(&dir.join("shared")), losses(&dir.join("alone")));
    assert_close("50 steps", &shared, &alone, 1e-4);
    assert!(middle.bytes.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_killed_worker_ends_the_run_which_resumes_to_the_same_weights() {
    let dir = folder();
    let dir = dir.path();
    small(dir);
    let (one, mut two) = (Worker::start(dir, ""), Worker::start(dir, ""));
    let both = format!("{},{}", one.url, two.url);
    train(dir, &format!("--config small.toml --steps 400 --out whole --workers {both}")).success();
    let run = begin(dir, &format!("--config small.toml --steps 400 --out cut --workers {both}"));
    wait_for_checkpoint(&dir.join("cut"));
    two.kill();
    let (code, said, took) = end(run);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.lines().any(|line| line.starts_with("error: ") && line.contains(&two.url)),
        "{said}"
    );
    assert!(took < Duration::from_secs(30), "{took:?}");
    let three = Worker::start(dir, "");
    let both = format!("{},{}", one.url, three.url);
    train(dir, &format!("--resume cut --workers {both}")).success().stdout(contains("finished"));
    let weights = |run: &str| fs::read(dir.join(run).join("model.safetensors")).unwrap();
    assert!(weights("whole") == weights("cut"), "other weights");
}

#[test]
fn an_elastic_training_goes_on_without_a_worker() {
    let dir = folder();
    let dir = dir.path();
    small(dir);
    let (one, mut two) = (Worker::start(dir, ""), Worker::start(dir, ""));
    let both = format!("{},{}", two.url, one.url);
    let line = format!("--config small.toml --steps 400 --out run --elastic --workers {both}");
    let run = begin(dir, &line);
    wait_for_checkpoint(&dir.join("run"));
    two.kill();
    let (code, said, _) = end(run);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("goes on without it, on {}", one.url)), "{said}");
    train(dir, "--config small.toml --steps 400 --out alone").success();
    let (shared, alone) = (losses(&dir.join("run")), losses(&dir.join("alone")));
    assert_close("without one", &shared, &alone, 1e-3);
}

#[test]
fn a_silent_connection_ends_the_run() {
    let dir = folder();
    let dir = dir.path();
    small(dir);
    let worker = Worker::start(dir, "");
    let middle = Middle::before(worker.port());
    let line = format!(
        "--config small.toml --steps 100000 --out run --workers {} --worker-timeout 5",
        middle.url
    );
    let run = begin(dir, &line);
    wait_for_checkpoint(&dir.join("run"));
    middle.silent.store(true, Ordering::Relaxed);
    let (code, said, took) = end(run);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains(&format!("error: training stopped: {}: does not answer", middle.url)),
        "{said}"
    );
    assert!(took < Duration::from_secs(30), "{took:?}");
}

#[test]
fn strangers_are_refused_in_a_line() {
    let dir = folder();
    let dir = dir.path();
    small(dir);
    fs::write(dir.join("token"), "secret\n").unwrap();
    fs::write(dir.join("wrong"), "wrong\n").unwrap();
    let worker = Worker::start(dir, "--token-file token");
    let line = format!("--config small.toml --steps 2 --workers {} --out run", worker.url);
    let refused = format!("error: {}: the token is not that of this worker", worker.url);
    train(dir, &line).code(1).stderr(contains(&refused));
    train(dir, &format!("{line} --token-file wrong")).code(1).stderr(contains(&refused));
    assert!(!dir.join("run").exists());
    train(dir, &format!("{line} --token-file token")).success();
    // Something else listens, which never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", silent.local_addr().unwrap());
    let line = format!("--config small.toml --workers {url} --worker-timeout 3 --out other");
    train(dir, &line).code(1).stderr(contains(format!("error: {url}: no answer in 3 s")));
    // Nobody listens.
    drop(silent);
    let started = Instant::now();
    let line = format!("--config small.toml --workers {url} --out other");
    train(dir, &line).code(1).stderr(contains(format!("error: {url}: ")));
    assert!(started.elapsed() < Duration::from_secs(30));
    assert!(!dir.join("other").exists());
}
