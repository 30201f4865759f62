//! `overheard lambda`: the program as an AWS Lambda function.

use crate::Global;
use anyhow::Result;
use runtime::Config;
use runtime::lambda::{self, Action};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The only place where a function may write.
const DATA: &str = "/tmp/overheard";

/// Answer the invocations of an AWS Lambda function. Lambda starts this command (runtime provided.al2023, or the container
/// image); it fails anywhere else.
///
/// understand: batches of the SQS FIFO queue that `up --role listen` fills (queue.engine = "sqs"); failed messages are
///             reported, so the event source mapping needs ReportBatchItemFailures.
/// s3:         objects with JSON lines that others write to a bucket, such as Firehose; for its ObjectCreated events.
/// step:       one step of a state machine: {"step": "classify" | "analyse" | "locate" | "save", "id": ..., "posts": [...]}.
///
/// Settings come from the environment (OVERHEARD__LAKE__URL, OVERHEARD__STATE__URL, ...); docs/lambda.md shows them all.
/// Another process plays the roles listen, maintain, detect and serve.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment, after_help = "Examples:\n  OVERHEARD_LAMBDA_ACTION=step overheard lambda")]
pub(crate) struct Args {
    /// What the function does: understand, s3 or step.
    #[arg(long, env = "OVERHEARD_LAMBDA_ACTION", default_value = "understand")]
    action: Action,
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let data = global.data.clone().unwrap_or_else(|| PathBuf::from(DATA));
    let config = Config::load(global.config.as_deref(), Some(Path::new(&data)))?;
    lambda::run(config, args.action).await?;
    Ok(ExitCode::SUCCESS)
}
