//! Secrets that were sown are looked for wherever the program says something.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Served, scenario};
use crate::support::until;

const PASSWORD: &str = "correct-horse-battery";
/// What the password file holds while the login fails.
const WRONG: &str = "tr0ub4dor-wrong-seed";
const WEB_PASSWORD: &str = "open-sesame-seed";
const GUESSED: &str = "guessed-web-seed";

/// A secret as it is, and within base64 at each of the three places where it can begin.
fn shapes(secret: &str) -> Vec<String> {
    let mut shapes = vec![secret.to_owned()];
    for before in 0..3 {
        let mut bytes = vec![0; before];
        bytes.extend(secret.as_bytes());
        let whole = STANDARD.encode(&bytes);
        // Without the characters that depend on what stands before and after.
        shapes.push(whole[4..whole.len() - 4].to_owned());
    }
    shapes
}

#[track_caller]
fn is_clean(what: &str, text: &str, secrets: &[String]) {
    for secret in secrets {
        assert!(!text.contains(secret), "{what} holds {secret}: {text}");
    }
}

/// Every file below, as text.
fn files(directory: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            found.push((path.display().to_string(), text));
        }
    }
    found
}

#[tokio::test]
async fn row_60_sown_secrets_are_in_no_output() {
    let hash = bcrypt::hash_with_salt(WEB_PASSWORD, 4, [7; 16])
        .unwrap()
        .to_string();
    let mut secrets: Vec<String> = [PASSWORD, WRONG, WEB_PASSWORD, GUESSED]
        .into_iter()
        .flat_map(shapes)
        .collect();
    secrets.push(hash.clone());
    let login = |password: &str| {
        let both = STANDARD.encode(format!("alice:{password}"));
        format!("Authorization: Basic {both}\r\n")
    };

    let file = scenario("often", "schedule: { every: 1s }", "10s");
    let mut served = Served::unstarted(&file).await;
    let web = format!("basic_auth_users:\n  alice: {hash}\n");
    served.lab.write("web.yaml", &web);
    for form in ["logfmt", "json"] {
        let args = [
            "--log.level",
            "debug",
            "--log.format",
            form,
            "--web.config.file",
            "web.yaml",
            "--web.enable-lifecycle",
        ];
        served.lab.write("alice_password", PASSWORD);
        let program = served
            .lab
            .again()
            .args(["serve", "--web.listen-address", "127.0.0.1:0"]);
        served.running = Some(program.args(args).telling(&served.log).start());
        until(|| {
            served
                .told()
                .contains("\"pass\"")
                .then_some(())
                .or_else(|| served.told().contains("status=pass").then_some(()))
        })
        .await;
        let address = {
            let told = served.told();
            let at = told.find("127.0.0.1:").unwrap();
            let rest = &told[at..];
            let end = rest.find(|c: char| c == '"' || c.is_whitespace()).unwrap();
            rest[..end].to_owned()
        };

        // Nor will there be a core file with them.
        let id = served.running.as_ref().unwrap().id();
        let limits = std::fs::read_to_string(format!("/proc/{id}/limits")).unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"))
            .unwrap();
        let words: Vec<&str> = core.split_whitespace().collect();
        assert_eq!(&words[4..6], ["0", "0"], "{core}");

        // Every answer, with the login, without, and with a wrong one.
        let good = login(WEB_PASSWORD);
        let asked = |header: &str, method: &'static str, path: String, body: &'static str| {
            let (header, address) = (header.to_owned(), address.clone());
            async move { Served::ask_at(&address, &header, method, &path, body).await }
        };
        let (status, runs) = asked(&good, "GET", "/api/v1/runs".to_owned(), "").await;
        assert_eq!(status, 200, "{runs}");
        let list: Value = serde_json::from_str(&runs).unwrap();
        let run = list["runs"].as_array().unwrap().last().unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        is_clean("runs", &runs, &secrets);
        for path in [
            "/".to_owned(),
            "/-/ready".to_owned(),
            "/metrics".to_owned(),
            format!("/api/v1/runs/{run}"),
            "/api/v1/ledger".to_owned(),
        ] {
            for (header, expected) in [(&good, 200), (&login(GUESSED), 401)] {
                let (status, body) = asked(header, "GET", path.clone(), "").await;
                assert!(
                    status == expected || path == "/-/ready",
                    "{path} {status}: {body}"
                );
                is_clean(&path, &body, &secrets);
            }
        }

        // A login that the mailbox's server refuses, and a reload that fails.
        served.lab.write("alice_password", WRONG);
        served
            .lab
            .write("lab.yaml", &file.replace("to: alice", "to: alcie"));
        let (status, refused) = asked(&good, "POST", "/-/reload".to_owned(), "").await;
        assert_eq!(status, 400, "{refused}");
        is_clean("a refused reload", &refused, &secrets);
        served.lab.write("lab.yaml", &file);
        served.signal("TERM");
        let ended = served.end().await;
        assert_eq!(ended.code, 0, "{}", served.told());
        let told = served.told();
        is_clean(form, &told, &secrets);
        is_clean(form, &ended.stdout, &secrets);
        // Nor anything of the mail.
        let of_a_mail = ["Postrider-Tag", "Auto-Submitted", "Message-ID"].map(str::to_owned);
        is_clean(form, &told, &of_a_mail);
        assert!(told.contains("a login was refused"), "{form}: {told}");

        // What commands say, with a login that fails.
        for command in [
            vec!["run", "often", "--format", "json"],
            vec!["show", &run, "--transcript"],
            vec!["ledger"],
            vec!["history"],
            vec!["validate", "--secrets"],
            vec!["validate", "--online"],
        ] {
            let ran = served.lab.again().args(&command).end().await;
            let said = format!("{}{}", ran.stdout, ran.stderr);
            assert!(!said.contains("unexpected argument"), "{command:?}: {said}");
            is_clean(&command.join(" "), &said, &secrets);
        }
    }
    let state = files(&served.lab.directory().join("state"));
    assert!(
        state
            .iter()
            .any(|(_, text)| text.contains("SQLite format 3"))
    );
    for (name, text) in &state {
        is_clean(name, text, &secrets);
    }
    // They were in use: this test can fail.
    assert!(served.lab.platform.imap_login_count() > 0);
}
