//! The list prices (`config/prices.toml`), by service and unit.

use anyhow::{Context, Result, bail};
use std::path::Path;

const OURS: &str = include_str!("../../../../../config/prices.toml");

/// Prices.
pub(crate) struct Prices(toml::Table);

impl Prices {
    /// Those of a file, else those that come with the program.
    pub(crate) fn read(file: Option<&Path>) -> Result<Self> {
        let text = match file {
            Some(file) => std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?,
            None => OURS.to_owned(),
        };
        let given: toml::Table = text.parse().context("read the prices")?;
        let known: toml::Table = OURS.parse().context("read the prices")?;
        let prices = Self(given);
        for (service, units) in known {
            for unit in units.as_table().into_iter().flat_map(toml::Table::keys) {
                let price = prices.of(&service, unit);
                if !price.is_finite() || price < 0.0 {
                    bail!("prices: {service}.{unit} is missing or no price; config/prices.toml has them all");
                }
            }
        }
        Ok(prices)
    }

    /// When they were noted.
    pub(crate) fn noted(&self) -> &str {
        self.0.get("noted").and_then(toml::Value::as_str).unwrap_or("at an unknown time")
    }

    /// The price of a unit, US dollars.
    pub(crate) fn of(&self, service: &str, unit: &str) -> f64 {
        let price = self.0.get(service).and_then(|service| service.get(unit));
        price.and_then(|price| price.as_float().or(price.as_integer().map(|whole| whole as f64))).unwrap_or(f64::NAN)
    }

    /// What Comprehend charges for asking `questions` questions about texts of so many characters on average.
    pub(crate) fn comprehend(&self, texts: f64, characters: f64, questions: f64) -> f64 {
        texts * questions * (characters / 100.0).ceil().max(3.0) * self.of("comprehend", "unit")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_prices_are_whole_and_a_file_without_one_is_refused() {
        let prices = Prices::read(None).unwrap();
        assert_eq!(prices.noted(), "2026-11");
        // 1,000 texts of 280 characters: three units, four questions.
        assert!((prices.comprehend(1_000.0, 280.0, 4.0) - 1.2).abs() < 1e-9);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prices.toml");
        std::fs::write(&file, OURS.replace("unit = 0.0001", "unit = \"cheap\"")).unwrap();
        let error = Prices::read(Some(&file)).err().unwrap().to_string();
        assert!(error.contains("comprehend.unit"), "{error}");
    }
}
