//! The roles of a process: which parts of the installation it runs.

use crate::config::QueueEngine;
use std::str::FromStr;

/// A part of the installation that a process can run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Listen,
    Understand,
    /// Part of [`Self::Understand`], for installations where Lambda functions understand.
    Maintain,
    Detect,
    Serve,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Listen, Self::Understand, Self::Maintain, Self::Detect, Self::Serve];

    /// The role that takes posts out of the queue's database: into the lake, or to a broker.
    pub fn that_empties_the_queue(engine: QueueEngine) -> Self {
        match engine {
            QueueEngine::Embedded => Self::Understand,
            _ => Self::Listen,
        }
    }

    /// The name on the command line and in the system report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Understand => "understand",
            Self::Maintain => "maintain",
            Self::Detect => "detect",
            Self::Serve => "serve",
        }
    }

    /// What the role does, for help.
    pub fn help(self) -> &'static str {
        match self {
            Self::Listen => "Read the sources and fill the queue",
            Self::Understand => "Enrich posts from the queue and commit them to the lake",
            Self::Maintain => {
                "Delete, correct and maintain the lake where Lambda functions enrich posts; part of understand"
            }
            Self::Detect => "Detect anomalies and send alerts",
            Self::Serve => {
                "Serve the API, the dashboard and pushes; live posts need the role understand in the same process"
            }
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| format!("unknown role {text:?} (use listen, understand, maintain, detect or serve)"))
    }
}

/// The roles of this process.
#[derive(Debug, Clone)]
pub struct Roles(Vec<Role>);

impl Roles {
    pub fn all() -> Self {
        Self(Role::ALL.to_vec())
    }

    /// These roles; none named: all.
    pub fn of(named: Vec<Role>) -> Self {
        if named.is_empty() { Self::all() } else { Self(named) }
    }

    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Whether a process with these roles writes to the lake.
    pub fn write_lake(&self) -> bool {
        self.enrich() || self.has(Role::Detect)
    }

    /// Whether a process with these roles needs the language model.
    pub fn enrich(&self) -> bool {
        self.has(Role::Understand) || self.has(Role::Maintain)
    }

    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|role| role.name().to_owned()).collect()
    }
}
