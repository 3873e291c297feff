//! The shipped scenario `names.yaml`: it passes where the names are in order, and each fault makes one step red.

use std::fs;
use std::io;
use std::process::Command;

use postrider::result::RunResult;
use postrider_testkit::live::{
    Certificate, FALLBACK, Names, Node, PRIMARY, Platform, Signing, Zone, tlsa_record,
};
use tokio::net::TcpListener;

use super::names_lab::{NamesLab, told};
use crate::support::policy_host::{Authority, Host, converse, ok};

const POLICY: &str =
    "version: STSv1\nmode: enforce\nmx: mx1.example.test\nmx: mx2.example.test\nmax_age: 604800\n";

/// All that the world's DNS says of a platform in good order.
#[derive(Clone)]
struct Told {
    example: String,
    cluster: String,
    reverse: String,
    lists: String,
    outside: String,
    signing: Signing,
}

impl Told {
    fn of(platform: &Platform) -> io::Result<Self> {
        let port = platform.smtp_port();
        let mut example = format!(
            "@ MX 10 mx1\n@ MX 20 mx2\nmx1 A {}\nmx1 A {}\nmx2 A {}\nmx2 A {}\n\
             @ TXT \"v=spf1 ip4:192.0.2.10 -all\"\n\
             _dmarc TXT \"v=DMARC1; p=reject; rua=mailto:dmarc@example.test\"\n\
             _smtp._tls TXT \"v=TLSRPTv1; rua=mailto:tls-reports@example.test\"\n\
             _mta-sts TXT \"v=STSv1; id=2026112101\"\nmta-sts A 127.0.0.1\n",
            PRIMARY[0], PRIMARY[1], FALLBACK[0], FALLBACK[1]
        );
        for node in [Node::Filter1, Node::Filter2] {
            let record = tlsa_record(&platform.certificate_file(node), [3, 1, 1])?;
            for mx in ["mx1", "mx2"] {
                example += &format!("_{port}._tcp.{mx} TLSA {record}\n");
            }
        }
        Ok(Self {
            example,
            cluster: format!(
                "filter1 A {}\nfilter2 A {}\nout1 A {}\nout2 A {}\n",
                PRIMARY[0], PRIMARY[1], FALLBACK[0], FALLBACK[1]
            ),
            reverse: "1.21 PTR filter1.cluster.test.\n2.21 PTR out1.cluster.test.\n\
                      1.22 PTR filter2.cluster.test.\n2.22 PTR out2.cluster.test.\n"
                .to_owned(),
            lists: "2.0.0.127 A 127.0.0.2\n".to_owned(),
            outside: format!("lab._domainkey TXT {}\n", probe_key(platform)?),
            signing: Signing::Good,
        })
    }

    fn zones(&self) -> Vec<Zone> {
        vec![
            Zone::new("example.test", &self.example).signing(self.signing),
            Zone::new("cluster.test", &self.cluster).signed(),
            Zone::new("0.127.in-addr.arpa", &self.reverse).signed(),
            Zone::new("bl.example.org", &self.lists),
            Zone::new("outside.test", &self.outside),
        ]
    }

    /// The same with other words in one place.
    fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut told = self.clone();
        change(&mut told);
        told
    }
}

/// The record of the key that the probe signs with, as the platform's own BIND has it.
fn probe_key(platform: &Platform) -> io::Result<String> {
    let dns = platform.dns();
    let asked = Command::new("dig")
        .args([
            "+short",
            &format!("@{}", dns.ip()),
            "-p",
            &dns.port().to_string(),
        ])
        .args(["lab._domainkey.outside.test", "TXT"])
        .output()?;
    String::from_utf8(asked.stdout).map_err(io::Error::other)
}

