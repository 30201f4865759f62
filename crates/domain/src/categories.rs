//! The user's own categories: a name, what it means, and posts that belong to it. Saved on the page or read from a file
//! (`understand.categories`); the same limits hold for both.

use crate::fault::{Fault, check_name};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What posts are called that fit none of the categories.
pub const OTHER: &str = "other";
/// More categories than people can tell apart.
const CATEGORIES_MAX: usize = 200;
/// Examples of all categories together: more than a head needs; keeps its training within seconds.
const EXAMPLES_MAX: usize = 20_000;
/// Longest description or example, in bytes.
const TEXT_BYTES_MAX: usize = 65_536;

/// One category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema), schema(as = CategoryBody))]
#[serde(deny_unknown_fields)]
pub struct CategoryDefinition {
    pub name: String,
    /// What belongs to it, in words.
    #[serde(default)]
    pub description: String,
    /// Texts that belong to it.
    #[serde(default)]
    pub examples: Vec<String>,
}

impl CategoryDefinition {
    /// The same without white space at the ends of its name.
    pub fn trimmed(self) -> Self {
        Self { name: self.name.trim().to_owned(), ..self }
    }

    fn check(&self, number: usize) -> Result<(), Fault> {
        let field = |name: &str| format!("{number}.{name}");
        check_name(field("name"), self.name.trim())?;
        if self.name.trim().to_lowercase() == OTHER {
            let message = format!("{OTHER:?} is what posts are called that fit no category; choose another name.");
            return Err(Fault::new(field("name"), message));
        }
        if self.description.len() > TEXT_BYTES_MAX {
            return Err(Fault::new(field("description"), "A description has at most 64 kB."));
        }
        for (index, example) in self.examples.iter().enumerate() {
            let field = || field(&format!("examples.{index}"));
            if example.trim().is_empty() {
                return Err(Fault::new(field(), format!("Example {} is empty.", index + 1)));
            }
            if example.len() > TEXT_BYTES_MAX {
                return Err(Fault::new(field(), format!("Example {} is longer than 64 kB.", index + 1)));
            }
        }
        Ok(())
    }
}

/// Checks categories that are used together. A fault's field begins with the number of the category, from 0.
pub fn check_categories(categories: &[CategoryDefinition]) -> Result<(), Fault> {
    if !(2..=CATEGORIES_MAX).contains(&categories.len()) {
        let count = categories.len();
        return Err(Fault::new("categories", format!("Found {count} categories, expected 2 to {CATEGORIES_MAX}.")));
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    for (number, category) in categories.iter().enumerate() {
        category.check(number).map_err(|fault| {
            let message = format!("Category {} ({:?}): {}", number + 1, category.name, fault.message);
            Fault::new(fault.field, message)
        })?;
        if let Some(first) = seen.insert(category.name.trim().to_lowercase(), number) {
            let message =
                format!("Categories {} and {} are both named {:?}.", first + 1, number + 1, category.name.trim());
            return Err(Fault::new(format!("{number}.name"), message));
        }
    }
    let examples: usize = categories.iter().map(|category| category.examples.len()).sum();
    if examples > EXAMPLES_MAX {
        let message = format!("Found {examples} examples, at most {EXAMPLES_MAX} of all categories are used.");
        return Err(Fault::new("categories", message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn category(name: &str, examples: usize) -> CategoryDefinition {
        CategoryDefinition {
            name: name.into(),
            description: String::new(),
            examples: vec!["late again".into(); examples],
        }
    }

    #[test]
    fn categories_are_refused_with_the_field_that_is_wrong() {
        let empty_example = CategoryDefinition { examples: vec!["x".into(), " ".into()], ..category("b", 0) };
        for (categories, field) in [
            (vec![category("a", 3), category(" b ", 0)], None),
            (vec![category("a", 0)], Some("categories")),
            (vec![category("a", 0), category("A ", 0)], Some("1.name")),
            (vec![category("a", 0), category("Other", 0)], Some("1.name")),
            (vec![category("a", 0), category(" ", 0)], Some("1.name")),
            (vec![category("a", 0), empty_example], Some("1.examples.1")),
            (vec![category("a", 10_000), category("b", 10_001)], Some("categories")),
        ] {
            let checked = check_categories(&categories).map_err(|fault| fault.field.into_owned());
            assert_eq!(checked.err().as_deref(), field);
        }
    }
}
