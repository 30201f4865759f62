//! Packs the tables of `build/extract.py` into the index: `build_index TABLES_DIR places.idx`. Prints the size.

use places::compile::{Tables, compile};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(tables), Some(out)) = (args.next(), args.next()) else {
        return Err("usage: build_index TABLES_DIR OUT".into());
    };
    let read = |name: &str| std::fs::read_to_string(Path::new(&tables).join(name));
    let (countries, regions, cities) = (read("countries.tsv")?, read("regions.tsv")?, read("cities.tsv")?);
    let (names, words) = (read("names.tsv")?, read("words.tsv")?);
    let tables = Tables { countries: &countries, regions: &regions, cities: &cities, names: &names, words: &words };
    let bytes = compile(&tables)?;
    std::fs::write(&out, &bytes)?;
    eprintln!("{out}: {} bytes", bytes.len());
    Ok(())
}
