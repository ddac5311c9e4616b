//! `crossway people`: who may sign in, in the data directory. It is also the way back in for who is locked out.

use std::io::{Write as _, stderr, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;
use control::actor::Actor;
use control::people::password::Hasher;
use control::people::{Invitation, Memberships, People};
use control::resource::{ListQuery, Resource, Spec};
use policy::clock::Clock;

use crate::assemble::{prepare_data_dir, refuse_nothing};
use crate::cli::{ConfigArgs, Failure, hand_out};
use crate::remote::reachable;

#[derive(Subcommand)]
pub enum Command {
    /// Invite somebody; the one-time code with which they set a password is printed alone
    Add {
        /// Their email address
        email: String,
        /// viewer, auditor, developer, team_admin, operator or owner
        #[arg(long)]
        role: String,
        /// What they are called
        #[arg(long, default_value = "")]
        name: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Print a one-time code with which somebody sets a new password
    Reset {
        /// Their email address
        email: String,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// List people
    List {
        #[command(flatten)]
        config: ConfigArgs,
    },
}

/// Opens the people of a data directory.
///
/// # Errors
/// When the database cannot be opened.
pub fn open(data_dir: &Path, clock: Clock, memberships: Arc<dyn Memberships>) -> Result<People, Failure> {
    let store = Box::new(store::people::People::open(data_dir)?);
    Ok(People::new(store, clock, Hasher::default(), memberships))
}

/// Runs a `people` command.
///
/// # Errors
/// When it fails.
pub fn run(command: Command) -> Result<ExitCode, Failure> {
    let actor = Actor::local("command line");
    match command {
        Command::Add { email, role, name, config } => {
            let spec = Spec::from_iter([
                ("email".to_owned(), email.into()),
                ("role".to_owned(), role.into()),
                ("name".to_owned(), name.into()),
            ]);
            let (people, page) = at(&config)?;
            let (_, invitation) = people.create_user(&actor, &spec)?;
            print(invitation.as_ref(), &page)?;
        }
        Command::Reset { email, config } => {
            let (people, page) = existing(&config)?;
            print(Some(&people.reset_password(&actor, &email)?), &page)?;
        }
        Command::List { config } => list(&existing(&config)?.0)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Opens the people, and says on which page a code is good.
fn at(config: &ConfigArgs) -> Result<(People, String), Failure> {
    let settings = config.read(false)?.settings;
    prepare_data_dir(&settings.data_dir)?;
    let admin = settings.public_url.unwrap_or_else(|| format!("http://{}", reachable(settings.admin_listen)));
    Ok((open(&settings.data_dir, Clock::system(), Arc::new(()))?, format!("{admin}/invitation")))
}

/// Opens those who are there: only inviting somebody makes a data directory.
fn existing(config: &ConfigArgs) -> Result<(People, String), Failure> {
    refuse_nothing(&config.read(false)?.settings.data_dir)?;
    at(config)
}

fn print(invitation: Option<&Invitation>, page: &str) -> Result<(), Failure> {
    let Some(invitation) = invitation else { return Ok(()) };
    writeln!(stderr(), "good once, for three days, at {page}#code=… (or POST /admin/v1/invitation):")?;
    hand_out(&invitation.code, "make another one with: crossway people reset EMAIL")
}

fn list(people: &People) -> Result<(), Failure> {
    let mut out = stdout().lock();
    writeln!(out, "{:<12} {:<10} EMAIL", "ROLE", "STATUS")?;
    let mut query = ListQuery { limit: Some(200), ..ListQuery::default() };
    loop {
        let page = people.list_users(&query)?;
        for user in &page.data {
            writeln!(out, "{:<12} {:<10} {}", text(user, "role"), status(user), user.name)?;
        }
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            return Ok(());
        }
    }
}

fn text<'a>(user: &'a Resource, member: &str) -> &'a str {
    user.spec.get(member).and_then(|value| value.as_str()).unwrap_or_default()
}

fn status(user: &Resource) -> &'static str {
    let disabled = user.spec.get("disabled").is_some_and(|value| value == true);
    let credential = user.status["has_password"] == true || user.status["has_sso"] == true;
    match (disabled, credential) {
        (true, _) => "disabled",
        (false, true) => "active",
        (false, false) => "invited",
    }
}
