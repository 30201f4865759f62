//! The file in which a user says what his categories are, TOML or JSON, with errors that say where and how to mend it.
//!
//! ```toml
//! other_below = 0.3
//!
//! [[category]]
//! name = "late flight"
//! description = "the flight is delayed"
//! examples = ["two hours late again", "still sitting on the tarmac"]
//! ```

use super::EXAMPLES_TO_TRAIN;
use crate::error::{Error, Result};
use crate::file;
use domain::{CategoryDefinition, check_categories};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Bytes of a file at most: 20,000 examples of 1,600 bytes.
const FILE_MAX: usize = 32 << 20;

/// The categories of a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategorySet {
    /// Posts whose best category is less sure than this are `other`; 0 to 1.
    #[serde(default = "default_other_below")]
    pub other_below: f32,
    #[serde(rename = "category", alias = "categories", default)]
    pub categories: Vec<CategoryDefinition>,
}

fn default_other_below() -> f32 {
    0.3
}

impl CategorySet {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&file::read_text(path, FILE_MAX)?)
    }

    /// Reads a file's text; JSON when it begins with a brace, else TOML.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim_start_matches('\u{FEFF}');
        let set: Self = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| Error::Invalid(format!("categories: {error}")))?
        } else {
            toml::from_str(text).map_err(|error| Error::Invalid(format!("categories: {}", error.to_string().trim())))?
        };
        set.checked()
    }

    /// Whether every category has the examples that training needs.
    pub fn can_train(&self) -> bool {
        self.categories.iter().all(|category| category.examples.len() >= EXAMPLES_TO_TRAIN)
    }

    /// The set, if it makes sense.
    pub fn checked(self) -> Result<Self> {
        let wrong = |problem: String| Error::Invalid(format!("categories: {problem}"));
        if !(0.0..=1.0).contains(&self.other_below) {
            return Err(wrong(format!("other_below is {}, but a confidence lies between 0 and 1", self.other_below)));
        }
        check_categories(&self.categories).map_err(|fault| wrong(fault.message))?;
        Ok(self)
    }
}

/// What stands for a category where there are no examples.
pub(super) fn sentence(category: &CategoryDefinition) -> String {
    match category.description.trim() {
        "" => category.name.trim().to_owned(),
        description => format!("{}: {description}", category.name.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_and_json_say_the_same() {
        let toml = CategorySet::parse(
            "other_below = 0.4\n[[category]]\nname = \"late\"\ndescription = \"delayed\"\nexamples = [\"x y\"]\n[[category]]\nname = \"lost\"\n",
        )
        .unwrap();
        let json = CategorySet::parse(
            r#" {"other_below": 0.4, "categories": [{"name": "late", "description": "delayed", "examples": ["x y"]}, {"name": "lost"}]}"#,
        )
        .unwrap();
        assert_eq!(toml, json);
        assert!(!toml.can_train());
        assert_eq!(sentence(&toml.categories[0]), "late: delayed");
        assert_eq!(sentence(&toml.categories[1]), "lost");
    }

    #[test]
    fn errors_say_where_and_what() {
        for (text, words) in [
            ("", "expected 2"),
            ("[[category]]\nname='a'", "Found 1"),
            ("[[category]]\nname='a'\n[[category]]\nname='A '", "Categories 1 and 2"),
            ("[[category]]\nname='a'\n[[category]]\nname='Other'", "Category 2 (\"Other\")"),
            ("[[category]]\nname='a'\n[[category]]\nname=' '", "1 to 64 characters"),
            ("other_below=3\n[[category]]\nname='a'\n[[category]]\nname='b'", "between 0 and 1"),
            ("[[category]]\nname='a'\nexmples=[]\n[[category]]\nname='b'", "exmples"),
            ("[[category]]\nname='a'\nexamples=['x','']\n[[category]]\nname='b'", "Example 2"),
            ("{\"category\": 3}", "line 1"),
            ("[[category]\n", "line 1"),
            ("[[category]]\ndescription='a'", "name"),
        ] {
            let error = CategorySet::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }
}
