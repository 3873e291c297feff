//! The ClientHello (RFC 8446 §4.1.2, and RFC 5246 §7.4.1.2 for what came before).

use super::Version;

/// What a client offers.
#[derive(Debug, Clone, Copy)]
pub struct Hello<'a> {
    /// The newest version that the server may choose; of TLS 1.3, the only one.
    pub version: Version,
    /// Cipher suites, preferred first; not more than 256 are sent.
    pub suites: &'a [u16],
    /// The name for `server_name`; `None` for an address (RFC 6066 §3).
    pub server_name: Option<&'a str>,
    /// Fresh for each hello.
    pub random: [u8; 32],
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// More are never sent.
const MOST_SUITES: usize = 256;
/// A host name is not longer.
const LONGEST_NAME: usize = 255;

const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const EC_POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const EXTENDED_MASTER_SECRET: u16 = 23;
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;
const RENEGOTIATION_INFO: u16 = 0xff01;

/// x25519, P-256, P-384, P-521, ffdhe2048, ffdhe3072.
const GROUPS: [u16; 6] = [0x001d, 0x0017, 0x0018, 0x0019, 0x0100, 0x0101];
/// ECDSA, RSA-PSS, Ed25519, RSA; the weak ones last: what the server signs with is not what is asked here.
const SIGNATURES: [u16; 14] = [
    0x0403, 0x0503, 0x0603, 0x0807, 0x0804, 0x0805, 0x0806, 0x0809, 0x0401, 0x0501, 0x0601, 0x0203,
    0x0201, 0x0402,
];

/// One record with the hello in it.
///
/// With TLS 1.3 no key share is sent: the server has to ask for one (HelloRetryRequest), and names its choice of suite
/// with that.
pub fn client_hello(hello: &Hello<'_>) -> Vec<u8> {
    let mut body = Vec::new();
    let legacy = hello.version.min(Version::Tls12);
    body.extend(legacy.number().to_be_bytes());
    body.extend(hello.random);
    body.push(0); // no session to resume
    let suites = hello.suites.get(..MOST_SUITES).unwrap_or(hello.suites);
    let suites: Vec<u8> = suites
        .iter()
        .flat_map(|suite| suite.to_be_bytes())
        .collect();
    push_sized(&mut body, &suites);
    body.extend([1, 0]); // no compression
    push_sized(&mut body, &extensions(hello));

    let mut record = vec![HANDSHAKE, 3, 1];
    let mut message = vec![CLIENT_HELLO, 0];
    push_sized(&mut message, &body);
    push_sized(&mut record, &message);
    record
}

fn extensions(hello: &Hello<'_>) -> Vec<u8> {
    let mut all = Vec::new();
    let mut add = |kind: u16, data: &[u8]| {
        all.extend(kind.to_be_bytes());
        push_sized(&mut all, data);
    };
    if let Some(name) = hello.server_name
        && name.len() <= LONGEST_NAME
        && !name.is_empty()
    {
        let mut entry = vec![0];
        push_sized(&mut entry, name.as_bytes());
        add(SERVER_NAME, &sized(&entry));
    }
    let groups: Vec<u8> = GROUPS
        .iter()
        .flat_map(|group| group.to_be_bytes())
        .collect();
    add(SUPPORTED_GROUPS, &sized(&groups));
    if hello.version >= Version::Tls12 {
        let signatures: Vec<u8> = SIGNATURES
            .iter()
            .flat_map(|scheme| scheme.to_be_bytes())
            .collect();
        add(SIGNATURE_ALGORITHMS, &sized(&signatures));
    }
    if hello.version == Version::Tls13 {
        add(SUPPORTED_VERSIONS, &[2, 3, 4]);
        add(KEY_SHARE, &sized(&[]));
    } else {
        add(EC_POINT_FORMATS, &[1, 0]);
        add(EXTENDED_MASTER_SECRET, &[]);
        add(RENEGOTIATION_INFO, &[0]);
    }
    all
}

fn sized(data: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    push_sized(&mut all, data);
    all
}

/// The length in two bytes, then the data. Everything that is written here is far below 64 KiB.
fn push_sized(to: &mut Vec<u8>, data: &[u8]) {
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    to.extend(length.to_be_bytes());
    to.extend(data.iter().take(length.into()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(version: Version, name: Option<&str>) -> Vec<u8> {
        client_hello(&Hello {
            version,
            suites: &[0x1301, 0xc02f],
            server_name: name,
            random: [7; 32],
        })
    }

    #[test]
    fn lengths_fit_into_each_other() {
        for version in Version::ALL {
            for name in [None, Some("mx1.example.net")] {
                let bytes = hello(version, name);
                let record = usize::from(u16::from_be_bytes([bytes[3], bytes[4]]));
                assert_eq!(bytes.len(), 5 + record);
                let message = usize::from(u16::from_be_bytes([bytes[7], bytes[8]]));
                assert_eq!((bytes[5], bytes[6]), (CLIENT_HELLO, 0));
                assert_eq!(bytes.len(), 9 + message);
                // Version, random, no session, two suites, one compression method, extensions.
                let extensions = usize::from(u16::from_be_bytes([bytes[52], bytes[53]]));
                assert_eq!(bytes.len(), 54 + extensions);
            }
        }
    }

    #[test]
    fn tls_13_hides_behind_the_version_before_it() {
        let legacy = |version| {
            let bytes = hello(version, None);
            [bytes[9], bytes[10]]
        };
        assert_eq!(legacy(Version::Tls13), [3, 3]);
        assert_eq!(legacy(Version::Tls12), [3, 3]);
        assert_eq!(legacy(Version::Tls11), [3, 2]);
        assert_eq!(legacy(Version::Tls10), [3, 1]);
    }

    #[test]
    fn the_name_is_sent_when_there_is_one() {
        let with = hello(Version::Tls12, Some("mx1.example.net"));
        assert!(with.windows(15).any(|part| part == b"mx1.example.net"));
        let long = "x".repeat(256);
        let without = hello(Version::Tls12, None);
        assert_eq!(hello(Version::Tls12, Some(&long)), without);
    }
}
