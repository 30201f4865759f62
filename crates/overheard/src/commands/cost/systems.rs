//! What each way to run it needs at a volume, service by service: ours on Fargate Spot, ours with Lambda functions, and the
//! two published architectures that do the same. docs/cost.md explains every line.

use super::prices::Prices;

/// Hours and seconds of a month.
const HOURS: f64 = 730.0;
const SECONDS: f64 = HOURS * 3_600.0;
const DAYS: f64 = 30.4;
/// The busiest hour against the average.
const PEAK: f64 = 5.0;
/// Posts that one processor understands in a second (docs/limits.md).
const POSTS_PER_VCPU_S: f64 = 60.0;
/// Bytes of a post in the lake, and of its JSON.
const STORED_BYTES: f64 = 700.0;
const JSON_BYTES: f64 = 1_500.0;
const GB: f64 = 1e9;

/// How much there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Volume {
    pub(super) posts_per_day: f64,
    pub(super) characters: f64,
    /// Months that posts are kept: what is stored grows until then.
    pub(super) months_kept: f64,
}

impl Volume {
    fn posts(self) -> f64 {
        self.posts_per_day * DAYS
    }

    fn peak_per_s(self) -> f64 {
        self.posts_per_day / 86_400.0 * PEAK
    }

    fn stored_gb(self, bytes: f64) -> f64 {
        self.posts() * self.months_kept * bytes / GB
    }
}

/// One line of a bill.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) service: &'static str,
    pub(super) what: String,
    pub(super) dollars: f64,
}

fn item(service: &'static str, what: impl Into<String>, dollars: f64) -> Item {
    Item { service, what: what.into(), dollars }
}

/// A way to run it.
pub(super) struct System {
    pub(super) name: &'static str,
    pub(super) items: fn(Volume, &Prices) -> Vec<Item>,
}

pub(super) const ALL: [System; 4] = [
    System { name: "Overheard, Fargate Spot", items: fargate },
    System { name: "Overheard, Lambda", items: lambda },
    System { name: "System 1", items: system_1 },
    System { name: "System 2", items: system_2 },
];

/// A task of Fargate Spot in one of the sizes that there are, with a public address.
fn task(what: &str, vcpus: f64, p: &Prices) -> Vec<Item> {
    let sizes = [(0.25, 1.0), (0.5, 2.0), (1.0, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 16.0)];
    let largest = sizes[sizes.len() - 1];
    let tasks = (vcpus / largest.0).ceil().max(1.0);
    let (vcpu, gb) = sizes.into_iter().find(|(size, _)| *size >= vcpus / tasks).unwrap_or(largest);
    let hour = vcpu * p.of("fargate", "vcpu_hour") + gb * p.of("fargate", "gb_hour");
    let spot = hour * p.of("fargate", "spot_share") * HOURS * tasks;
    let address = p.of("network", "public_address_hour") * HOURS * tasks;
    vec![
        item("Fargate Spot", format!("{what}: {tasks} task(s) of {vcpu} vCPU, {gb} GB"), spot),
        item("public IPv4", format!("{tasks} address(es)"), address),
    ]
}

/// The bucket, its key, the image and the log, which both of ours have. `commits`: to the four tables, a month;
/// `refresh_s`: how often other processes' commits are looked for (lake.refresh_ms).
fn ours(v: Volume, commits: f64, refresh_s: f64, p: &Prices) -> Vec<Item> {
    let stored = v.stored_gb(STORED_BYTES);
    // A commit is two writes for each of four tables, and about as many reads by each of two readers.
    let requests = commits * (8.0 * p.of("s3", "thousand_puts") + 16.0 * p.of("s3", "thousand_gets")) / 1_000.0;
    // A look lists the log of six tables and reads as much; a list costs as much as a write.
    let look = 6.0 * (p.of("s3", "thousand_puts") + p.of("s3", "thousand_gets")) / 1_000.0;
    vec![
        item("S3", format!("{stored:.1} GB"), stored * p.of("s3", "gb_month")),
        item("S3", format!("{commits:.0} commits"), requests),
        item("S3", format!("a look at the logs every {refresh_s} s"), SECONDS / refresh_s * look),
        item("KMS", "1 key (bucket key: few requests)", p.of("kms", "key_month")),
        item(
            "ECR, CloudWatch",
            "image of 0.3 GB, 0.2 GB of logs",
            0.3 * p.of("ecr", "gb_month") + 0.2 * p.of("cloudwatch", "log_gb"),
        ),
    ]
}

