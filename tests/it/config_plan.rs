//! What a right configuration becomes: defaults, references, units, secrets.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use postrider::config::plan::{Plan, StepsRun, When};
use postrider::config::{Extra, Format, Loaded, Request};
use postrider_probes::Probe;
use postrider_probes::account::{SecretSource, Security};

/// A directory with a main file, and files beside it.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, environment: &[(&str, &str)]) -> Loaded {
        Request {
            main: Some(self.path("postrider.yaml")),
            extra: Vec::new(),
            environment: environment
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
        .load()
    }
}

fn plan(loaded: Loaded) -> Plan {
    let text = loaded.render(Format::Full, false);
    loaded.plan.unwrap_or_else(|| panic!("{text}"))
}

const MAIN: &str = "\
version: 1
include: [one.yaml]
senders:
  outside: { address: probe@Outside.example.org, helo: fra-1.outside.example.org, dkim: { selector: s1, key_file: keys/dkim.pem } }
mailboxes:
  alice:
    address: alice@example.net
    imap: { server: imap.example.net, tls: starttls }
    password_file: secrets/alice
";

const SCENARIO: &str = "\
version: 1
name: one
message: { from: outside, to: alice, subject: 'costs $$5, ${env.COLOUR}' }
steps:
  - id: send
    deliver:
      route: { mx_of: example.net }
      expect: { arrives: { within: 2m } }
";

#[test]
fn defaults_are_applied_once() {
    let files = Files::new(&[("postrider.yaml", MAIN), ("one.yaml", SCENARIO)]);
    let plan = plan(files.load(&[("COLOUR", "a: {b}")]));
    assert_eq!(plan.vantage, "local");
    assert_eq!(plan.lost_after, Duration::from_secs(5 * 86_400));
    assert_eq!(plan.files.len(), 2);
    assert_eq!(plan.sha256.len(), 64);
    let alice = &plan.mailboxes["alice"];
    let imap = alice.imap.as_ref().unwrap();
    assert_eq!((imap.port, imap.security), (143, Security::Starttls));
    assert_eq!(alice.username, "alice@example.net");
    let outside = &plan.senders["outside"];
    assert_eq!(outside.contact, "probe@Outside.example.org");
    let scenario = &plan.scenarios[0];
    assert_eq!(scenario.steps_run, StepsRun::InOrder);
    assert!(scenario.schedule.is_none());
    assert!(
        scenario.timeout > Duration::from_secs(120 + 600),
        "{:?}",
        scenario.timeout
    );
    assert_eq!(scenario.steps[0].source.line, 5);
}

#[test]
fn paths_are_relative_to_the_file_that_they_stand_in() {
    let files = Files::new(&[("postrider.yaml", MAIN), ("one.yaml", SCENARIO)]);
    let plan = plan(files.load(&[("COLOUR", "red")]));
    let password = plan.mailboxes["alice"].password.as_ref();
    assert_eq!(
        password,
        Some(&SecretSource::File(files.path("secrets/alice")))
    );
    let dkim = plan.senders["outside"].dkim.as_ref().unwrap();
    assert_eq!(dkim.key, SecretSource::File(files.path("keys/dkim.pem")));
}

#[test]
fn a_variable_names_another_password_file() {
    let files = Files::new(&[("postrider.yaml", MAIN), ("one.yaml", SCENARIO)]);
    let environment = [
        ("COLOUR", "red"),
        (
            "POSTRIDER_MAILBOX_ALICE_PASSWORD_FILE",
            "/run/secrets/other",
        ),
    ];
    let plan = plan(files.load(&environment));
    let password = plan.mailboxes["alice"].password.as_ref();
    assert_eq!(
        password,
        Some(&SecretSource::File("/run/secrets/other".into()))
    );
}

#[test]
fn values_cannot_add_structure() {
    let files = Files::new(&[("postrider.yaml", MAIN), ("one.yaml", SCENARIO)]);
    let plan = plan(files.load(&[("COLOUR", "a: {b}")]));
    let subject = plan.scenarios[0].message.subject.as_ref().unwrap();
    assert_eq!(subject.fill(&plan.environment).unwrap(), "costs $5, a: {b}");
    assert_eq!(plan.environment.len(), 1, "only what is used is kept");
}

#[test]
fn a_scenario_on_the_command_line_is_taken_as_if_it_were_included() {
    let files = Files::new(&[("postrider.yaml", MAIN), ("one.yaml", SCENARIO)]);
    let environment = BTreeMap::from([("COLOUR".to_owned(), "red".to_owned())]);
    let request = |extra| Request {
        main: Some(files.path("postrider.yaml")),
        extra,
        environment: environment.clone(),
    };
    let two = SCENARIO.replace("name: one", "name: two");
    let both = request(vec![
        Extra::File(files.path("./one.yaml")),
        Extra::Text(two),
    ])
    .load();
    assert_eq!(both.extra_names, ["one", "two"]);
    assert_eq!(
        plan(both).scenarios.len(),
        2,
        "a file that is included, too, is read once"
    );
    let again = request(vec![Extra::Text(SCENARIO.to_owned())]).load();
    assert_eq!(again.problems[0].code, "duplicate-id");
    let alone = Request {
        main: None,
        extra: vec![Extra::Text(
            "version: 1\nname: a\nsteps: [{ id: b, wait: { for: 1s } }]\n".to_owned(),
        )],
        environment,
    };
    assert_eq!(
        plan(alone.load()).lost_after,
        Duration::from_secs(5 * 86_400)
    );
}

