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

use super::{EXAMPLES_TO_TRAIN, OTHER};
use crate::error::{Error, Result};
use crate::file;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// More categories than people can tell apart.
const CATEGORIES_MAX: usize = 200;
/// More examples than a head needs; keeps the training in process within seconds.
const EXAMPLES_MAX: usize = 20_000;
const NAME_CHARS_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 65_536;
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

/// One category.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryDefinition {
    pub name: String,
    /// What such posts are about, in a sentence.
    #[serde(default)]
    pub description: String,
    /// Posts that belong to it.
    #[serde(default)]
    pub examples: Vec<String>,
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
        if !(2..=CATEGORIES_MAX).contains(&self.categories.len()) {
            let count = self.categories.len();
            return Err(wrong(format!(
                "found {count}, expected 2 to {CATEGORIES_MAX}; each begins with [[category]] and has a name"
            )));
        }
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut examples = 0;
        for (index, category) in self.categories.iter().enumerate() {
            let number = index + 1;
            category.check().map_err(|problem| wrong(format!("number {number} ({:?}): {problem}", category.name)))?;
            if let Some(first) = seen.insert(category.name.trim().to_lowercase(), number) {
                return Err(wrong(format!("numbers {first} and {number} are both named {:?}", category.name)));
            }
            examples += category.examples.len();
        }
        if examples > EXAMPLES_MAX {
            return Err(wrong(format!("{examples} examples; at most {EXAMPLES_MAX} are used in process")));
        }
        Ok(self)
    }
}

impl CategoryDefinition {
    fn check(&self) -> Result<(), String> {
        let name = self.name.trim();
        if name.is_empty() {
            return Err("the name is empty".into());
        }
        if name.chars().count() > NAME_CHARS_MAX || name.chars().any(char::is_control) {
            return Err(format!("a name has at most {NAME_CHARS_MAX} characters, on one line"));
        }
        if name.to_lowercase() == OTHER {
            return Err(format!("{OTHER:?} is what posts below other_below are called; choose another name"));
        }
        if self.description.len() > TEXT_BYTES_MAX {
            return Err("the description is longer than 64 kB".into());
        }
        for (index, example) in self.examples.iter().enumerate() {
            if example.trim().is_empty() {
                return Err(format!("example {} is empty", index + 1));
            }
            if example.len() > TEXT_BYTES_MAX {
                return Err(format!("example {} is longer than 64 kB", index + 1));
            }
        }
        Ok(())
    }

    /// What stands for the category where there are no examples.
    pub(super) fn sentence(&self) -> String {
        match self.description.trim() {
            "" => self.name.trim().to_owned(),
            description => format!("{}: {description}", self.name.trim()),
        }
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
        assert_eq!(toml.categories[0].sentence(), "late: delayed");
        assert_eq!(toml.categories[1].sentence(), "lost");
    }

    #[test]
    fn errors_say_where_and_what() {
        for (text, words) in [
            ("", "expected 2"),
            ("[[category]]\nname='a'", "found 1"),
            ("[[category]]\nname='a'\n[[category]]\nname='A '", "numbers 1 and 2"),
            ("[[category]]\nname='a'\n[[category]]\nname='Other'", "number 2"),
            ("[[category]]\nname='a'\n[[category]]\nname=' '", "name is empty"),
            ("other_below=3\n[[category]]\nname='a'\n[[category]]\nname='b'", "between 0 and 1"),
            ("[[category]]\nname='a'\nexmples=[]\n[[category]]\nname='b'", "exmples"),
            ("[[category]]\nname='a'\nexamples=['x','']\n[[category]]\nname='b'", "example 2"),
            ("{\"category\": 3}", "line 1"),
            ("[[category]\n", "line 1"),
            ("[[category]]\ndescription='a'", "name"),
        ] {
            let error = CategorySet::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
        }
    }
}
