//! The simulator of X as a program, to see the real connector at work without an account: `x-simulator --help`.

#![expect(clippy::print_stdout, reason = "a program for people: what it says goes to the terminal")]

use clap::Parser;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use testkit::x_simulator::{Faults, SimulatedPost, SimulatorConfig, XSimulator, read_posts};

/// A simulator of the X API v2: the filtered stream with its rules, and the recent search.
///
/// Point the connector of X at it: base_url = "http://127.0.0.1:8600" and the token given here. Any bearer-token client
/// works as well, for example tweepy or curl.
#[derive(Parser)]
#[command(name = "x-simulator")]
struct Arguments {
    /// Posts to serve, one JSON object a line: id, text, created_at, username, user_location, lat_lon. Without one, a
    /// few made-up posts are repeated.
    file: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8600")]
    address: SocketAddr,
    /// The bearer token to accept.
    #[arg(long, default_value = "simulator-token")]
    token: String,
    /// Posts published each second.
    #[arg(long, default_value_t = 5.0)]
    posts_per_second: f64,
    /// Seconds of silence before a blank line.
    #[arg(long, default_value_t = 20.0)]
    keep_alive_s: f64,
    /// Makes trouble: breaks, repeats, silence, refusals, unknown messages.
    #[arg(long)]
    faults: bool,
    /// Seed of the trouble.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Answers as to an app whose plan has no stream (403).
    #[arg(long)]
    not_enrolled: bool,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let arguments = Arguments::parse();
    let posts = match &arguments.file {
        Some(file) => read_posts(file)?,
        None => made_up(),
    };
    let config = SimulatorConfig {
        address: arguments.address,
        token: arguments.token.clone(),
        posts_per_second: arguments.posts_per_second,
        keep_alive: Duration::from_secs_f64(arguments.keep_alive_s.clamp(0.01, 3_600.0)),
        not_enrolled: arguments.not_enrolled,
        faults: if arguments.faults { Faults::all(arguments.seed) } else { Faults::default() },
        ..SimulatorConfig::default()
    };
    let count = posts.len();
    let simulator = XSimulator::start(config, posts).await?;
    println!(
        "X is simulated at {} with {count} posts; they are published from the first connection on",
        simulator.url()
    );
    println!("bearer token: {}", arguments.token);
    println!("stop with Ctrl-C");
    tokio::signal::ctrl_c().await
}

/// An hour of posts about a company that does not exist.
fn made_up() -> Vec<SimulatedPost> {
    let texts = [
        "Nordwind Air lost my bag again #nordwind",
        "@nordwindair thank you for the quick rebooking!",
        "Flight to Oslo cancelled, no word from Nordwind Air",
        "Nordwind Air verspätet sich schon wieder",
        "Le vol Nordwind Air était parfait",
    ];
    (0..18_000_u64)
        .map(|n| SimulatedPost {
            id: (1_900_000_000_000_000_000 + n * 4_194_304_000).to_string(),
            text: format!("{} ({n})", texts[usize::try_from(n).unwrap_or(0) % texts.len()]),
            created_at: chrono::DateTime::from_timestamp(1_742_000_000 + i64::try_from(n).unwrap_or(0), 0)
                .unwrap_or_default()
                .format("%Y-%m-%dT%H:%M:%S.000Z")
                .to_string(),
            username: format!("sample_{}", n % 400),
            location: Some("Oslo, Norway".into()),
            lat_lon: None,
            language: None,
            replaces: Vec::new(),
        })
        .collect()
}
