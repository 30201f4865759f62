//! `overheard topics`: what we listen for.

use crate::Global;
use crate::output::{self, Format, say};
use anyhow::{Result, bail};
use clap::Subcommand;
use domain::analytics::{PostText, RecentTextsQuery};
use domain::topic::{Topic, TopicMatcher};
use domain::{Analytics, Author, Clock, Post, PostId, SystemClock, TimeRange, Timestamp};
use runtime::{Config, wiring};
use serde_json::{Value, json};
use state::Topics;
use std::process::ExitCode;

/// List, add, remove and test topics: saved queries that select the posts you are interested in
///
/// Query language: words and "phrases", AND, OR, NOT, parentheses, #tag, @user, $cashtag, from:author,
/// lang:de, wild*. Words next to each other are combined with AND. See docs/query-language.md.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard topics add storm 'snow* OR "flight delay" OR #stranded'
  overheard topics list
  overheard topics test '"late train" lang:en' "My late train again"
  overheard topics test 'snow* NOT from:weatherbot' --newest 5000
  overheard topics remove storm"#
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a topic or change its query.
    Add {
        /// Name of the topic.
        name: String,
        /// Query; quote it for the shell.
        query: String,
    },
    /// List the topics.
    List {
        /// Output format.
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Remove a topic. Posts that already matched keep its name.
    Remove {
        /// Name of the topic.
        name: String,
    },
    /// Test a query against texts or the newest stored posts, without saving it.
    Test {
        /// Query to test.
        query: String,
        /// Texts to test [default: the newest stored posts].
        texts: Vec<String>,
        /// Output format.
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
        /// Number of stored posts to test, newest first.
        #[arg(long, default_value_t = 10_000)]
        newest: usize,
    },
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    match args.action {
        Action::Add { name, query } => add(&config, name, query).await,
        Action::List { format } => list(&config, format).await,
        Action::Remove { name } => remove(&config, &name).await,
        Action::Test { query, texts, format, newest } => test(&config, &query, texts, format, newest).await,
    }
}

async fn add(config: &Config, name: String, query: String) -> Result<ExitCode> {
    let topic = Topic { name, query, created_at: SystemClock.now() }.trimmed();
    let name = topic.name.clone();
    // Before the data folder is created.
    topic.check()?;
    Topics::new(wiring::open_queue(config)?.as_ref()).save(topic).await?;
    say(format_args!(
        "saved topic {name:?}; a running `overheard up` uses it within seconds. To match stored posts too, run \
         `overheard reprocess --since DAY`"
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn list(config: &Config, format: Format) -> Result<ExitCode> {
    let topics = wiring::topics(wiring::open_existing_queue(config)?.as_ref()).await?;
    if topics.is_empty() && format == Format::Table {
        say("no topics yet; add one: overheard topics add NAME 'QUERY'")?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows =
        topics.into_iter().map(|topic| vec![json!(topic.name), json!(topic.query), json!(topic.created_at)]).collect();
    output::print(&output::rows(&["name", "query", "created_at"], rows), format)?;
    Ok(ExitCode::SUCCESS)
}

async fn remove(config: &Config, name: &str) -> Result<ExitCode> {
    if !Topics::new(wiring::open_existing_queue(config)?.as_ref()).delete(name).await? {
        bail!("no topic {name:?}; `overheard topics list` shows all topics");
    }
    say(format_args!("removed topic {name:?}"))?;
    Ok(ExitCode::SUCCESS)
}

async fn test(config: &Config, query: &str, texts: Vec<String>, format: Format, newest: usize) -> Result<ExitCode> {
    let topic = Topic { name: "test".into(), query: query.into(), created_at: SystemClock.now() };
    let matcher = TopicMatcher::new(vec![topic])?;
    let candidates = match texts.is_empty() {
        true => newest_posts(config, newest).await?,
        false => texts.into_iter().map(|text| Candidate { text, ..Candidate::default() }).collect(),
    };
    let tried = candidates.len();
    let matched: Vec<Vec<Value>> = candidates
        .into_iter()
        .filter(|one| one.post().is_ok_and(|post| !matcher.matches(&post, one.language.as_deref()).is_empty()))
        .map(|one| vec![json!(one.post_id), json!(one.author), json!(one.language), json!(one.text)])
        .collect();
    let count = matched.len();
    output::print(&output::rows(&["post_id", "author", "language", "text"], matched), format)?;
    if format == Format::Table {
        say(format_args!("{count} of {tried} posts match"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// As much of a post as queries look at.
#[derive(Default)]
struct Candidate {
    post_id: Option<String>,
    author: Option<String>,
    language: Option<String>,
    text: String,
}

impl Candidate {
    fn post(&self) -> domain::Result<Post> {
        let author = self.author.clone().map(|username| Author { username: Some(username), ..Author::default() });
        let post = Post::of_text(PostId::new("test", "1")?, self.text.clone(), SystemClock.now());
        Ok(Post { author, language_hint: self.language.clone(), ..post })
    }
}

async fn newest_posts(config: &Config, limit: usize) -> Result<Vec<Candidate>> {
    let lake = wiring::open_lake_read_only(config).await?;
    let range = TimeRange { from: Timestamp::UNIX_EPOCH, to: SystemClock.now() + chrono::TimeDelta::days(1) };
    let posts = lake.recent_texts(&RecentTextsQuery { range, limit }).await?.into_iter();
    let candidate = |post: PostText| Candidate {
        post_id: Some(post.id.as_str().to_owned()),
        author: post.author,
        language: post.language,
        text: post.text,
    };
    Ok(posts.map(candidate).collect())
}
