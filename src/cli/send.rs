//! `send`: one message without a file. The words are those of swaks; underneath it is an ordinary `deliver` step, so
//! that `--emit-yaml` can print the scenario that does the same.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;

use postrider_probes::setting::{Period, Size};

use super::hold::Holder;
use super::interrupt::Interrupt;
use super::output::Output;
use super::run::How;
use super::session::{self, Session};
use super::{Exit, Global, Problem};
use crate::config::plan::Plan;
use crate::config::{self, quoted, quoted_template};
use crate::run::select::Selection;

/// Arguments of `send`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// A mailbox of the configuration, or an address
    #[arg(short, long, value_name = "NAME|ADDRESS")]
    to: String,
    /// A sender of the configuration, or an address
    #[arg(short, long, value_name = "NAME|ADDRESS")]
    from: Option<String>,
    /// The server's address; by default the recipient's MX records decide, as for any sender
    #[arg(short, long, value_name = "IP")]
    server: Option<IpAddr>,
    /// The name that the server's certificate must carry
    #[arg(long, value_name = "HOST")]
    server_name: Option<String>,
    /// TCP port
    #[arg(short, long)]
    port: Option<u16>,
    /// What EHLO says
    #[arg(long, visible_aliases = ["ehlo"], value_name = "NAME")]
    helo: Option<String>,
    /// Whether TLS is used: none, opportunistic, required, required-and-verified
    #[arg(long, value_name = "POLICY", default_value = "opportunistic")]
    tls: String,
    /// Authorities to trust instead of the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Subject; the tag's short form is added
    #[arg(long)]
    subject: Option<String>,
    /// Size of the whole message
    #[arg(long)]
    size: Option<Size>,
    /// Leave the dialogue after this part: banner, ehlo, mail, rcpt
    #[arg(long, value_name = "PART")]
    quit_after: Option<String>,
    /// Wait this long until the message is visible in the mailbox
    #[arg(long, value_name = "DURATION")]
    within: Option<Period>,
    /// Print the scenario that does the same, and send nothing
    #[arg(long)]
    emit_yaml: bool,
    #[command(flatten)]
    how: How,
}

const MODELINE: &str = "# yaml-language-server: $schema=./scenario.v1.json\n";
const SCENARIO_NAME: &str = "send";

pub(super) fn main(global: &Global, args: &Args, output: &Output) -> Result<Exit, Problem> {
    let ends = Ends::new(global, args, output)?;
    let scenario = scenario(args, &ends);
    if args.emit_yaml {
        output.print(&format!("{MODELINE}{}{scenario}", ends.comment()))?;
        return Ok(Exit::Ok);
    }
    // An ad-hoc main file lives as long as the run.
    let directory = tempfile::Builder::new()
        .prefix("postrider-send-")
        .tempdir()?;
    let main = match &ends.main_file {
        Some(text) => {
            let main = directory.path().join("postrider.yaml");
            std::fs::write(&main, text)?;
            main
        }
        None => session::main_file(global)?,
    };
    let loaded = config::load_with(&main, &[config::Extra::Text(scenario)]);
    let plan = session::accept(loaded, output)?;
    let storage = session::storage(global)?;
    session::runtime()?.block_on(async {
        let interrupt = Interrupt::listen(*output)?;
        let session = Session::open(plan, &storage).await?;
        let selection = Selection {
            scenarios: vec![SCENARIO_NAME.to_owned()],
            ..Selection::default()
        };
        let holder = Holder {
            session: &session,
            selection: &selection,
            manner: &args.how.manner,
            show: Some(session::show_command(global)),
            interrupt: &interrupt,
            output,
        };
        let done = holder.repeat(&args.how).await;
        let closed = session.close().await;
        let exit = done?;
        closed?;
        Ok(exit)
    })
}

/// Both ends of the mail: names of the configuration, or addresses in a main file of their own.
struct Ends {
    main_file: Option<String>,
    from: String,
    to: String,
    /// The recipient's domain; its MX records decide when no server is given.
    domain: String,
}

