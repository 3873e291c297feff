use super::*;

const ADDRESS: &str = "192.0.2.10";

fn owned(role: Option<Role>, server_name: Option<&str>) -> Owned {
    Owned {
        address: ADDRESS.parse().unwrap(),
        node: role.map(|_| "filter1".to_owned()),
        server_name: server_name.map(str::to_owned),
        role,
    }
}

fn name(name: &str, forward: Forward) -> ReverseName {
    ReverseName {
        name: name.to_owned(),
        forward,
    }
}

fn good(text: &str) -> ReverseName {
    name(text, Forward::Confirmed)
}

fn face(names: Vec<ReverseName>) -> Face {
    Face {
        of: owned(None, None),
        reverse: ReverseNames {
            address: ADDRESS.parse().unwrap(),
            count: names.len(),
            names: Ok(names),
        },
        greeting: None,
    }
}

fn told(face: &Face, wanted: Wanted) -> String {
    let lines: Vec<String> = judge(face, &[(wanted, false)])
        .iter()
        .map(|finding| format!("{} {}", finding.status, finding.line()))
        .collect();
    lines.join("; ")
}

#[test]
fn a_name_must_be_there_and_lead_back() {
    let other = || Forward::Other(vec!["192.0.2.9".parse().unwrap()]);
    let servfail = Failure::new(Reason::DnsServfail, "192.0.2.53 answered SERVFAIL");
    let mut unknown = face(Vec::new());
    unknown.reverse.names = Err(servfail.clone());
    let mut hundred = face(vec![good("a.test")]);
    hundred.reverse.count = 100;
    for (face, wanted) in [
        (face(vec![good("a.test")]), ""),
        (face(vec![good("a.test"), good("b.test")]), ""),
        (
            face(vec![]),
            "fail ptr-mismatch: 192.0.2.10 has no reverse name",
        ),
        // That it could not be known does not say that it is missing.
        (
            unknown,
            "fail dns-servfail: the reverse name of 192.0.2.10: 192.0.2.53 answered SERVFAIL",
        ),
        (
            face(vec![name("a.test", other())]),
            "fail ptr-mismatch: 192.0.2.10 is a.test, but a.test is 192.0.2.9",
        ),
        (
            face(vec![name("a.test", Forward::Other(vec![]))]),
            "fail ptr-mismatch: 192.0.2.10 is a.test, but a.test has no address of that family",
        ),
        (
            face(vec![name("a.test", Forward::Missing)]),
            "fail ptr-mismatch: 192.0.2.10 is a.test, but a.test does not exist",
        ),
        (
            face(vec![name("a\\032b", Forward::NoName)]),
            "fail ptr-mismatch: 192.0.2.10 is a\\032b, but that is no host name",
        ),
        (
            face(vec![name("a.test", Forward::Unknown(servfail))]),
            "fail dns-servfail: 192.0.2.10 is a.test: 192.0.2.53 answered SERVFAIL",
        ),
        (
            face(vec![good("a.test"), name("old.test", Forward::Missing)]),
            "degraded ptr-mismatch: 192.0.2.10 is old.test, but old.test does not exist",
        ),
        (
            hundred,
            "degraded ptr-mismatch: 192.0.2.10 has 100 reverse names; only 8 are looked at",
        ),
    ] {
        assert_eq!(told(&face, Wanted::default()), wanted, "{face:?}");
    }
}

#[test]
fn a_wanted_name_is_one_of_the_names() {
    let wanted = || Wanted {
        name: Some("mail.test".to_owned()),
        ..Wanted::default()
    };
    for (names, text) in [
        (vec![good("mail.test")], ""),
        (vec![good("a.test"), good("mail.test")], ""),
        (
            vec![good("a.test"), good("b.test")],
            "fail ptr-mismatch: 192.0.2.10 is a.test, b.test, not mail.test",
        ),
        // Said once.
        (vec![], "fail ptr-mismatch: 192.0.2.10 has no reverse name"),
    ] {
        assert_eq!(told(&face(names), wanted()), text);
    }
    let found = judge(&face(vec![good("a.test")]), &[(wanted(), true)]);
    assert_eq!(found[0].status, crate::outcome::Status::Degraded);
}

#[test]
fn a_primary_address_has_its_nodes_server_name() {
    let wanted = || Wanted {
        server_name: true,
        ..Wanted::default()
    };
    for (role, server_name, text) in [
        (Some(Role::Primary), Some("a.test"), ""),
        (
            Some(Role::Primary),
            Some("filter1.test"),
            "fail ptr-mismatch: 192.0.2.10 (filter1) is a.test, not filter1.test, its server name",
        ),
        (Some(Role::Fallback), Some("filter1.test"), ""),
        (
            Some(Role::Primary),
            None,
            "degraded inventory-mismatch: nothing to compare 192.0.2.10 with: node filter1 has no server name in the inventory",
        ),
        (
            None,
            None,
            "degraded inventory-mismatch: nothing to compare 192.0.2.10 with: it belongs to no node of the inventory",
        ),
    ] {
        let face = Face {
            of: owned(role, server_name),
            ..face(vec![good("a.test")])
        };
        assert_eq!(told(&face, wanted()), text, "{role:?} {server_name:?}");
    }
}

#[test]
fn a_server_calls_itself_by_its_name() {
    let introduction = |banner: &str, ehlo: Option<&str>| {
        Some(Ok(Introduction {
            banner: banner.to_owned(),
            ehlo: ehlo.map(str::to_owned),
            tls: None,
        }))
    };
    let refused = || {
        let why = "192.0.2.10 port 25 refused the connection";
        Some(Err(Failure::new(Reason::ConnectRefused, why)))
    };
    for (banner, greeting, text) in [
        (Banner::ReverseName, introduction("a.test", None), ""),
        (
            Banner::ReverseName,
            introduction("b.test", Some("b.test")),
            "",
        ),
        (
            Banner::ReverseName,
            introduction("mx.test", Some("a.test")),
            "fail ptr-mismatch: 192.0.2.10 (filter1) greets as mx.test, and its reverse name is a.test, b.test",
        ),
        (
            Banner::ServerName,
            introduction("a.test", Some("localhost")),
            "fail ptr-mismatch: 192.0.2.10 (filter1) answers EHLO as localhost, and its server name is a.test",
        ),
        (
            Banner::ServerName,
            refused(),
            "fail connect-refused: 192.0.2.10 (filter1): 192.0.2.10 port 25 refused the connection",
        ),
    ] {
        let face = Face {
            of: owned(Some(Role::Primary), Some("a.test")),
            greeting,
            ..face(vec![good("a.test"), good("b.test")])
        };
        let wanted = Wanted {
            banner: Some(banner),
            ..Wanted::default()
        };
        assert_eq!(told(&face, wanted), text, "{banner:?}");
    }
}

#[test]
fn remote_names_are_safe_to_print() {
    let hostile = face(vec![name("\u{1b}[2Jx", Forward::NoName)]);
    assert_eq!(
        told(&hostile, Wanted::default()),
        "fail ptr-mismatch: 192.0.2.10 is \\x1b[2Jx, but that is no host name"
    );
    assert!(!hostile.reverse.lines()[0].contains('\u{1b}'));
    assert!(!hostile.note().contains('\u{1b}'));
}
