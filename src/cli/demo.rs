//! `demo`: the flagship scenario against a mail platform inside the process.

use std::path::{Path, PathBuf};

use super::interrupt::Interrupt;
use super::output::Output;
use super::run::{self, Form, How};
use super::session::{self, Session};
use super::{Exit, Global, Problem};
use crate::config;
use crate::demo::configuration;
use crate::demo::findings::Comparison;
use crate::demo::platform::misbehaviour::Faults;
use crate::demo::platform::{Platform, Setup};
use crate::run::select::Selection;

/// Arguments of `demo`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Plant no faults; everything passes
    #[arg(long)]
    clean: bool,
    /// Leave the configuration that was used in this directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    how: How,
}

pub(super) fn main(global: &Global, args: &Args, output: &Output) -> Result<Exit, Problem> {
    // Without --keep nothing is left, and nothing is ever written outside this directory.
    let temporary = tempfile::Builder::new()
        .prefix("postrider-demo-")
        .tempdir()?;
    let directory = args.keep.as_deref().unwrap_or_else(|| temporary.path());
    let storage = global
        .storage
        .clone()
        .unwrap_or_else(|| temporary.path().join("state"));
    session::runtime()?.block_on(demonstrate(args, directory, &storage, output))
}

async fn demonstrate(
    args: &Args,
    directory: &Path,
    storage: &Path,
    output: &Output,
) -> Result<Exit, Problem> {
    let interrupt = Interrupt::listen(*output)?;
    let (dkim_key, dkim_record) = dkim().map_err(Problem::not_tested)?;
    let faults = if args.clean {
        Faults::default()
    } else {
        Faults::planted()
    };
    let mut setup = Setup::new(crate::clock::now()).with_faults(faults);
    setup.publish_sender_txt("demo._domainkey", &dkim_record);
    let platform = Platform::start(setup).await.map_err(Problem::not_tested)?;
    let main = configuration::write(&platform, &dkim_key, directory)?;
    let plan = session::accept(config::load(&main), output)?;
    let session = Session::open(plan, storage).await?;
    let result = run::once(
        &session,
        &Selection::default(),
        &args.how,
        &interrupt,
        output,
    )
    .await;
    let closed = session.close().await;
    platform.shutdown().await;
    let comparison = Comparison::new(&result?, args.clean);
    closed?;
    let text = comparison.text();
    if args.how.format == Form::Human {
        output.print(&format!("\n{text}"))?;
    } else if args.how.format != Form::Quiet {
        output.tell(text.trim_end());
    }
    if let Some(kept) = &args.keep {
        output.tell(&format!(
            "the configuration is in {}; edit it and try `postrider validate -c {}`",
            kept.display(),
            main.display()
        ));
    }
    Ok(match interrupt.exit() {
        Some(exit) => exit,
        None if comparison.is_exact() => Exit::Ok,
        None => Exit::Failed,
    })
}

/// A DKIM key and its record (RFC 8463).
fn dkim() -> Result<(String, String), rcgen::Error> {
    use rcgen::PublicKeyData as _;

    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)?;
    let public = base64_standard(key.der_bytes());
    Ok((
        key.serialize_pem(),
        format!("v=DKIM1; k=ed25519; p={public}"),
    ))
}

fn base64_standard(bytes: &[u8]) -> String {
    use base64::Engine as _;

    base64::engine::general_purpose::STANDARD.encode(bytes)
}
