//! `overheard users`: who may sign in. Works on the data folder, also while `overheard up` runs, which heeds it at once:
//! the way back when nobody can sign in as admin any more.

use crate::Global;
use crate::output::{self, Format, say};
use anyhow::{Result, bail};
use clap::{Subcommand, ValueEnum};
use runtime::{clock, wiring};
use serde_json::json;
use state::{Account, Accounts, AuditLog};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Reads.
    Viewer,
    /// Also corrects posts, edits topics and rules, asks SQL.
    Analyst,
    /// Also manages users, tokens and dead letters.
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
    /// Everybody who may sign in.
    List {
        #[arg(long, value_enum, default_value = "table")]
        format: Format,
    },
    /// Add a user; the password is printed once and changed at the first sign-in.
    Add {
        name: String,
        #[arg(long, value_enum, default_value = "viewer")]
        role: Role,
    },
    /// Give a user a new password, printed once and changed at the next sign-in; ends the user's sessions.
    ResetPassword { name: String },
    /// Give a user another role. The last admin stays one.
    Role {
        name: String,
        #[arg(value_enum)]
        role: Role,
    },
    /// Remove a user with the sessions and tokens that are the user's.
    Remove { name: String },
}

pub(crate) async fn run(global: &Global, args: Args) -> Result<ExitCode> {
    let config = global.load()?;
    let queue = wiring::open_queue(&config)?;
    let accounts = Accounts::new(queue.clone());
    let now = clock().now();
    let (action, name) = match args.action {
        Action::List { format } => {
            list(&accounts, format).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Action::Add { name, role } => {
            let Some(password) = accounts.add_with_new_password(&name, role.into(), now).await? else {
                bail!("there is a user {name:?} already");
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
        None => bail!("there is no user {name:?}; `overheard users list` shows them"),
    }
}

fn show(name: &str, password: &str) -> Result<()> {
    say(format_args!("user      {name}\npassword  {password}"))?;
    say("It is shown only this once, and changed at the next sign-in.")
}

async fn list(accounts: &Accounts, format: Format) -> Result<()> {
    let users = accounts.accounts().await?;
    let row = |user: Account| {
        let password = if user.must_change_password { "to be changed" } else { "set" };
        vec![json!(user.name), json!(user.role), json!(user.created_at), json!(password)]
    };
    output::print(&output::rows(&["name", "role", "since", "password"], users.into_iter().map(row).collect()), format)
}
