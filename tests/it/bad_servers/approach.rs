//! `approach: primary-first`: which primary, and what is noted when it cannot be greeted.

use std::collections::BTreeMap;

use postrider::demo::platform::misbehaviour::{Misbehaviour, Point};

use crate::support::Lab;

#[tokio::test]
async fn the_primary_that_is_greeted_first_is_the_one_of_the_domain_that_is_probed() {
    let [ours, primary, fallback, _] = Lab::addresses();
    for (server, note, said) in [
        (Misbehaviour::default(), "after the primary", "-> QUIT"),
        (
            Misbehaviour::refuse(),
            "primary not reached",
            "*** the primary: connect-refused: ",
        ),
        (
            Misbehaviour::reply(Point::Banner, "554 5.3.2 Not now"),
            "primary unwilling",
            "*** the primary: greeting-rejected: 554 5.3.2 Not now",
        ),
    ] {
        let mut setup = Lab::setup();
        // The mailbox is in another domain, whose primary is another one.
        setup.records.push("other IN MX 10 mx.two".into());
        setup.records.push("other IN MX 20 mx.three".into());
        setup.faults.smtp = BTreeMap::from([(primary, server)]);
        let lab = Lab::from_setup(setup).await;
        let step = "  - id: fallback
    for_each: { mx_of: other.example.test, preference: not-lowest }
    deliver:
      to_address: \"${item.address}\"
      server_name: mx1.example.test
      approach: primary-first
      stop_after: rcpt
";
        let ran = lab.run(step).args(["--transcript", "always"]).end().await;
        assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
        let check = ran.check("fallback");
        assert_eq!(check.target.unwrap().address, fallback.to_string());
        assert_eq!(check.notes, [note, "250"]);
        let transcript = check.evidence.unwrap().transcript.join("\n");
        let first = format!("=== first the primary: mx.two.example.test [{primary}]");
        assert!(transcript.contains(&first), "{transcript}");
        assert!(transcript.contains(said), "{transcript}");
        assert_eq!(lab.platform.smtp_counters(ours).connections, 0);
    }
}
