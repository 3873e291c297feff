use super::{Served, scenario};
use crate::support::Lab;

const QUIETLY: [&str; 3] = ["serve", "--web.listen-address", "127.0.0.1:0"];

#[tokio::test]
async fn second_instance_on_one_store_ends_at_once_and_names_the_first() {
    let mut served = Served::start(&scenario("one", "", "10s")).await;
    let first = served.running.as_ref().unwrap().id();
    let second = served.lab.again().args(QUIETLY).end().await;
    assert_eq!(second.code, 3, "{}", second.stderr);
    assert!(second.took < std::time::Duration::from_secs(5));
    assert!(
        second
            .stderr
            .contains(&format!("in use by process {first}")),
        "{}",
        second.stderr
    );
    served.signal("TERM");
    assert_eq!(served.end().await.code, 0);
}

#[tokio::test]
async fn damaged_store_is_left_as_it_is() {
    let served = Served::unstarted(&scenario("one", "", "10s")).await;
    let state = served.lab.directory().join("state");
    std::fs::create_dir(&state).unwrap();
    let database = state.join("postrider.db");
    std::fs::write(&database, b"this was a ledger once").unwrap();
    let ran = served.lab.again().args(QUIETLY).end().await;
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("is damaged") && ran.stderr.contains("left as it is"),
        "{}",
        ran.stderr
    );
    assert_eq!(std::fs::read(&database).unwrap(), b"this was a ledger once");
}

#[tokio::test]
async fn wrong_configuration_is_2_and_begins_no_store() {
    let served = Served::unstarted(&scenario("one", "sheduled: true", "10s")).await;
    let ran = served.lab.again().args(QUIETLY).end().await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("unknown-key"), "{}", ran.stderr);
    assert!(!served.lab.directory().join("state").exists());
}

#[tokio::test]
async fn row_55_service_manager_hears_ready_reloading_alive_and_stopping() {
    let served = Served::unstarted(&scenario("one", "", "10s")).await;
    let socket = served.lab.directory().join("notify");
    let manager = tokio::net::UnixDatagram::bind(&socket).unwrap();
    let program = served
        .lab
        .again()
        .args(["serve", "--web.listen-address", "127.0.0.1:0"]);
    let running = program
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "2000000")
        .telling(&served.log)
        .start();
    heard(
        &manager,
        "READY=1\nSTATUS=1 scenarios, no run yet, 0 failed",
    )
    .await;
    heard(&manager, "WATCHDOG=1").await;
    heard(&manager, "WATCHDOG=1").await;
    running.signal("HUP");
    let reloading = heard(&manager, "RELOADING=1\nMONOTONIC_USEC=").await;
    assert!(reloading.len() > "RELOADING=1\nMONOTONIC_USEC=".len());
    heard(&manager, "READY=1\n").await;
    running.signal("TERM");
    heard(&manager, "STOPPING=1\n").await;
    assert_eq!(running.end().await.code, 0);
}

/// Waits for a datagram that begins so.
async fn heard(manager: &tokio::net::UnixDatagram, begins: &str) -> String {
    let listening = async {
        loop {
            let mut datagram = [0; 1024];
            let length = manager.recv(&mut datagram).await.unwrap();
            let text = String::from_utf8(datagram[..length].to_vec()).unwrap();
            if text.starts_with(begins) {
                return text;
            }
        }
    };
    let heard = tokio::time::timeout(std::time::Duration::from_secs(20), listening).await;
    heard.unwrap_or_else(|_| panic!("no {begins}"))
}

#[tokio::test]
async fn program_without_its_flags_still_knows_its_files() {
    let lab = Lab::start().await;
    let ran = lab.again().args(QUIETLY).end().await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("postrider.yaml"), "{}", ran.stderr);
}

#[tokio::test]
async fn wrong_web_configuration_is_2_and_an_address_in_use_is_3() {
    let served = Served::unstarted(&scenario("one", "", "10s")).await;
    let wrong = served.lab.write("web.yaml", "basic_auth_user: { a: b }\n");
    let program = served.lab.again().args(QUIETLY);
    let ran = program
        .args(["--web.config.file", wrong.to_str().unwrap()])
        .end()
        .await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("basic_auth_user"), "{}", ran.stderr);
    // Nothing has begun: a run that is cut off at once would book mail that nobody awaits.
    assert!(!served.lab.directory().join("state").exists());
    let empty = served.lab.write("web.yaml", "# later\n");
    let socket = served.lab.directory().join("notify");
    let manager = tokio::net::UnixDatagram::bind(&socket).unwrap();
    let program = served.lab.again().args(QUIETLY);
    let ran = program
        .args(["--web.config.file", empty.to_str().unwrap()])
        .env("NOTIFY_SOCKET", &socket)
        .end()
        .await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    let message = "error: the web configuration has mistakes\nweb.yaml:1:1: error[bad-value]: the web configuration file is \
                   empty; to serve without TLS and users, start without --web.config.file\n";
    assert!(ran.stderr.contains(message), "{}", ran.stderr);
    assert!(
        manager.try_recv(&mut [0; 64]).is_err(),
        "the service manager heard something"
    );
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ran = served
        .lab
        .again()
        .args(["serve", "--web.listen-address", &address])
        .end()
        .await;
    assert_eq!(ran.code, 3, "{}", ran.stderr);
    assert!(
        ran.stderr.contains(&format!("cannot listen on {address}")),
        "{}",
        ran.stderr
    );
}
