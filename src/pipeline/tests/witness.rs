//! Who is told by the task itself.

use std::sync::{Arc, Mutex};

use super::*;
use crate::baseline::Change;
use crate::clock::Clock;
use crate::ledger::Balance;
use crate::ledger::sample::at;
use crate::pipeline::{LedgerChange, Witness};
use crate::run::event::{Event, RunFinished};
use postrider_probes::outcome::Status;

/// Writes down what it is told.
#[derive(Debug, Default)]
struct Notebook(Mutex<Vec<String>>);

impl Notebook {
    fn write(&self, line: String) {
        self.0.lock().expect("nobody panicked").push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("nobody panicked").clone()
    }
}

impl Witness for Notebook {
    fn opened(&self, balance: &Balance) {
        self.write(format!("opened with {}", balance.planned()));
    }
    fn happened(&self, event: &Event) {
        if let Event::RunFinished(RunFinished { run, status, .. }) = event {
            self.write(format!("{run} ended: {status}"));
        }
    }
    fn changed(&self, change: &LedgerChange) {
        let before = change.before.map(|before| before.state);
        let LedgerChange { mx, after, .. } = change;
        self.write(format!(
            "{before:?} -> {:?}, {} copies, {:?}",
            after.state,
            after.copies,
            mx.as_deref()
        ));
    }
    fn noticed(&self, change: &Change) {
        self.write(change.sentence());
    }
    fn write_failed(&self) {
        self.write("write failed".to_owned());
    }
}

async fn bench() -> (Bench, Arc<Notebook>) {
    let notebook = Arc::new(Notebook::default());
    let directory = tempfile::tempdir().expect("a temporary directory");
    let clock = Clock::starting_at(at(0));
    let bench = Bench::watched(directory, clock, Arc::clone(&notebook) as Arc<dyn Witness>).await;
    (bench, notebook)
}

#[tokio::test(start_paused = true)]
async fn each_change_of_an_entry_is_told_once_and_in_order() {
    let (bench, notebook) = bench().await;
    let _account = bench.sent(1).await;
    bench.arrives(1, key("INBOX", 7)).await;
    bench.arrives(1, key("INBOX", 7)).await;
    bench.arrives(1, key("INBOX", 8)).await;
    bench.balance().await;
    let mx = "Some(\"mx1.example.net\")";
    assert_eq!(
        notebook.lines(),
        [
            "opened with 0".to_owned(),
            format!("None -> Planned, 0 copies, {mx}"),
            format!("Some(Planned) -> Accepted, 0 copies, {mx}"),
            format!("Some(Accepted) -> Delivered, 1 copies, {mx}"),
            format!("Some(Delivered) -> Delivered, 2 copies, {mx}"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn changes_wait_for_the_disk_and_runs_do_not() {
    let (bench, notebook) = bench().await;
    let _account = bench.planned(1).await;
    faults::break_store(&bench);
    let _ = bench.post.plan(draft(2)).await.expect_err("it is refused");
    let _ = bench.post.record(id(1), accepted(), Instant::now()).await;
    let ended = Event::RunFinished(RunFinished {
        run: "01RUN".to_owned(),
        status: Status::Pass,
        took: Duration::ZERO,
        cancelled: None,
    });
    bench.pipeline.events().send(ended).await.expect("it runs");
    bench.balance().await;
    let told = notebook.lines();
    assert!(told.contains(&"write failed".to_owned()), "{told:?}");
    // As it is told to everybody: what cannot be looked up later is no pass.
    assert!(told.contains(&"01RUN ended: error".to_owned()), "{told:?}");
    assert!(
        !told.iter().any(|line| line.contains("Accepted")),
        "{told:?}"
    );

    faults::mend_store(&bench);
    bench.post.plan(draft(3)).await.expect("it is planned");
    let told = notebook.lines();
    let changes: Vec<&String> = told.iter().filter(|line| line.contains("->")).collect();
    // The plan that was refused never was.
    assert_eq!(changes.len(), 3, "{told:?}");
    assert!(
        changes[1].starts_with("Some(Planned) -> Accepted"),
        "{told:?}"
    );
}