impl Ends {
    fn new(global: &Global, args: &Args, output: &Output) -> Result<Self, Problem> {
        match args.to.rsplit_once('@') {
            Some((_, domain)) => Self::addresses(args, domain),
            None => Self::names(args, &session::load(global, output)?),
        }
    }

    fn names(args: &Args, plan: &Plan) -> Result<Self, Problem> {
        let usage = |text: String| Problem::usage(anyhow::anyhow!(text));
        let known = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>().join(", ");
        let mailbox = plan.mailboxes.get(&args.to).ok_or_else(|| {
            let all = known(plan.mailboxes.keys().collect());
            usage(format!(
                "no mailbox is called `{}`; there are: {all}",
                args.to
            ))
        })?;
        let only = plan
            .senders
            .keys()
            .next()
            .filter(|_| plan.senders.len() == 1);
        let from = args.from.as_ref().or(only).ok_or_else(|| {
            let all = known(plan.senders.keys().collect());
            usage(format!("name a sender with --from; there are: {all}"))
        })?;
        Ok(Self {
            main_file: None,
            from: from.clone(),
            to: args.to.clone(),
            domain: mailbox.address.domain().to_owned(),
        })
    }

    fn addresses(args: &Args, domain: &str) -> Result<Self, Problem> {
        let from = args
            .from
            .as_ref()
            .filter(|from| from.contains('@'))
            .ok_or_else(|| {
                Problem::usage(anyhow::anyhow!(
                    "with a recipient's address, --from needs an address, too"
                ))
            })?;
        let own = from.rsplit('@').next().unwrap_or_default();
        let helo = args.helo.as_deref().unwrap_or(own);
        let text = format!(
            "version: 1\nvantage: here\nsenders:\n  from: {{ address: {}, helo: {} }}\nmailboxes:\n  to: {{ address: {} }}\n",
            quoted(from),
            quoted(helo),
            quoted(&args.to),
        );
        Ok(Self {
            main_file: Some(text),
            from: "from".to_owned(),
            to: "to".to_owned(),
            domain: domain.to_owned(),
        })
    }

    /// The main file's part, as a comment in front of the scenario.
    fn comment(&self) -> String {
        let text = self.main_file.as_deref().unwrap_or_default();
        text.lines()
            .skip(2)
            .fold(String::new(), |mut comment, line| {
                if comment.is_empty() {
                    comment.push_str("# In postrider.yaml:\n");
                }
                let _ = writeln!(comment, "#   {line}");
                comment
            })
    }
}

fn scenario(args: &Args, ends: &Ends) -> String {
    let mut deliver = String::new();
    let mut key = |name: &str, value: String| {
        let _ = writeln!(deliver, "      {name}: {value}");
    };
    key("from", quoted(&ends.from));
    key("to", quoted(&ends.to));
    match args.server {
        Some(server) => key("to_address", quoted_template(&server.to_string())),
        None => key(
            "route",
            format!("{{ mx_of: {} }}", quoted_template(&ends.domain)),
        ),
    }
    key("tls", quoted(&args.tls));
    for (name, value) in [
        ("helo", args.helo.as_deref().map(quoted)),
        ("stop_after", args.quit_after.as_deref().map(quoted)),
        (
            "server_name",
            args.server_name.as_deref().map(quoted_template),
        ),
        ("subject", args.subject.as_deref().map(quoted_template)),
        (
            "size",
            args.size.map(|size| quoted(&format!("{}B", size.0))),
        ),
    ] {
        if let Some(value) = value {
            key(name, value);
        }
    }
    if let Some(port) = args.port {
        key("port", port.to_string());
    }
    if let Some(file) = &args.ca_file {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.clone());
        key(
            "trust",
            format!("{{ ca_file: {} }}", quoted(&file.display().to_string())),
        );
    }
    if let Some(within) = args.within {
        key("expect", format!("{{ arrives: {{ within: {within} }} }}"));
    }
    format!(
        "version: 1\nname: {SCENARIO_NAME}\ntimeout: 1h\nsteps:\n  - id: {SCENARIO_NAME}\n    deliver:\n{deliver}"
    )
}
