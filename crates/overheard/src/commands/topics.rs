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

/// Named boolean queries; a post that matches one is a mention of it.
///
/// Queries: words and "phrases", AND OR NOT, parentheses, #tag, @user, $cashtag, from:author, lang:de, wild*
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a topic, or change its query: overheard topics add storm 'snow* OR cancel* "flight delay"'
    Add { name: String, query: String },
    /// List the topics.
    List {
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Forget a topic; posts already matched keep its name.
    Remove { name: String },
    /// Try a query on texts, or on the newest posts of the lake, without saving it.
    Test {
        query: String,
        /// Texts to try; none: the newest posts of the lake.
        texts: Vec<String>,
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
        /// How many of the newest posts to try.
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
    Topics::new(wiring::open_queue(config)?.as_ref()).save(topic).await?;
    say(format_args!(
        "topic {name:?} is saved; a running `overheard up` takes it over within seconds, \
         `overheard reprocess` finds it in posts that are here already"
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn list(config: &Config, format: Format) -> Result<ExitCode> {
    let topics = wiring::topics(wiring::open_queue(config)?.as_ref()).await?;
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
    if !Topics::new(wiring::open_queue(config)?.as_ref()).delete(name).await? {
        bail!("there is no topic {name:?}; `overheard topics list` shows them");
    }
    say(format_args!("topic {name:?} is removed"))?;
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
