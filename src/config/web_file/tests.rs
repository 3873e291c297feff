use super::*;

const HASH: &str = "$2b$04$......................LRtGr/3xUYzmZZGTgEvWtYnEsxs8Fwy";

fn load(text: &str) -> Result<WebFile, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("web.yaml");
    std::fs::write(&path, text).unwrap();
    let here = format!("{}/", directory.path().display());
    load_web_file(&path)
        .map(|mut file| {
            if let Some(tls) = &mut file.tls {
                for path in [&mut tls.cert_file, &mut tls.key_file] {
                    *path = path
                        .strip_prefix(&here)
                        .map(Path::to_path_buf)
                        .unwrap_or(path.clone());
                }
            }
            file
        })
        .map_err(|mistakes| mistakes.replace(&here, ""))
}

#[test]
fn a_whole_file_is_understood() {
    let file = load(&format!(
        "tls_server_config:
  cert_file: server.pem
  key_file: /etc/keys/server.key
  min_version: TLS13
http_server_config:
  http2: false
  headers:
    Strict-Transport-Security: max-age=31536000
basic_auth_users:
  alice: {HASH}
"
    ))
    .unwrap();
    assert_eq!(
        file.tls,
        Some(WebTls {
            cert_file: "server.pem".into(),
            key_file: "/etc/keys/server.key".into(),
            only_tls13: true
        })
    );
    assert_eq!(
        file.headers,
        [(
            "Strict-Transport-Security".to_owned(),
            "max-age=31536000".to_owned()
        )]
    );
    assert_eq!(file.users["alice"].expose(), HASH);
    assert_eq!(file.users["alice"].cost(), 4);
    assert!(!format!("{file:?}").contains(HASH));
}

#[test]
fn a_file_that_says_nothing_is_a_mistake() {
    for text in ["", "\n", "# later\n\n"] {
        assert_eq!(
            load(text).unwrap_err(),
            "web.yaml:1:1: error[bad-value]: the web configuration file is empty; to serve without TLS and users, start \
             without --web.config.file\n",
            "{text:?}"
        );
    }
}

#[test]
fn every_mistake_has_its_place_and_none_repeats_what_may_be_a_password() {
    for (text, mistake) in [
        (
            "tls_server_config:\n  cert_file: a\n  key_file: b\n  client_auth_type: NoClientCert\n",
            "web.yaml:4:3: error[unknown-key]: `client_auth_type` is part of the exporter toolkit's format, and not \
             supported by postrider: `tls_server_config` takes cert_file, key_file, min_version\n",
        ),
        (
            "tls_server_config:\n  cert_file: a\n",
            "web.yaml:1:1: error[missing-key]: `tls_server_config` needs `key_file`\n",
        ),
        (
            "tls_server_config: {cert_file: a, key_file: b, min_version: TLS10}\n",
            "web.yaml:1:61: error[bad-value]: TLS before version 1.2 is not spoken here: write `TLS12` or `TLS13`\n",
        ),
        (
            "http_server_config:\n  http2: true\n",
            "web.yaml:2:10: error[bad-value]: only HTTP/1.1 is spoken here\n",
        ),
        (
            "http_server_config:\n  headers:\n    Server: x\n",
            "web.yaml:3:5: error[unknown-key]: `Server` is not a header that can be set; these are \
             Strict-Transport-Security, X-Content-Type-Options, X-Frame-Options, X-XSS-Protection, \
             Content-Security-Policy\n",
        ),
        (
            "basic_auth_users:\n  alice: hunter2\n",
            "web.yaml:2:10: error[bad-value]: the password of `alice` is no bcrypt hash as `htpasswd -nBC 10 \"\"` \
             makes them\n",
        ),
        (
            "basic_auth_users:\n  alice: 12345\n",
            "web.yaml:2:10: error[bad-value]: the password of `alice` is no bcrypt hash as `htpasswd -nBC 10 \"\"` \
             makes them\n",
        ),
        (
            "basic_auth_users:\n  'a:b': x\n",
            "web.yaml:2:3: error[bad-value]: a user's name is not empty and holds no colon\n",
        ),
        (
            "basic_auth_users:\n  alice: $2b$17$......................LRtGr/3xUYzmZZGTgEvWtYnEsxs8Fwy\n",
            "web.yaml:2:10: error[bad-value]: the hash of `alice` has a cost above 16: each login would take seconds\n",
        ),
        (
            "tls_config: {}\n",
            "web.yaml:1:1: error[unknown-key]: `tls_config` is not a key of the web configuration file\n",
        ),
    ] {
        assert_eq!(load(text).unwrap_err(), mistake, "{text}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let mistakes = load_web_file(Path::new("/nonexistent/web.yaml")).unwrap_err();
    assert!(
        mistakes.contains("/nonexistent/web.yaml does not exist"),
        "{mistakes}"
    );
}
