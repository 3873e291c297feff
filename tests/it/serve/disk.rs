//! A disk that is really full: a file system of a few megabytes, in a mount namespace of its own.

use std::time::Duration;

use super::{Served, scenario};
use crate::support::until;

/// Mounts a small disk for the state, fills it as long as `disk-full` exists, and becomes the program.
const SMALL_DISK: &str = r#"
mkdir -p state && mount -t tmpfs -o size=6m postrider state || exit 99
while kill -0 $$; do
    if [ -e disk-full ]; then cat /dev/zero >>state/filler; else rm -f state/filler; fi
    sleep 0.05
done >/dev/null 2>&1 &
exec "$@"
"#;

#[tokio::test]
async fn row_53_full_disk_stops_the_sending_and_nothing_else_until_there_is_room() {
    let names = "  - id: mx\n    dns: { query: one.example.test, type: MX }\n";
    let file = scenario("often", "schedule: { every: 1s }", "5s") + names;
    let mut served = Served::unstarted(&file).await;
    let program = served
        .lab
        .again()
        .args(["serve", "--web.listen-address", "127.0.0.1:0"])
        .in_a_mount_namespace(SMALL_DISK);
    served.running = Some(program.telling(&served.log).start());
    served.says("ready").await;
    let checks = |step: &str, status: &str| {
        let told = served.told();
        let lines = told.lines().filter(|line| line.contains("msg=check"));
        let lines = lines.filter(|line| line.contains(step) && line.contains(status));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    until(|| checks("step=mail", "status=pass").pop()).await;

    let full = served.lab.write("disk-full", "");
    let body = until_status(&served, 503).await;
    assert!(body.contains("full"), "{body}");
    let (status, _) = served.ask("GET", "/-/healthy", "").await;
    assert_eq!(status, 200);
    let line = until(|| checks("step=mail", "status=error").pop()).await;
    assert!(line.contains("reason=store-failed"), "{line}");
    // It goes on looking, and says how that went where nothing has to be kept.
    let looked = checks("step=mx", "").len();
    until(|| (checks("step=mx", "").len() > looked + 2).then_some(())).await;

    std::fs::remove_file(full).unwrap();
    until_status(&served, 200).await;
    let passed = checks("step=mail", "status=pass").len();
    until(|| (checks("step=mail", "status=pass").len() > passed).then_some(())).await;
    let (status, ledger) = served.ask("GET", "/api/v1/ledger", "").await;
    assert_eq!(status, 200, "{ledger}");
    served.signal("TERM");
    assert_eq!(served.end().await.code, 0);
}

async fn until_status(served: &Served, wanted: u16) -> String {
    for _ in 0..300 {
        let (status, body) = served.ask("GET", "/-/ready", "").await;
        if status == wanted {
            return body;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("/-/ready did not come to {wanted}:\n{}", served.told());
}