/// Commits of a month, where a batch waits so many seconds for more: as many as such times in which a post comes.
fn commits(v: Volume, every_s: f64) -> f64 {
    let times = SECONDS / every_s;
    times * (1.0 - (-v.posts() / times).exp())
}

/// Everything in one task; queue and small documents on EFS.
fn fargate(v: Volume, p: &Prices) -> Vec<Item> {
    let mut items = task("everything", v.peak_per_s() / POSTS_PER_VCPU_S, p);
    items.extend(ours(v, commits(v, 60.0), 600.0, p));
    items.push(item("EFS", "queue and documents, 1 GB", p.of("efs", "gb_month")));
    items
}

/// One task listens, detects and serves; functions understand.
fn lambda(v: Volume, p: &Prices) -> Vec<Item> {
    let commits = commits(v, 10.0);
    let mut items = task("listen, maintain, detect, serve", 0.25, p);
    items.extend(ours(v, commits, 60.0, p));
    // Five services that one process at a time runs renew their claims every 3 s; five kinds of documents are listed every
    // 60 s.
    let requests = 5.0 * SECONDS / 3.0 + 5.0 * SECONDS / 60.0;
    items.push(item("S3", "claims and small documents", requests / 1_000.0 * p.of("s3", "thousand_puts")));
    // A function of 2 GB has about one processor; a commit takes half a second.
    let gb_seconds = 2.0 * (v.posts() / POSTS_PER_VCPU_S + commits * 0.5);
    let run = commits / 1e6 * p.of("lambda", "million_requests") + gb_seconds * p.of("lambda", "gb_second");
    items.push(item("Lambda", format!("{gb_seconds:.0} GB-s"), run));
    // Sent, received, deleted; the poller asks about every 20 s on five connections.
    let requests = commits * 3.0 + SECONDS / 20.0 * 5.0;
    items.push(item("SQS", format!("{requests:.0} requests"), requests / 1e6 * p.of("sqs", "million_fifo")));
    items.push(item("EFS", "queue and documents, 1 GB", p.of("efs", "gb_month")));
    items
}

/// Comprehend's answers to so many questions about each post.
fn comprehend(v: Volume, questions: f64, what: &str, p: &Prices) -> Item {
    item("Comprehend", what, p.comprehend(v.posts(), v.characters, questions))
}

/// What people look at the numbers with.
fn dashboards(v: Volume, queries_per_day: f64, p: &Prices) -> Vec<Item> {
    // Athena reads at least 10 MB a query; JSON is read whole.
    let scanned_tb = queries_per_day * DAYS * (v.stored_gb(JSON_BYTES) / 1_000.0).max(0.000_01);
    vec![
        item("Athena", format!("{queries_per_day} queries a day"), scanned_tb * p.of("athena", "tb_scanned")),
        item("QuickSight", "1 author", p.of("quicksight", "author_month")),
    ]
}

