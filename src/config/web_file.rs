//! The web configuration file, in the format of Prometheus' exporter toolkit: TLS, headers, users.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use postrider_probes::setting::{Place, Problem, Severity, Spanned};
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use super::raw::Named;
use super::render::{self, Format};
use super::source::{self, Sources};
use super::yaml::{self, Node, Value};

/// A login may not cost more: 2^16 rounds take seconds.
const COSTLIEST_HASH: u32 = 16;
/// Users of one file.
const MOST_USERS: usize = 1000;
/// Keys of `tls_server_config` that the format knows and that have no meaning here.
const NOT_SUPPORTED: [&str; 11] = [
    "cert",
    "key",
    "key_ref",
    "client_auth_type",
    "client_ca",
    "client_ca_file",
    "client_allowed_sans",
    "max_version",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "curve_preferences",
];
/// The headers that the format lets be set.
const HEADERS: [&str; 5] = [
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
    "Content-Security-Policy",
];

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebFile {
    /// TLS; without it the listener speaks plain HTTP.
    pub tls: Option<WebTls>,
    /// Headers of every answer.
    pub headers: Vec<(String, String)>,
    /// Users and the bcrypt hashes of their passwords.
    pub users: BTreeMap<String, PasswordHash>,
}

/// TLS of the listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebTls {
    /// PEM file of the certificate and its chain.
    pub cert_file: PathBuf,
    /// PEM file of the key.
    pub key_file: PathBuf,
    /// TLS 1.2 is refused.
    pub only_tls13: bool,
}

