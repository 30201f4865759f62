//! `overheard users`: manages users in the data folder, also while `overheard up` runs.

use crate::Global;
use crate::output::{self, Format, say};
use anyhow::{Result, bail};
use clap::{Subcommand, ValueEnum};
use runtime::{clock, wiring};
use serde_json::json;
use state::{Account, Accounts, AuditLog};
use std::process::ExitCode;

/// Manage users: list, add, reset a password, change a role, remove
///
/// Works on the data folder, also while `overheard up` runs; changes apply at once. Use it to recover
/// when no admin can sign in.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = r#"Examples:
  overheard users list
  overheard users add ada --role analyst
  overheard users reset-password admin
  overheard users role ada admin
  overheard users remove ada"#
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Read posts, charts and alerts.
    Viewer,
    /// Viewer, and correct posts, edit topics and rules, run SQL.
    Analyst,
    /// Analyst, and manage users, tokens, sources and dead letters.
    Admin,
}

impl From<Role> for state::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Viewer => Self::Viewer,
            Role::Analyst => Self::Analyst,
            Role::Admin => Self::Admin,
        }
    }
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List all users.
    List {
        /// Output format.
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Add a user. The password is printed once and must be changed at the first sign-in.
    Add {
        /// User name.
        name: String,
        /// Role of the user.
        #[arg(long, value_enum, default_value = "viewer")]
        role: Role,
    },
    /// Set a new password, printed once, to be changed at the next sign-in. Signs the user out everywhere.
    ResetPassword {
        /// User name.
        name: String,
    },
    /// Change the role of a user. The last admin can't be demoted.
    Role {
        /// User name.
        name: String,
        /// New role.
        #[arg(value_enum)]
        role: Role,
    },
    /// Remove a user with all sessions and tokens.
    Remove {
        /// User name.
        name: String,
    },
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let queue = match &args.action {
        Action::Add { name, .. } => {
            // Before the data folder is created.
            Accounts::check_name(name)?;
            wiring::open_queue(&config)?
        }
        _ => wiring::open_existing_queue(&config)?,
    };
    let accounts = Accounts::new(queue.clone());
    let now = clock().now();
    let (action, name) = match args.action {
        Action::List { format } => {
            list(&accounts, format).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Action::Add { name, role } => {
            let Some(password) = accounts.add_with_new_password(&name, role.into(), now).await? else {
                bail!("user {name:?} already exists");
            };
            show(&name, &password)?;
            ("users add", name)
        }
        Action::ResetPassword { name } => {
            show(&name, &found(accounts.reset_password(&name).await?, &name)?)?;
            ("users reset-password", name)
        }
        Action::Role { name, role } => {
            let changed = accounts.change_role(&name, role.into()).await?;
            found(changed.then_some(()), &name)?;
            ("users role", name)
        }
        Action::Remove { name } => {
            found(accounts.remove(&name).await?.then_some(()), &name)?;
            ("users remove", name)
        }
    };
    AuditLog::new(queue).add_command(action, &name, now).await?;
    Ok(ExitCode::SUCCESS)
}

fn found<T>(answer: Option<T>, name: &str) -> Result<T> {
    match answer {
        Some(answer) => Ok(answer),
        None => bail!("no user {name:?}; `overheard users list` shows all users"),
    }
}

fn show(name: &str, password: &str) -> Result<()> {
    say(format_args!("user      {name}\npassword  {password}"))?;
    say("The password is shown only once. It must be changed at the next sign-in.")
}

async fn list(accounts: &Accounts, format: Format) -> Result<()> {
    let users = accounts.accounts().await?;
    let row = |user: Account| {
        let password = if user.must_change_password { "to be changed" } else { "set" };
        vec![json!(user.name), json!(user.role), json!(user.created_at), json!(password)]
    };
    output::print(&output::rows(&["name", "role", "since", "password"], users.into_iter().map(row).collect()), format)
}
