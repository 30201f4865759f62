//! `overheard cost`: what this installation costs on AWS at its volume and at others, beside two published architectures.

mod prices;
mod systems;

use crate::Global;
use crate::output::{self, Format, say};
use anyhow::Result;
use chrono::TimeDelta;
use domain::analytics::{Analytics as _, RecentTextsQuery, TimeRange};
use domain::{RawPosts as _, RawSelection};
pub(crate) use prices::Prices;
use runtime::{clock, wiring};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use systems::{ALL, Volume};

/// Say what Overheard would cost on AWS in a month, at your volume and at others, beside the two published architectures
/// that do the same (docs/cost.md explains every line).
///
/// The volume is that of the last 30 days in the lake, unless --posts-per-day names another. Prices are list prices
/// without free tiers; --prices FILE brings your own. What a platform charges for its posts is not included.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = "Examples:\n  overheard cost --posts-per-day 10000 --details")]
pub(crate) struct Args {
    /// Posts a day, in place of those of the lake.
    #[arg(long, value_name = "N")]
    posts_per_day: Option<f64>,
    /// Characters of a post, in place of those of the lake.
    #[arg(long, value_name = "N")]
    characters: Option<f64>,
    /// Months that posts are kept.
    #[arg(long, default_value_t = 12.0, value_name = "N")]
    months_kept: f64,
    /// Other prices, in the form of config/prices.toml.
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Every line of every bill at the first volume.
    #[arg(long)]
    details: bool,
}

/// Assumed where there are no posts to count.
const CHARACTERS: f64 = 140.0;
const POSTS_PER_DAY: f64 = 1_000.0;
/// Days that are counted, and texts that are measured, of the lake.
const COUNTED_DAYS: i64 = 30;
const TEXTS: usize = 1_000;
/// Shown beside the volume that is.
const VOLUMES: [f64; 4] = [1_000.0, 10_000.0, 100_000.0, 1_000_000.0];

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let prices = Prices::read(args.prices.as_deref())?;
    let found = match (args.posts_per_day, args.characters) {
        (Some(_), Some(_)) => None,
        _ => of_lake(global).await,
    };
    let (posts, characters) = found.unwrap_or((POSTS_PER_DAY, CHARACTERS));
    let volume = Volume {
        posts_per_day: args.posts_per_day.unwrap_or(posts).max(0.0),
        characters: args.characters.unwrap_or(characters).max(1.0),
        months_kept: args.months_kept.max(0.0),
    };
    let whose =
        if found.is_some() && args.posts_per_day.is_none() { "as in the last 30 days" } else { "as given or assumed" };
    say(format_args!(
        "{:.0} posts a day of {:.0} characters ({whose}), kept for {} months; US dollars a month, us-east-1, list prices \
         noted {}",
        volume.posts_per_day,
        volume.characters,
        volume.months_kept,
        prices.noted()
    ))?;
    if args.details {
        details(volume, &prices)?;
    }
    overview(volume, &prices)?;
    Ok(ExitCode::SUCCESS)
}

/// Posts a day and their characters, of the last 30 days; none where there is no lake or no post.
async fn of_lake(global: &Global) -> Option<(f64, f64)> {
    let config = global.load().ok()?;
    let lake = wiring::open_lake_read_only(&config).await.ok()?;
    let now = clock().now();
    let range = TimeRange { from: now - TimeDelta::days(COUNTED_DAYS), to: now };
    let posts = lake.count_raw(&RawSelection::Range(range)).await.ok().filter(|posts| *posts > 0)?;
    let texts = lake.recent_texts(&RecentTextsQuery { range, limit: TEXTS }).await.ok()?;
    let characters: usize = texts.iter().map(|post| post.text.chars().count()).sum();
    Some((posts as f64 / COUNTED_DAYS as f64, characters as f64 / texts.len().max(1) as f64))
}

/// Dollars and cents.
fn dollars(amount: f64) -> Value {
    json!(format!("{amount:.2}"))
}

fn details(volume: Volume, prices: &Prices) -> Result<()> {
    for system in &ALL {
        let items = (system.items)(volume, prices);
        let rows =
            items.iter().map(|item| vec![json!(item.service), json!(item.what), dollars(item.dollars)]).collect();
        say(format_args!("\n{}", system.name))?;
        output::print(&output::rows(&["service", "for", "$"], rows), Format::Table)?;
    }
    say("")
}

fn overview(volume: Volume, prices: &Prices) -> Result<()> {
    let mut volumes = vec![volume.posts_per_day];
    volumes.extend(VOLUMES.iter().filter(|posts| (**posts - volume.posts_per_day).abs() > 0.5));
    let row = |posts_per_day: &f64| {
        let of = |system: &systems::System| {
            let items = (system.items)(Volume { posts_per_day: *posts_per_day, ..volume }, prices);
            dollars(items.iter().map(|item| item.dollars).sum())
        };
        std::iter::once(json!(format!("{posts_per_day:.0}"))).chain(ALL.iter().map(of)).collect()
    };
    let columns: Vec<&str> = std::iter::once("posts/day").chain(ALL.iter().map(|system| system.name)).collect();
    output::print(&output::rows(&columns, volumes.iter().map(row).collect()), Format::Table)
}