#[test]
fn the_flagship_scenario_is_what_it_says() {
    let plan = plan(postrider::config::load(Path::new(
        "scenarios/postrider.yaml",
    )));
    let scenario = &plan.scenarios[0];
    assert_eq!(scenario.steps_run, StepsRun::Together);
    assert_eq!(scenario.timeout, Duration::from_secs(720));
    let schedule = scenario.schedule.as_ref().unwrap();
    assert_eq!(schedule.when, When::Every(Duration::from_secs(300)));
    assert_eq!(schedule.max_in_flight, 3);
    assert_eq!(plan.inventory.nodes.len(), 2);
    assert_eq!(plan.inventory.nodes[1].fallback.len(), 2);
    assert!(plan.inventory.update_window.is_some());
    let verbs: Vec<&str> = scenario
        .steps
        .iter()
        .map(|step| step.probe.name())
        .collect();
    assert_eq!(
        verbs,
        ["dns", "deliver", "deliver", "deliver", "deliver", "deliver"]
    );
    let for_each = scenario.steps[1].for_each.as_ref().unwrap();
    assert!(!for_each.distinct);
    let Probe::Deliver(deliver) = &scenario.steps[5].probe else {
        panic!("{:?}", scenario.steps[5].probe);
    };
    assert!(deliver.expect.as_ref().unwrap().reply.unwrap().is_refusal());
}

#[test]
fn a_plan_in_full_holds_no_secret() {
    let files = Files::new(&[
        ("postrider.yaml", MAIN),
        ("one.yaml", SCENARIO),
        ("secrets/alice", "correct horse battery"),
        ("keys/dkim.pem", "-----BEGIN PRIVATE KEY-----"),
    ]);
    let mut loaded = files.load(&[("COLOUR", "red")]);
    loaded.check_secrets();
    let printed = format!("{loaded:?}{}", loaded.render(Format::Full, false));
    assert!(!printed.contains("correct horse"), "{printed}");
    assert!(!printed.contains("BEGIN PRIVATE"), "{printed}");
}

/// Not even when the secret stands where it must not.
#[test]
fn a_secret_in_the_configuration_is_never_shown() {
    for line in [
        "    password: hunter2",
        "    \"password\": 'hunter2'",
        "    password: |\n      hunter2\n      [",
        "    more: { password: hunter2, tls: maybe }",
        "    password: hunter2 [",
        "    password: \"hunter2",
    ] {
        let main = MAIN.replace("    password_file: secrets/alice", line);
        assert!(main.contains("hunter2"));
        let files = Files::new(&[("postrider.yaml", &main), ("one.yaml", SCENARIO)]);
        let mut loaded = files.load(&[("COLOUR", "red")]);
        assert!(loaded.errors() > 0, "{line}");
        for form in [Format::Full, Format::Concise, Format::Json, Format::Github] {
            let text = loaded.render(form, false);
            assert!(!text.contains("hunter2"), "{line}\n{text}");
        }
        loaded.check_secrets();
        assert!(!format!("{:?}", loaded.sources).contains("hunter2"));
    }
}

#[test]
fn each_fault_of_a_secret_is_named() {
    for (content, mode, code, part) in [
        (None, 0, "secret-missing", "does not exist"),
        (Some(""), 0o600, "secret-missing", "is empty"),
        (Some("\n"), 0o600, "secret-missing", "is empty"),
        (Some("a\r\n"), 0o600, "secret-line-end", "a carriage return"),
        (
            Some("a\nb\n"),
            0o600,
            "secret-line-end",
            "more than one line",
        ),
        (Some("a \n"), 0o600, "secret-line-end", "a space"),
        (
            Some("a\n"),
            0o640,
            "secret-readable-by-others",
            "mode is 0640",
        ),
    ] {
        let files = Files::new(&[
            ("postrider.yaml", MAIN),
            ("one.yaml", SCENARIO),
            ("keys/dkim.pem", "-----BEGIN PRIVATE KEY-----\n"),
        ]);
        private(&files.path("keys/dkim.pem"), 0o600);
        if let Some(content) = content {
            std::fs::create_dir(files.path("secrets")).unwrap();
            std::fs::write(files.path("secrets/alice"), content).unwrap();
            private(&files.path("secrets/alice"), mode);
        }
        let mut loaded = files.load(&[("COLOUR", "red")]);
        loaded.check_secrets();
        let [problem] = loaded.problems.as_slice() else {
            panic!("{content:?}: {:?}", loaded.problems);
        };
        assert_eq!(problem.code, code, "{content:?}");
        assert!(
            problem.title.contains(part),
            "{content:?}: {}",
            problem.title
        );
        assert_eq!((problem.at.line, problem.at.column), (9, 20), "{content:?}");
        assert_eq!(loaded.plan.is_some(), loaded.errors() == 0);
    }
}

#[test]
fn a_good_secret_is_no_mistake() {
    let files = Files::new(&[
        ("postrider.yaml", MAIN),
        ("one.yaml", SCENARIO),
        ("keys/dkim.pem", "-----BEGIN PRIVATE KEY-----\n"),
        ("secrets/alice", "correct horse\n"),
    ]);
    private(&files.path("keys/dkim.pem"), 0o600);
    private(&files.path("secrets/alice"), 0o400);
    let mut loaded = files.load(&[("COLOUR", "red")]);
    loaded.check_secrets();
    assert_eq!(loaded.problems, []);
    assert!(loaded.plan.is_some());
}

fn private(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