/// The shipped file, for this laboratory: its names, its ports, its authority.
fn steps(names: &Names, policy_port: u16, authority: &Authority) -> io::Result<String> {
    let shipped = fs::read_to_string("scenarios/names.yaml")?;
    let (_, steps) = shipped.split_once("\nsteps:\n").expect("it has steps");
    let replaced = [
        ("example.net".to_owned(), "example.test".to_owned()),
        ("cluster.example\n".to_owned(), "cluster.test\n".to_owned()),
        (
            "fra-1.outside.example.org".to_owned(),
            "probe.outside.test".to_owned(),
        ),
        // Loopback is nobody's MX in the world.
        (
            "allow_private: false".to_owned(),
            format!("allow_private: true\n      port: {}", names.port()),
        ),
        (
            "    cluster:\n".to_owned(),
            format!("    cluster:\n      port: {}\n", names.port()),
        ),
        (
            "    mta_sts:\n".to_owned(),
            format!(
                "    mta_sts:\n      port: {policy_port}\n      trust: {{ ca_file: {} }}\n",
                authority.file.path().display()
            ),
        ),
    ];
    Ok(replaced
        .into_iter()
        .fold(steps.to_owned(), |text, (from, to)| {
            assert!(text.contains(&from), "{from}");
            text.replace(&from, &to)
        }))
}

fn main_file(platform: &Platform) -> String {
    format!(
        "platform:
  domains: [example.test]
  smtp_port: {}
  trust: {{ ca_file: {} }}
  nodes:
    filter1: {{ name: filter1.cluster.test, primary: [{}], fallback: [{}] }}
    filter2: {{ name: filter2.cluster.test, primary: [{}], fallback: [{}] }}
senders:
  outside:
    address: probe@outside.test
    helo: probe.outside.test
    dkim: {{ selector: lab, key_file: {} }}
",
        platform.smtp_port(),
        platform.ca_file().display(),
        PRIMARY[0],
        FALLBACK[0],
        PRIMARY[1],
        FALLBACK[1],
        platform.dkim_key_file().display()
    )
}

