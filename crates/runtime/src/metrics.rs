//! The metrics of the program: one table with every name, unit and meaning, and the gauges that are read now and then.

use crate::usage;
use domain::{Analytics as _, Health, PostQueue, StateStore};
use lake::Lake;
use metrics::{describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use std::path::Path;

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Name, kind, labels, meaning. The unit is part of the name.
struct Metric(&'static str, Kind, &'static [&'static str], &'static str);

#[rustfmt::skip]
const METRICS: &[Metric] = &[
    Metric("overheard_build_info", Kind::Gauge, &["version"], "Always 1; the label names the version."),
    Metric("overheard_components_failing", Kind::Gauge, &[], "Components that fail at this moment; /readyz names them."),
    Metric("overheard_disk_free_bytes", Kind::Gauge, &[], "Free space on the disk of the data folder."),
    Metric("overheard_memory_bytes", Kind::Gauge, &[], "Resident memory of this process."),
    Metric("overheard_source_records_total", Kind::Counter, &["source", "outcome"], "Records that sources handed to the queue."),
    Metric("overheard_source_disconnects_total", Kind::Counter, &["source"], "Ends of a source's stream that were not asked for."),
    Metric("overheard_bluesky_unreadable_events_total", Kind::Counter, &[], "Events of Bluesky's stream that could not be read."),
    Metric("overheard_x_posts_read_total", Kind::Counter, &[], "Posts read from X."),
    Metric("overheard_x_posts_billed_total", Kind::Counter, &[], "Posts read from X that count against its monthly limit."),
    Metric("overheard_x_notices_total", Kind::Counter, &[], "Messages of X's stream that are not posts."),
    Metric("overheard_x_disconnects_total", Kind::Counter, &[], "Ends of X's stream."),
    Metric("overheard_queue_appended_records_total", Kind::Counter, &[], "Records stored in the queue."),
    Metric("overheard_queue_duplicate_records_total", Kind::Counter, &[], "Records refused because the post is known."),
    Metric("overheard_queue_dead_letters_total", Kind::Counter, &[], "Records set aside as dead letters."),
    Metric("overheard_queue_commit_seconds", Kind::Histogram, &[], "Time to write a group of changes to the queue."),
    Metric("overheard_queue_waiting_records", Kind::Gauge, &[], "Records in the queue that are not acknowledged, without those in flight."),
    Metric("overheard_queue_in_flight_records", Kind::Gauge, &[], "Records that are leased."),
    Metric("overheard_queue_dead_letters", Kind::Gauge, &[], "Dead letters that are kept."),
    Metric("overheard_queue_oldest_record_seconds", Kind::Gauge, &[], "Age of the oldest record that is not acknowledged."),
    Metric("overheard_ingest_lag_seconds", Kind::Histogram, &[], "Time from the receipt of a post to its commit, one value per post."),
    Metric("overheard_committed_posts_total", Kind::Counter, &[], "Posts committed to the lake."),
    Metric("overheard_deleted_posts_total", Kind::Counter, &[], "Posts deleted from the lake because their platform or an edit said so."),
    Metric("overheard_rejected_posts_total", Kind::Counter, &[], "Posts that could not be enriched; they are dead letters."),
    Metric("overheard_blocked_posts_total", Kind::Counter, &[], "Posts dropped because their author is blocked (intentional)."),
    Metric("overheard_leases_lost_total", Kind::Counter, &[], "Leases that ran out before their batch was acknowledged."),
    Metric("overheard_leases_refused_total", Kind::Counter, &[], "Leases given up because the lake lacked what lies before them."),
    Metric("overheard_lake_commit_seconds", Kind::Histogram, &[], "Time to commit a batch to every table."),
    Metric("overheard_lake_compacted_rows_total", Kind::Counter, &[], "Rows rewritten by compaction."),
    Metric("overheard_lake_version", Kind::Gauge, &[], "Grows with every commit to a table."),
    Metric("overheard_lake_counts_posts", Kind::Gauge, &[], "Posts held in memory for counting."),
    Metric("overheard_lake_counts_bytes", Kind::Gauge, &[], "Memory of the posts held for counting."),
    Metric("overheard_sql_workers_ended_total", Kind::Counter, &[], "SQL workers that were stopped for their memory or depth."),
    Metric("overheard_watch_delay_seconds", Kind::Gauge, &["interval_s"], "Time since the end of the last interval that was judged."),
    Metric("overheard_watch_series", Kind::Gauge, &["interval_s"], "Series that are watched."),
    Metric("overheard_watch_parts_left_out", Kind::Gauge, &["interval_s"], "Parts of topics that are too many to be watched."),
    Metric("overheard_watch_unexplained_total", Kind::Counter, &[], "Anomalies reported without an explanation."),
    Metric("overheard_alerts_opened_total", Kind::Counter, &[], "Alerts opened."),
    Metric("overheard_alerts_notifications_total", Kind::Counter, &["channel", "result"], "Deliveries of notifications: delivered, postponed, refused."),
    Metric("overheard_alerts_channel_failing", Kind::Gauge, &["channel"], "1 while the channel does not take notifications, else 0."),
    Metric("overheard_http_requests_total", Kind::Counter, &["status"], "HTTP requests by class of status."),
    Metric("overheard_http_request_seconds", Kind::Histogram, &[], "Time to the head of an answer."),
];

/// Installs the recorder of this process and describes every metric.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().install_recorder()?;
    for Metric(name, kind, labels, meaning) in METRICS {
        let labels = if labels.is_empty() { String::new() } else { format!(" Labels: {}.", labels.join(", ")) };
        let help = format!("{meaning}{labels}");
        match kind {
            Kind::Counter => describe_counter!(*name, help),
            Kind::Gauge => describe_gauge!(*name, help),
            Kind::Histogram => describe_histogram!(*name, help),
        }
    }
    gauge!("overheard_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

/// Which channels fail; one that can't be read keeps its last value.
pub(crate) async fn read_channels(channels: &[String], state: &dyn StateStore) {
    let Ok(troubles) = alerts::troubles(state).await else { return };
    for channel in channels {
        let fails = troubles.iter().any(|trouble| trouble.channel == *channel && trouble.failing_since.is_some());
        gauge!("overheard_alerts_channel_failing", "channel" => channel.clone()).set(f64::from(u8::from(fails)));
    }
}

/// Reads the gauges; one that can't be read keeps its last value.
pub(crate) async fn read_gauges(queue: &dyn PostQueue, lake: &Lake, health: &Health, data: &Path) {
    if let Ok(depth) = queue.depth().await {
        gauge!("overheard_queue_waiting_records").set(depth.waiting as f64);
        gauge!("overheard_queue_in_flight_records").set(depth.in_flight as f64);
        gauge!("overheard_queue_dead_letters").set(depth.dead_letters as f64);
        gauge!("overheard_queue_oldest_record_seconds").set(depth.oldest_ms as f64 / 1e3);
    }
    let (posts, bytes) = lake.counts_size();
    gauge!("overheard_lake_counts_posts").set(posts as f64);
    gauge!("overheard_lake_counts_bytes").set(bytes as f64);
    gauge!("overheard_lake_version").set(lake.version() as f64);
    gauge!("overheard_components_failing").set(health.problems().len() as f64);
    if let Ok(free) = fs4::available_space(data) {
        gauge!("overheard_disk_free_bytes").set(free as f64);
    }
    if let Some(bytes) = usage::memory_bytes() {
        gauge!("overheard_memory_bytes").set(bytes as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::PathBuf;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    fn source(folder: &Path, text: &mut String) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                source(&path, text);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }

    /// Every use of a metric in the source: its name, kind and labels.
    fn used() -> BTreeSet<(String, &'static str, Vec<String>)> {
        let mut text = String::new();
        for entry in fs::read_dir(root().join("crates")).unwrap() {
            source(&entry.unwrap().path().join("src"), &mut text);
        }
        let mut used = BTreeSet::new();
        for (macro_name, kind) in [("counter!", "counter"), ("gauge!", "gauge"), ("histogram!", "histogram")] {
            // A long call has its name on a line of its own.
            let opening = format!("{macro_name}(");
            let calls = text.split(&opening).skip(1);
            for call in calls.filter_map(|call| call.trim_start().strip_prefix('"')) {
                let ends = [".increment(", ".set(", ".record(", ";"].iter().filter_map(|end| call.find(end));
                let call = &call[..ends.min().unwrap_or(call.len())];
                let words: Vec<&str> = call.split('"').collect();
                let labels = words.windows(2).filter(|pair| pair[1].trim_start().starts_with("=>"));
                used.insert((words[0].to_owned(), kind, labels.map(|pair| pair[0].to_owned()).collect()));
            }
        }
        used
    }

    fn kind(kind: Kind) -> &'static str {
        match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }

    #[test]
    fn the_table_names_every_metric_of_the_source_and_no_other() {
        let described = METRICS.iter().map(|Metric(name, of, labels, _)| {
            (name.to_string(), kind(*of), labels.iter().map(ToString::to_string).collect())
        });
        assert_eq!(described.collect::<BTreeSet<_>>(), used());
    }

    fn unit(name: &str) -> &'static str {
        let name = name.trim_end_matches("_total");
        let units = [("_seconds", "seconds"), ("_bytes", "bytes"), ("_info", "")];
        units.iter().find(|(end, _)| name.ends_with(end)).map_or("count", |(_, unit)| unit)
    }

    /// `make golden` writes the page anew.
    #[test]
    fn golden_page_of_metrics() {
        let rows = METRICS.iter().map(|Metric(name, of, labels, meaning)| {
            let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
            format!("| `{name}` | {} | {} | {labels} | {meaning} |\n", kind(*of), unit(name))
        });
        let table: String = rows.collect();
        let path = root().join("docs/metrics.md");
        let page = fs::read_to_string(&path).unwrap();
        let head = "| name | type | unit | labels | meaning |\n|---|---|---|---|---|\n";
        let (before, rest) = page.split_once(head).unwrap();
        let after: String = rest.split_inclusive('\n').skip_while(|line| line.starts_with('|')).collect();
        let fresh = format!("{before}{head}{table}{after}");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &fresh).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), fresh, "docs/metrics.md is out of date; run `make golden`");
    }

    #[test]
    fn dashboard_and_alert_rules_name_metrics_that_exist() {
        let known: BTreeSet<&str> = METRICS.iter().map(|metric| metric.0).collect();
        for file in ["deploy/grafana/overheard.json", "deploy/prometheus/alerts.yml"] {
            let text = fs::read_to_string(root().join(file)).unwrap();
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let named: BTreeSet<&str> = words.filter(|word| word.starts_with("overheard_")).collect();
            assert!(named.len() > 5, "{file} names {} metrics", named.len());
            let unknown: Vec<_> = named.difference(&known).collect();
            assert!(unknown.is_empty(), "{file} names metrics that don't exist: {unknown:?}");
        }
    }

    #[test]
    fn the_dashboard_is_whole() {
        let text = fs::read_to_string(root().join("deploy/grafana/overheard.json")).unwrap();
        let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
        let panels = dashboard["panels"].as_array().unwrap();
        let (rows, charts): (Vec<_>, Vec<_>) = panels.iter().partition(|panel| panel["type"] == "row");
        assert!(!rows.is_empty() && !charts.is_empty());
        let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "every panel has an id of its own");
        for chart in charts {
            let title = chart["title"].as_str().filter(|title| !title.is_empty()).expect("a panel has a title");
            let targets = chart["targets"].as_array().unwrap();
            assert!(targets.iter().all(|target| target["expr"].is_string()), "{title} has an expression");
            assert!(chart["gridPos"]["w"].as_u64().is_some_and(|width| width <= 24), "{title} has a place");
        }
    }
}
