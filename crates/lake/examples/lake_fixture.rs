//! Writes the fixture that `tests/lake/formats.rs` reads for ever: `cargo run -p lake --example lake_fixture -- FOLDER`. Run
//! once per format of the tables; a fixture that is committed is never written again.

#[path = "../tests/lake/support.rs"]
mod support;

use domain::PostTable;
use lake::Config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("name the folder to write")?;
    let lake = support::open(std::path::Path::new(&folder), Config::default()).await;
    lake.commit(support::batch(1..=3)).await?;
    lake.commit(support::batch(4..=5)).await?;
    Ok(())
}