/// What is wrong with the names, and the steps that say so: one, unless one thing is promised in two ways.
type Fault = (Told, &'static [(&'static str, &'static str)]);

fn faults(good: &Told) -> Vec<Fault> {
    let example = |from: &str, to: &str| {
        assert!(good.example.contains(from), "{from}");
        good.with(|told| told.example = told.example.replace(from, to))
    };
    vec![
        (
            example("@ MX 20 mx2\n", "@ MX 20 mx2\n@ MX 30 mx1\n"),
            &[(
                "mx",
                "fail dns-mismatch: ns1.names.test (127.0.0.1): not expected 30 mx1.example.test",
            )],
        ),
        (
            example("p=reject", "p=none"),
            &[(
                "policy",
                "fail dmarc-mismatch: the policy is none, not reject",
            )],
        ),
        (
            example("v=TLSRPTv1", "v=TLSRPTv2"),
            &[(
                "tls-reports",
                "fail tls-rpt-mismatch: _smtp._tls.example.test has the text `v=TLSRPTv2; rua=mailto:tls-reports@example.test`, which does not begin with `v=TLSRPTv1;`",
            )],
        ),
        (
            example("ip4:192.0.2.10 -all", "-all"),
            &[(
                "sender-may-send",
                "fail spf-mismatch: fail (expected pass): `-all` of example.test",
            )],
        ),
        (
            example("ip4:192.0.2.10 -all", "+all"),
            &[(
                "others-may-not",
                "fail spf-mismatch: pass (expected fail): `+all` of example.test",
            )],
        ),
        (
            example("id=2026112101", "id="),
            &[(
                "sts",
                "fail mta-sts-mismatch: the record of _mta-sts.example.test has the id ``; it must be 1 to 32 letters and digits",
            )],
        ),
        (
            example("TLSA 3 1 1 ", "TLSA 3 1 2 00"),
            &[(
                "dane",
                "fail dane-mismatch: no TLSA record of _PORT._tcp.mx1.example.test can be used: 3 1 2 00…",
            )],
        ),
        (
            example("mx2 A", "mx2 3600 A"),
            &[(
                "layout",
                "degraded cluster-layout: mx-ttl: the addresses of mx2.example.test may be kept for 1h, at most 1m is wanted: so long a dead one is tried",
            )],
        ),
        (
            good.with(|told| {
                told.reverse = told.reverse.replace("1.22 PTR filter2", "1.22 PTR old");
            }),
            &[(
                "reverse",
                "fail ptr-mismatch: 127.0.22.1 (filter2) is old.cluster.test, but old.cluster.test does not exist",
            )],
        ),
        (
            good.with(|told| told.outside = String::new()),
            &[(
                "probe-key",
                "fail dkim-mismatch: no key for signature: lab._domainkey.outside.test has no TXT record",
            )],
        ),
        (
            good.with(|told| told.lists += "2.22.0.127 A 127.0.0.2\n"),
            &[(
                "block-lists",
                "fail dnsbl-listed: 127.0.22.2 (filter2) is on bl.example.org: 127.0.0.2",
            )],
        ),
        // Without signatures there is nothing that DANE could rest on, either.
        (
            good.with(|told| told.signing = Signing::None),
            &[
                (
                    "dane",
                    "fail dane-mismatch: DANE is required, and the MX records of example.test are not signed (insecure) (dane-required)",
                ),
                (
                    "signed",
                    "fail dns-mismatch: example.test MX is insecure: its zone is proven to be unsigned (expected secure)",
                ),
            ],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shipped_names_pass_in_good_order_and_each_fault_makes_one_step_red() -> io::Result<()> {
    let authority = Authority::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let policy_port = listener.local_addr()?.port();
    let acceptor = authority.acceptor(&Host::new("mta-sts.example.test", ok(POLICY)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let host = Host::new("mta-sts.example.test", ok(POLICY));
            tokio::spawn(converse(acceptor.clone(), host, stream));
        }
    });
    let judged = tokio::task::spawn_blocking(move || judge(policy_port, &authority));
    judged.await.map_err(io::Error::other)?
}

fn judge(policy_port: u16, authority: &Authority) -> io::Result<()> {
    let mut platform = Platform::start()?;
    let good = Told::of(&platform)?;
    let mut lab = NamesLab::start(&good.zones())?;
    let main = main_file(&platform);
    let steps = steps(&lab.names, policy_port, authority)?;
    let result = lab.run(&main, &steps)?;
    assert_eq!(red(&result, &platform, &lab), [], "in good order");
    assert_eq!(result.checks.len(), 12 + 4 + 4 - 1);

    for (told, wanted) in faults(&good) {
        lab.names.replace(&told.zones())?;
        let result = lab.run(&main, &steps)?;
        assert_red(&red(&result, &platform, &lab), wanted);
    }
    platform.present_certificate(Node::Filter1, Certificate::EndsInDays(5))?;
    // The records of DANE are renewed with it.
    lab.names.replace(&Told::of(&platform)?.zones())?;
    let result = lab.run(&main, &steps)?;
    let wanted = [(
        "certificates",
        "fail certificate-expiring: the certificate is valid for 5 days only, until …",
    )];
    assert_red(&red(&result, &platform, &lab), &wanted);
    Ok(())
}

/// `…` at the end of words stands for what differs from run to run.
fn assert_red(told: &[(String, String)], wanted: &[(&str, &str)]) {
    let is_wanted = |((step, said), (by, words)): (&(String, String), &(&str, &str))| {
        step == by
            && match words.strip_suffix('…') {
                Some(begins) => said.starts_with(begins),
                None => said == words,
            }
    };
    let same = told.len() == wanted.len() && told.iter().zip(wanted).all(is_wanted);
    assert!(same, "told {told:#?}, wanted {wanted:#?}");
}

/// The steps that did not pass, each with what it says of its targets that did not, the same words once.
fn red(result: &RunResult, platform: &Platform, lab: &NamesLab) -> Vec<(String, String)> {
    let ports = [
        platform.smtp_port(),
        lab.names.port(),
        lab.names.validating().port(),
    ];
    told(result, &ports)
        .into_iter()
        .filter_map(|(step, said)| {
            let mut lines: Vec<&str> = said.lines().filter(|line| *line != "pass").collect();
            lines.dedup();
            (!lines.is_empty()).then(|| (step, lines.join("\n")))
        })
        .collect()
}
