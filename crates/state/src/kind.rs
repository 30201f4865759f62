//! Every kind of document. The names are a stored format: they don't change.

use chrono::NaiveDate;
use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

/// A kind of document, with what its keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Alerts that are open, by id.
    Alert,
    /// Alerts that are over and stored in the lake, by id.
    AlertDone,
    /// Entries of the audit log of one day, by time.
    Audit(NaiveDate),
    /// Authors whose posts are refused, by name.
    BlockedAuthor,
    /// The saved categories, one document.
    CategorySet,
    /// Notification channels that fail or lost notifications, by name.
    ChannelTrouble,
    /// How far a source has read, by source.
    Cursor,
    /// Deletions whose copies are still to be cleared.
    Deletion,
    /// Devices that signed in, by the digest of their secret.
    Device,
    /// Who does work that one process at a time does, by work.
    Exclusive,
    /// Histories of corrections, by post id.
    Label,
    /// Corrected posts whose rows are to be written again.
    LabelWaiting,
    /// Notifications to be delivered, by id.
    Notification,
    /// Notifications that were delivered, refused or given up, by id.
    NotificationDone,
    /// Saved queries, by name.
    Query,
    /// Alert rules, by name.
    Rule,
    /// What the evaluation of an alert rule remembers, by rule.
    RuleState,
    /// Sessions, by the digest of their secret.
    Session,
    /// Sources that people added, by name.
    Source,
    /// Tokens, by the digest of their secret.
    Token,
    /// Topics, by name.
    Topic,
    /// Users, by name.
    User,
}

impl Kind {
    /// The kinds that copy words of posts. A deletion clears them ([`crate::edit_copies`]).
    pub(crate) const WITH_POSTS: [Self; 4] = [Self::Alert, Self::AlertDone, Self::Notification, Self::NotificationDone];

    /// The name under which the store keeps the kind.
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Audit(day) => return Cow::Owned(format!("audit-{}", day.format("%Y%m%d"))),
            Self::Alert => "alert",
            Self::AlertDone => "alert_done",
            Self::BlockedAuthor => "blocked_author",
            Self::CategorySet => "category_set",
            Self::ChannelTrouble => "channel_trouble",
            Self::Cursor => "cursor",
            Self::Deletion => "deletion",
            Self::Device => "device",
            Self::Exclusive => "exclusive",
            Self::Label => "label",
            Self::LabelWaiting => "label_waiting",
            Self::Notification => "notification",
            Self::NotificationDone => "notification_done",
            Self::Query => "query",
            Self::Rule => "rule",
            Self::RuleState => "rule_state",
            Self::Session => "session",
            Self::Source => "source",
            Self::Token => "token",
            Self::Topic => "topic",
            Self::User => "user",
        })
    }

    /// The name under which documents of the kind are set aside when they can't be read.
    pub(crate) fn unreadable(self) -> String {
        format!("{self}_unreadable")
    }
}

impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}
