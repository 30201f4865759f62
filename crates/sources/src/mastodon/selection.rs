//! Which timeline of an instance is read.

/// A timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selection {
    Tag(String),
    Public,
}

impl Selection {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Tag(tag) => format!("#{tag}"),
            Self::Public => "public timeline".into(),
        }
    }

    pub(super) fn path(&self) -> String {
        match self {
            Self::Tag(tag) => format!("tag/{tag}"),
            Self::Public => "public".into(),
        }
    }
}