/// Reader on EC2, Firehose, S3, Lambda with Translate and Comprehend, Firehose, S3, Glue, Athena, QuickSight.
fn system_1(v: Volume, p: &Prices) -> Vec<Item> {
    let firehose_gb = v.posts() * 3.0 * 5_000.0 / GB;
    let gb_seconds = v.posts() * 0.5 * 1.0;
    let objects = (SECONDS / 60.0).min(v.posts()) * 3.0;
    let stored = v.stored_gb(JSON_BYTES * 2.0);
    let mut items = vec![
        item("EC2", "t3.micro, 8 GB", p.of("ec2", "t3_micro_hour") * HOURS + 8.0 * p.of("ec2", "gb_month")),
        item("public IPv4", "1 address", p.of("network", "public_address_hour") * HOURS),
        item("Firehose", format!("{firehose_gb:.2} GB in three streams"), firehose_gb * p.of("firehose", "gb")),
        item("Lambda", format!("{gb_seconds:.0} GB-s"), gb_seconds * p.of("lambda", "gb_second")),
        item(
            "Translate",
            "every post that is not English (half)",
            v.posts() * 0.5 * v.characters / 1e6 * p.of("translate", "million_characters"),
        ),
        comprehend(v, 2.0, "sentiment, entities", p),
        item(
            "S3",
            format!("{stored:.1} GB, {objects:.0} objects"),
            stored * p.of("s3", "gb_month") + objects / 1_000.0 * p.of("s3", "thousand_puts"),
        ),
        item("Glue", "1 crawl a day (10 min, 2 DPU)", DAYS * 2.0 / 6.0 * p.of("glue", "dpu_hour")),
    ];
    items.extend(dashboards(v, 20.0, p));
    items
}

/// Reader on Fargate, SQS, Lambda functions under Step Functions, SageMaker serverless, Comprehend, Amazon Location, S3,
/// Athena, SNS, QuickSight.
fn system_2(v: Volume, p: &Prices) -> Vec<Item> {
    let hour = 0.25 * p.of("fargate", "vcpu_hour") + 0.5 * p.of("fargate", "gb_hour");
    // Six steps, with start and end.
    let transitions = v.posts() * 8.0;
    let gb_seconds = v.posts() * 6.0 * 0.3 * 0.5;
    let sagemaker = v.posts() * 0.5 * 4.0;
    let stored = v.stored_gb(JSON_BYTES);
    let mut items = vec![
        item("Fargate", "0.25 vCPU, 0.5 GB, on demand", hour * HOURS),
        item("public IPv4", "1 address", p.of("network", "public_address_hour") * HOURS),
        item("SQS", "three requests a post", v.posts() * 3.0 / 1e6 * p.of("sqs", "million_standard")),
        item(
            "Step Functions",
            format!("{transitions:.0} transitions"),
            transitions / 1_000.0 * p.of("step_functions", "thousand_transitions"),
        ),
        item("Lambda", format!("{gb_seconds:.0} GB-s"), gb_seconds * p.of("lambda", "gb_second")),
        item("SageMaker serverless", "half a second of 4 GB a post", sagemaker * p.of("sagemaker", "gb_second")),
        comprehend(v, 4.0, "language, sentiment, key phrases, entities", p),
        item(
            "Location",
            "a stored geocode for a third of the posts",
            v.posts() / 3.0 / 1_000.0 * p.of("location", "thousand_geocodes"),
        ),
        item(
            "S3",
            format!("{stored:.1} GB, an object a post"),
            stored * p.of("s3", "gb_month") + v.posts() / 1_000.0 * p.of("s3", "thousand_puts"),
        ),
        item("SNS, KMS", "1 key", p.of("kms", "key_month") + 1_000.0 / 1e6 * p.of("sns", "million")),
    ];
    items.extend(dashboards(v, 48.0, p));
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(system: &System, posts_per_day: f64) -> f64 {
        let volume = Volume { posts_per_day, characters: 140.0, months_kept: 12.0 };
        (system.items)(volume, &Prices::read(None).unwrap()).iter().map(|item| item.dollars).sum()
    }

    #[test]
    fn ours_costs_less_than_ten_dollars_at_a_thousand_posts_a_day() {
        let totals = ALL.each_ref().map(|system| total(system, 1_000.0));
        assert!(totals[0] <= 10.0, "{totals:?}");
        assert!(totals[2] > totals[0] && totals[3] > totals[0], "{totals:?}");
    }

    #[test]
    fn more_posts_never_cost_less() {
        for system in &ALL {
            let totals = [0.0, 1e3, 1e4, 1e5, 1e6, 1e7].map(|posts| total(system, posts));
            assert!(
                totals.is_sorted() && totals.iter().all(|dollars| dollars.is_finite()),
                "{}: {totals:?}",
                system.name
            );
        }
    }
}
