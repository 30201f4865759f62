//! The whole house running: who may read, what is pushed arrives, a storm of mentions opens an anomaly and an alert, and
//! a soft stop loses nothing.

use crate::program::{counts, plain, posts_file, run, succeed, text};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A running house; stopped when dropped.
pub(crate) struct House {
    child: Child,
    pub(crate) address: String,
    pub(crate) client: reqwest::Client,
}

const TOKEN: &str = "a-token-for-tests";
const PASSWORD: &str = "a password for tests";

impl House {
    async fn start(data: &Path) -> Self {
        Self::start_with(data, "").await
    }

    /// With more settings.
    pub(crate) async fn start_with(data: &Path, settings: &str) -> Self {
        Self::start_roles(data, settings, "listen,understand,detect,serve").await
    }

    /// One that plays these roles.
    async fn start_roles(data: &Path, settings: &str, roles: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = config_file(data, settings);
        let mut child = plain(data)
            .args(["up", "--role", roles])
            .args(["--config".as_ref(), config.as_os_str()])
            .env("OVERHEARD__SERVER__BIND", format!("127.0.0.1:{port}"))
            .env("TEST_PUSH_TOKEN", TOKEN)
            .env("OVERHEARD__SERVER__ADMIN_PASSWORD_ENV", "TEST_ADMIN_PASSWORD")
            .env("TEST_ADMIN_PASSWORD", PASSWORD)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let said: Vec<String> = lines.take_while(|line| !line.contains("Ctrl-C")).collect();
        assert!(!said.iter().any(|line| line.contains("password")), "a password that was given is not shown");
        let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build().unwrap();
        let house = Self { child, address: format!("http://127.0.0.1:{port}"), client };
        house
            .until("the page answers", async || {
                let answer = house.client.get(house.url("/healthz")).send().await;
                answer.is_ok_and(|answer| answer.status().is_success())
            })
            .await;
        house
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    pub(crate) async fn until(&self, what: &str, mut done: impl AsyncFnMut() -> bool) {
        let began = Instant::now();
        while !done().await {
            assert!(began.elapsed() < Duration::from_secs(60), "waited too long until {what}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Signs in and gives the cookie.
    pub(crate) async fn sign_in(&self) -> String {
        let body = json!({"name": "admin", "password": PASSWORD});
        let answer = self.client.post(self.url("/api/session")).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "sign-in: {}", answer.status());
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    pub(crate) async fn push(&self, posts: &[Value]) -> Value {
        let request = self.client.post(self.url("/v1/posts")).bearer_auth(TOKEN).json(posts);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "push: {}", answer.status());
        answer.json().await.unwrap()
    }

    /// The phrases that are said most in the two weeks of the storm.
    async fn breakdown(&self, cookie: &str, more: &str) -> Value {
        let range = "from=2026-01-05T00:00:00Z&to=2026-01-19T00:00:00Z";
        let address = self.url(&format!("/api/breakdown?by=phrase,entity&{range}{more}"));
        let answer = self.client.get(address).header("cookie", cookie).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    pub(crate) async fn sql(&self, cookie: &str, sql: &str) -> Value {
        let request = self
            .client
            .post(self.url("/api/sql"))
            .header("cookie", cookie)
            .header("origin", &self.address)
            .json(&json!({"sql": sql}));
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Memory that the process holds, MB.
    pub(crate) fn resident_mb(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() / 1024
    }

    /// A soft stop; gives what was logged.
    pub(crate) fn stop(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let mut log = Vec::new();
        self.child.stderr.take().unwrap().read_to_end(&mut log).unwrap();
        assert!(self.child.wait().unwrap().success(), "{}", text(&log));
        text(&log)
    }
}

impl Drop for House {
    fn drop(&mut self) {
        // It may have been stopped already.
        drop(self.child.kill());
    }
}

fn config_file(data: &Path, more: &str) -> PathBuf {
    let file = data.with_extension("toml");
    let settings = "[watch]\nintervals_s = [3600]\n[[sources.push]]\nname = \"reviews\"\nplatform = \"reviews\"\n\
                    token_env = \"TEST_PUSH_TOKEN\"\n";
    std::fs::write(&file, format!("{settings}{more}")).unwrap();
    file
}

/// Two weeks of quiet hours, then a storm in the last hour but one: about the past, so that no clock matters.
fn storm() -> Vec<Value> {
    let begin = chrono::DateTime::parse_from_rfc3339("2026-01-05T00:00:00Z").unwrap();
    let mut posts = Vec::new();
    for hour in 0..14 * 24 {
        let count = if hour == 14 * 24 - 2 { 90 } else { 5 + (hour * 7) % 4 };
        for index in 0..count {
            let at = begin + chrono::Duration::hours(hour) + chrono::Duration::seconds(index * 30);
            // Most write it small.
            let train = if hour % 3 == 0 { "TRAIN" } else { "train" };
            let text = format!("{train} number {index} of hour {hour} is late");
            posts.push(json!({"id": format!("{hour}-{index}"), "text": text, "created_at": at.to_rfc3339()}));
        }
    }
    posts
}

#[tokio::test]
async fn what_is_pushed_arrives_is_watched_and_survives_a_stop() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let house = House::start(&data).await;

    let refused = house.client.get(house.url("/api/overview")).send().await.unwrap();
    assert_eq!(refused.status(), 401, "nobody is signed in");
    let refused = house.client.post(house.url("/v1/posts")).bearer_auth("wrong").body("[]").send().await.unwrap();
    assert_eq!(refused.status(), 401, "a wrong token");

    let posts = storm();
    let mut accepted = 0;
    for chunk in posts.chunks(500) {
        accepted += house.push(chunk).await["accepted"].as_u64().unwrap();
    }
    assert_eq!(accepted as usize, posts.len());
    let again = house.push(&posts[..10]).await;
    assert_eq!((again["accepted"].as_u64(), again["duplicates"].as_u64()), (Some(0), Some(10)));

    let cookie = house.sign_in().await;
    house
        .until("every post is in the lake", async || {
            house.sql(&cookie, "SELECT count(*) FROM sentiment").await["rows"][0][0] == posts.len()
        })
        .await;
    house
        .until("the storm is an anomaly", async || {
            let found =
                house.sql(&cookie, "SELECT observed FROM anomalies WHERE severity IN ('high', 'critical')").await;
            found["rows"].as_array().is_some_and(|rows| rows.iter().any(|row| row[0] == 90.0))
        })
        .await;
    house
        .until("an alert is open or over", async || {
            house.sql(&cookie, "SELECT count(*) FROM alerts").await["rows"][0][0].as_u64() > Some(0)
        })
        .await;
    // Words in a text are asked in SQL, the rest is counted in memory; every text has this word.
    let by_sql = house.breakdown(&cookie, "&q=train").await;
    let spellings: Vec<&str> =
        by_sql[0]["parts"].as_array().unwrap().iter().filter_map(|p| p["value"].as_str()).collect();
    assert!(spellings.iter().any(|phrase| phrase.contains("train")), "{by_sql}");
    assert!(!spellings.iter().any(|phrase| phrase.contains("TRAIN")), "{by_sql}");
    house.until("memory says what SQL says", async || house.breakdown(&cookie, "").await == by_sql).await;
    let metrics = house.client.get(house.url("/metrics")).send().await.unwrap().text().await.unwrap();
    for name in ["committed_posts_total", "build_info", "queue_waiting_records", "ingest_lag_seconds", "watch_series"] {
        assert!(metrics.contains(&format!("# HELP overheard_{name} ")), "{name} is measured and described:\n{metrics}");
    }

    let log = house.stop();
    assert!(!log.contains("ERROR"), "{log}");
    let all = posts.len() as u64;
    assert_eq!(counts(&data), (all, all, all, all));
}

#[tokio::test]
async fn a_process_that_only_serves_says_where_its_sources_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let posts = posts_file(folder.path(), 3);
    succeed(plain(&data).arg("import").arg(posts));
    let house = House::start_roles(&data, "[sources.x]\nenabled = true\n", "serve").await;
    let cookie = house.sign_in().await;
    let answer = house.client.get(house.url("/api/sources")).header("cookie", cookie).send().await.unwrap();
    let sources: Value = answer.json().await.unwrap();
    let x = sources.as_array().unwrap().iter().find(|source| source["id"] == "x").unwrap();
    assert_eq!(x["state"], "another process", "{sources}");
    house.stop();
}

#[test]
fn a_process_that_only_listens_starts_on_an_empty_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let serve = run(plain(&data).args(["up", "--role", "serve"]));
    let said = text(&serve.stderr);
    assert!(!serve.status.success() && said.contains("the role understand first"), "{said}");
    let mut child = plain(&data).args(["up", "--role", "listen"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("Ctrl-C")), "it runs");
    let killed = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success() && child.wait().unwrap().success());
}
