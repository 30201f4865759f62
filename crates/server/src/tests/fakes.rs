//! In-memory ports: a queue with dead letters alone, and an installation that notes what was called.

use async_trait::async_trait;
use domain::{
    AddedSource, Alert, AlertDesk, AlertNow, AlertRule, Appended, Backfill, CategoryDefinition, DeadLetter, Error,
    Fault, FileImport, FileImports, Forgotten, Identity, IdentityProvider, ImportOrder, ImportState, PostAdmin,
    PostQueue, PushError, PushIntake, PushOutcome, PushStatus, QueryLimits, QueueDepth, Record, Replayed, Result,
    SignInAttempt, SourceError, SourceKind, SourceOrder, SourceSettings, SourceStatus, SourceTrial, SqlAnswer,
    SqlRunner, SystemInfo, SystemReport, Timestamp, ToForget,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

#[derive(Default)]
pub(super) struct Letters(pub(super) Mutex<Vec<DeadLetter>>);

#[async_trait]
impl PostQueue for Letters {
    async fn append(&self, records: Vec<Record>) -> Result<Vec<Appended>> {
        Ok(records.iter().map(|_| Appended::Duplicate).collect())
    }

    async fn dead_letter(&self, letters: Vec<DeadLetter>) -> Result<()> {
        self.0.lock().unwrap().extend(letters);
        Ok(())
    }

    async fn dead_letters_before(&self, before: u64, limit: usize) -> Result<Vec<DeadLetter>> {
        let letters = self.0.lock().unwrap();
        Ok(letters.iter().filter(|letter| letter.id < before).take(limit).cloned().collect())
    }

    async fn find_dead_letter(&self, id: u64) -> Result<Option<DeadLetter>> {
        Ok(self.0.lock().unwrap().iter().find(|letter| letter.id == id).cloned())
    }

    async fn remove_dead_letter(&self, id: u64) -> Result<Option<DeadLetter>> {
        let mut letters = self.0.lock().unwrap();
        let at = letters.iter().position(|letter| letter.id == id);
        Ok(at.map(|at| letters.remove(at)))
    }

    async fn depth(&self) -> Result<QueueDepth> {
        let dead_letters = self.0.lock().unwrap().len() as u64;
        Ok(QueueDepth { waiting: 3, dead_letters, ..QueueDepth::default() })
    }
}

#[derive(Default)]
pub(super) struct House {
    pub(super) called: Mutex<Vec<String>>,
    pub(super) alerts_now: Mutex<Vec<AlertNow>>,
    /// Push sources that no configuration has; `taken` is a name that none may have.
    pub(super) unconfigured: Mutex<Vec<String>>,
}

/// The code says who signed in, or what goes wrong.
#[async_trait]
impl IdentityProvider for House {
    fn name(&self) -> &str {
        "Example"
    }

    async fn page(&self, attempt: &SignInAttempt) -> Result<String> {
        assert!(attempt.callback.ends_with("/api/session/provider/callback"), "{attempt:?}");
        Ok(format!("https://id.example.org/?state={}", attempt.state))
    }

    async fn identity(&self, code: &str, _: &SignInAttempt) -> Result<Identity> {
        let (name, group) = match code {
            "good" => ("ada@example.org", "staff"),
            "stranger" => ("eve@example.org", "visitors"),
            // The name of a user with a password.
            "admin" => ("admin", "board"),
            "down" => return Err(Error::retry("down")),
            _ => return Err(Error::reject("no such code")),
        };
        Ok(Identity {
            subject: format!("https://id.example.org {name}"),
            name: name.into(),
            groups: vec![group.into()],
        })
    }
}

#[async_trait]
impl SystemInfo for House {
    async fn sources(&self) -> Vec<SourceStatus> {
        Vec::new()
    }

    async fn system(&self) -> SystemReport {
        SystemReport::default()
    }

    async fn not_ready(&self) -> Vec<String> {
        Vec::new()
    }

    fn backfills(&self) -> Vec<Backfill> {
        vec![Backfill { source: "sample".into(), done: 0.5, complete_from: Timestamp::UNIX_EPOCH }]
    }

    fn metrics(&self) -> String {
        "overheard_posts_total 7\n".into()
    }

    async fn preset_categories(&self) -> Result<Vec<CategoryDefinition>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl AlertDesk for House {
    async fn rules(&self) -> Result<Vec<AlertRule>> {
        Ok(Vec::new())
    }

    async fn rule_problems(&self) -> Result<HashMap<String, String>> {
        Ok(HashMap::new())
    }

    fn channels(&self) -> Vec<String> {
        vec!["log".into()]
    }

    async fn alerts_now(&self, _ids: &[String]) -> Result<Vec<AlertNow>> {
        Ok(self.alerts_now.lock().unwrap().clone())
    }

    async fn acknowledge(&self, alert_id: &str, who: &str) -> Result<Option<Alert>> {
        self.called.lock().unwrap().push(format!("{who} acknowledges {alert_id}"));
        Ok(None)
    }

    async fn silence(&self, alert_id: &str, until: Timestamp) -> Result<Option<Alert>> {
        self.called.lock().unwrap().push(format!("silences {alert_id} until {until}"));
        Ok(None)
    }

    async fn back_test(&self, _rule: &AlertRule, _from: Timestamp, _to: Timestamp) -> Result<Vec<Alert>> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl SqlRunner for House {
    async fn sql(&self, sql: &str, _limits: QueryLimits) -> Result<SqlAnswer> {
        match sql.starts_with("DROP") {
            true => Err(Error::reject("only SELECT is allowed here")),
            false => Ok(SqlAnswer { rows: b"[]".to_vec(), ..SqlAnswer::default() }),
        }
    }
}

#[async_trait]
impl PushIntake for House {
    fn push_source(&self, source: &str) -> std::result::Result<bool, String> {
        match source {
            "taken" => Err("\"taken\" is the platform of another source".into()),
            _ => Ok(!self.unconfigured.lock().unwrap().iter().any(|name| name == source)),
        }
    }

    async fn push(
        &self,
        source: &str,
        _content_type: Option<&str>,
        body: &[u8],
    ) -> std::result::Result<Vec<PushOutcome>, PushError> {
        if body.starts_with(b"full") {
            return Err(PushError::Full { retry_after_s: 7 });
        }
        if body.starts_with(b"letters full") {
            return Err(PushError::LettersFull { retry_after_s: 7 });
        }
        let reason = Some(format!("{} bytes of {source}", body.len()));
        Ok(vec![PushOutcome { status: PushStatus::Rejected, post_id: None, reason }])
    }

    fn check_call(&self, source: &str, headers: &[(String, String)]) -> std::result::Result<usize, PushError> {
        let proves = source == "desk" && headers.iter().any(|(name, value)| name == "x-proof" && value == "good");
        proves.then_some(1_000).ok_or_else(|| PushError::Unproven("not signed".into()))
    }

    async fn call(
        &self,
        source: &str,
        headers: &[(String, String)],
        body: &[u8],
    ) -> std::result::Result<Vec<PushOutcome>, PushError> {
        self.check_call(source, headers)?;
        self.push(source, None, body).await
    }
}

impl FileImports for House {
    fn place(&self, order: &ImportOrder) -> std::result::Result<PathBuf, Fault> {
        match order.name.as_str() {
            "" => Err(Fault::new("name", "Say the name of the file.")),
            name => Ok(std::env::temp_dir().join(format!("overheard-{}-{name}", std::process::id()))),
        }
    }

    fn start(&self, order: ImportOrder, place: &Path) -> FileImport {
        let bytes = std::fs::read(place).unwrap();
        std::fs::remove_file(place).unwrap();
        let ImportOrder { name, platform, columns, who } = order;
        let lines = vec![platform, columns, String::from_utf8(bytes).unwrap()];
        let state = ImportState::Waiting;
        FileImport {
            id: "1".into(),
            name,
            who,
            at: Timestamp::UNIX_EPOCH,
            state,
            bytes: 0,
            bytes_total: 0,
            posts: 0,
            lines,
        }
    }

    fn imports(&self) -> Vec<FileImport> {
        Vec::new()
    }
}

#[async_trait]
impl PostAdmin for House {
    async fn forget(&self, _what: ToForget) -> Result<Forgotten> {
        Err(Error::reject("deleting posts is not available in this process"))
    }

    async fn replay(&self, letter: &DeadLetter) -> Result<Replayed> {
        let reason = (letter.payload == "bad").then(|| "still bad".to_owned());
        Ok(Replayed { accepted: u64::from(reason.is_none()), reason })
    }
}

#[async_trait]
impl SourceSettings for House {
    fn kinds(&self) -> Vec<SourceKind> {
        vec![SourceKind { name: "feed".into(), title: "Feeds".into(), about: String::new(), fields: Vec::new() }]
    }

    async fn added(&self) -> Result<Vec<AddedSource>> {
        Ok(Vec::new())
    }

    async fn save(&self, name: &str, order: SourceOrder, who: &str) -> std::result::Result<(), SourceError> {
        if order.kind != "feed" {
            return Err(Fault::new("kind", "unknown kind").into());
        }
        self.called.lock().unwrap().push(format!("{who} saves the source {name}"));
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<bool> {
        Ok(name == "news")
    }

    async fn try_out(&self, name: &str, _order: SourceOrder) -> std::result::Result<SourceTrial, SourceError> {
        Ok(SourceTrial { ok: true, summary: format!("{name} answers"), advice: None, posts: Vec::new() })
    }
}
