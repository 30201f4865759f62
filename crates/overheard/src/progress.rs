//! Progress bars, on standard error where that is a terminal.

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use runtime::backups::Progress;
use std::sync::Arc;

/// A bar of `indicatif`'s template.
pub(crate) fn bar(template: &str) -> Result<ProgressBar> {
    Ok(ProgressBar::new(0).with_style(ProgressStyle::with_template(template).context("progress style")?))
}

/// A bar that counts things.
pub(crate) fn count(what: &str) -> Result<ProgressBar> {
    bar(&format!("{{bar:30}} {{pos}}/{{len}} {what}, {{eta}} left"))
}

/// A bar that counts bytes, and what moves it.
pub(crate) fn bytes(what: &str) -> Result<(ProgressBar, Progress)> {
    let bar = bar(&format!("{what} {{bar:30}} {{bytes}}/{{total_bytes}}, {{bytes_per_sec}}, {{eta}} left"))?;
    let moved = bar.clone();
    let progress = move |done, total| {
        moved.set_length(total);
        moved.set_position(done);
    };
    Ok((bar, Arc::new(progress)))
}
