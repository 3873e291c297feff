//! `demo`: the flagship scenario against a mail platform inside the process.

use std::path::{Path, PathBuf};

use super::hold::Holder;
use super::interrupt::Interrupt;
use super::output::Output;
use super::run::{Form, Manner};
use super::session::{self, Session};
use super::{Exit, Global, Problem};
use crate::config;
use crate::demo::configuration;
use crate::demo::findings::Comparison;
use crate::demo::platform::misbehaviour::Faults;
use crate::demo::platform::{Platform, Setup};
use crate::report::human;
use crate::run::select::Selection;

/// Arguments of `demo`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Plant no faults; everything passes
    #[arg(long)]
    clean: bool,
    /// Leave the configuration that was used, and the results, in this directory
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    manner: Manner,
}

/// Where the demo writes.
struct Place<'p> {
    configuration: &'p Path,
    storage: &'p Path,
    /// The command that shows the result; none when the store goes with the demo.
    show: Option<String>,
}

pub(super) fn main(global: &Global, args: &Args, output: &Output) -> Result<Exit, Problem> {
    // Without --keep nothing is left, and nothing is ever written outside this directory.
    let temporary = tempfile::Builder::new()
        .prefix("postrider-demo-")
        .tempdir()?;
    let configuration = args.keep.as_deref().unwrap_or_else(|| temporary.path());
    let own_storage = configuration.join("state");
    let place = Place {
        configuration,
        storage: global.storage.as_deref().unwrap_or(&own_storage),
        show: match (&global.storage, &args.keep) {
            (Some(_), _) => Some(session::show_command(global)),
            (None, Some(_)) => Some(session::show_in(&own_storage)),
            (None, None) => None,
        },
    };
    session::runtime()?.block_on(demonstrate(args, &place, output))
}

async fn demonstrate(args: &Args, place: &Place<'_>, output: &Output) -> Result<Exit, Problem> {
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
    let main = configuration::write(&platform, &dkim_key, place.configuration)?;
    let plan = session::accept(config::load(&main), output)?;
    let session = Session::open(plan, place.storage).await?;
    let holder = Holder {
        session: &session,
        selection: &Selection::default(),
        manner: &args.manner,
        show: place.show.clone(),
        interrupt: &interrupt,
        output,
    };
    let result = holder.once().await;
    let closed = session.close().await;
    platform.shutdown().await;
    let result = result?;
    let comparison = Comparison::new(&result, args.clean);
    closed?;
    let text = comparison.text();
    if args.manner.format == Form::Human {
        output.print(&format!("\n{text}"))?;
        if let Some(show) = &place.show {
            output.print(&human::saved(&result.run.id, show, output.style))?;
        }
    } else if args.manner.format != Form::Quiet {
        output.tell(text.trim_end());
    }
    if let Some(kept) = &args.keep {
        output.tell(&format!(
            "the configuration is in {}; edit it and try `postrider validate -c {}`",
            kept.display(),
            session::shell_word(&main)
        ));
    }
    Ok(match interrupt.cut_short(&result) {
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