/// A bcrypt hash. It can be attacked offline, so it never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// The hash, for the one place that compares with it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Base-2 logarithm of the rounds.
    #[must_use]
    pub fn cost(&self) -> u32 {
        cost(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// Reads the file. Whether certificate and key can be used is not looked at.
///
/// # Errors
/// All mistakes, one line each: `file:line:column: error[code]: what is wrong`. No line of the file is quoted.
pub fn load_web_file(path: &Path) -> Result<WebFile, String> {
    let mut sources = Sources::default();
    let mut problems = Vec::new();
    let file = read(path, &mut sources, &mut problems);
    let broken = problems
        .iter()
        .any(|problem| problem.severity == Severity::Error);
    match file {
        Some(file) if !broken => Ok(file),
        _ => {
            problems.sort_by_key(|problem| (problem.at, problem.severity));
            // The concise form quotes nothing: a password may stand where its hash belongs.
            Err(render::render(&problems, &sources, Format::Concise, false))
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWeb {
    tls_server_config: Option<RawTls>,
    http_server_config: Option<RawHttp>,
    #[serde(default)]
    basic_auth_users: Named<RawHash>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    cert_file: Spanned<PathBuf>,
    key_file: Spanned<PathBuf>,
    min_version: Option<Spanned<RawVersion>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum RawVersion {
    #[serde(rename = "TLS10")]
    Tls10,
    #[serde(rename = "TLS11")]
    Tls11,
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHttp {
    http2: Option<Spanned<bool>>,
    #[serde(default)]
    headers: Named<String>,
}

/// Any scalar is taken, so that what is wrong with it is said without repeating it.
#[derive(Debug)]
struct RawHash(Option<String>);

impl<'de> Deserialize<'de> for RawHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = RawHash;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a bcrypt hash")
            }
            fn visit_str<E>(self, text: &str) -> Result<RawHash, E> {
                Ok(RawHash(Some(text.to_owned())))
            }
            fn visit_bool<E>(self, _: bool) -> Result<RawHash, E> {
                Ok(RawHash(None))
            }
            fn visit_i64<E>(self, _: i64) -> Result<RawHash, E> {
                Ok(RawHash(None))
            }
            fn visit_u64<E>(self, _: u64) -> Result<RawHash, E> {
                Ok(RawHash(None))
            }
            fn visit_f64<E>(self, _: f64) -> Result<RawHash, E> {
                Ok(RawHash(None))
            }
            fn visit_unit<E>(self) -> Result<RawHash, E> {
                Ok(RawHash(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

fn read(path: &Path, sources: &mut Sources, problems: &mut Vec<Problem>) -> Option<WebFile> {
    let (file, text) = match source::read(path, Place::default(), sources) {
        Ok(read) => read,
        Err(problem) => {
            problems.push(*problem);
            return None;
        }
    };
    // Elsewhere such a file means no TLS and no users. Here it is taken for what it mostly is: a file that was emptied by
    // mistake, or is being written just now.
    let says_nothing = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if text.lines().all(says_nothing) {
        problems.push(
            Problem::error(
                "bad-value",
                Place { file, line: 1, column: 1, width: 1 },
                "the web configuration file is empty; to serve without TLS and users, start without --web.config.file",
            ),
        );
        return None;
    }
    let mut tree = yaml::parse(file, &text, problems)?;
    refuse_unsupported(&mut tree, problems);
    let raw = yaml::read::<RawWeb>(&mut tree, "the web configuration file", problems).value?;
    let base = path.parent().unwrap_or(Path::new(""));
    let http = raw.http_server_config.unwrap_or_default();
    if let Some(http2) = http.http2.filter(|http2| http2.value) {
        problems.push(
            Problem::error("bad-value", http2.at, "only HTTP/1.1 is spoken here")
                .help("write `http2: false`, or remove the key"),
        );
    }
    Some(WebFile {
        tls: raw.tls_server_config.map(|tls| tls_of(tls, base, problems)),
        headers: http
            .headers
            .0
            .into_iter()
            .filter_map(|(name, value)| header(name, value, problems))
            .collect(),
        users: users(raw.basic_auth_users, problems),
    })
}

/// Says of a key that works elsewhere that it does not work here, and takes it out.
fn refuse_unsupported(tree: &mut Node, problems: &mut Vec<Problem>) {
    tree.for_each_entry_mut(&mut |entry| {
        if entry.key.scalar.text != "tls_server_config" {
            return;
        }
        let Value::Map(keys) = &mut entry.value.value else {
            return;
        };
        keys.retain(|key| {
            let name = key.key.scalar.text.as_str();
            let refused = NOT_SUPPORTED.contains(&name);
            if refused {
                problems.push(Problem::error(
                    "unknown-key",
                    key.key.place,
                    format!(
                        "`{name}` is part of the exporter toolkit's format, and not supported by postrider: \
                         `tls_server_config` takes cert_file, key_file, min_version"
                    ),
                ));
            }
            !refused
        });
    });
}

fn tls_of(raw: RawTls, base: &Path, problems: &mut Vec<Problem>) -> WebTls {
    for file in [&raw.cert_file, &raw.key_file] {
        if file.as_os_str().is_empty() {
            problems.push(Problem::error("bad-value", file.at, "a file name is empty"));
        }
    }
    let version = raw.min_version;
    if let Some(old) =
        version.filter(|version| matches!(version.value, RawVersion::Tls10 | RawVersion::Tls11))
    {
        problems.push(Problem::error(
            "bad-value",
            old.at,
            "TLS before version 1.2 is not spoken here: write `TLS12` or `TLS13`",
        ));
    }
    WebTls {
        cert_file: base.join(&raw.cert_file.value),
        key_file: base.join(&raw.key_file.value),
        only_tls13: version.is_some_and(|version| matches!(version.value, RawVersion::Tls13)),
    }
}

fn header(
    name: Spanned<String>,
    value: Spanned<String>,
    problems: &mut Vec<Problem>,
) -> Option<(String, String)> {
    if !HEADERS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(&name))
    {
        problems.push(Problem::error(
            "unknown-key",
            name.at,
            format!(
                "`{}` is not a header that can be set; these are {}",
                name.value,
                HEADERS.join(", ")
            ),
        ));
        return None;
    }
    if !value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        problems.push(Problem::error(
            "bad-value",
            value.at,
            "a header is printable ASCII in one line",
        ));
        return None;
    }
    Some((name.value, value.value))
}

fn users(raw: Named<RawHash>, problems: &mut Vec<Problem>) -> BTreeMap<String, PasswordHash> {
    if let Some((name, _)) = raw.0.get(MOST_USERS) {
        problems.push(Problem::error(
            "bad-value",
            name.at,
            format!("there are more than {MOST_USERS} users"),
        ));
    }
    let mut users = BTreeMap::new();
    for (name, hash) in raw.0.into_iter().take(MOST_USERS) {
        let odd = |c: char| c == ':' || c.is_control();
        if name.is_empty() || name.contains(odd) {
            problems.push(Problem::error(
                "bad-value",
                name.at,
                "a user's name is not empty and holds no colon",
            ));
            continue;
        }
        match hash.value.0.filter(|hash| cost(hash).is_some()) {
            None => problems.push(Problem::error(
                "bad-value",
                hash.at,
                format!(
                    "the password of `{}` is no bcrypt hash as `htpasswd -nBC 10 \"\"` makes them",
                    name.value
                ),
            )),
            Some(text) if cost(&text).is_some_and(|cost| cost > COSTLIEST_HASH) => {
                problems.push(Problem::error(
                    "bad-value",
                    hash.at,
                    format!(
                        "the hash of `{}` has a cost above {COSTLIEST_HASH}: each login would take seconds",
                        name.value
                    ),
                ));
            }
            Some(text) => {
                users.insert(name.value, PasswordHash(text));
            }
        }
    }
    users
}

/// The cost of a well-formed hash: `$2b$10$` and 53 characters.
fn cost(hash: &str) -> Option<u32> {
    let rest = ["$2a$", "$2b$", "$2y$"]
        .iter()
        .find_map(|prefix| hash.strip_prefix(prefix))?;
    let (cost, digest) = rest.split_once('$')?;
    let alphabet = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '/';
    let whole = cost.len() == 2 && digest.len() == 53 && digest.chars().all(alphabet);
    let cost: u32 = cost.parse().ok()?;
    (whole && cost >= 4).then_some(cost)
}

#[cfg(test)]
mod tests;
