//! The range of a number in the configuration.

use anyhow::{Result, bail};

/// Checks settings of a section, each with its value, its least and its greatest value.
pub(super) fn within(section: &str, bounds: &[(&str, u64, u64, u64)]) -> Result<()> {
    for (name, value, least, most) in bounds {
        if !(least..=most).contains(&value) {
            bail!("{section}.{name} = {value} must be {least} to {most}");
        }
    }
    Ok(())
}
