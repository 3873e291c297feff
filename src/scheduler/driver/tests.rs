use std::collections::BTreeMap;

use super::*;
use crate::config::plan::{Schedule, When};

/// Notes what it is asked, and holds runs as their scenario's name says.
#[derive(Debug, Default)]
struct Notes {
    begun: Mutex<Vec<(String, Duration)>>,
    missed: Mutex<Vec<RunMissed>>,
    /// Missed starts are not taken.
    deaf: std::sync::atomic::AtomicBool,
}

impl Notes {
    fn count(&self) -> BTreeMap<String, usize> {
        let mut count = BTreeMap::new();
        for (scenario, _) in lock(&self.begun).iter() {
            *count.entry(scenario.clone()).or_default() += 1;
        }
        count
    }
}

impl Runs for Notes {
    fn begin(&self, held: Held) -> Begun {
        let (scenario, late) = match held {
            Held::Planned(start) => (start.scenario.to_string(), start.late),
            Held::Asked(asked) => (asked.scenario, Duration::ZERO),
        };
        let mut begun = lock(&self.begun);
        begun.push((scenario.clone(), late));
        let run = async move {
            match scenario.as_str() {
                "panics" => panic!("a probe went wrong"),
                "hangs" => std::future::pending().await,
                _ => sleep(Duration::from_secs(5)).await,
            }
        };
        Begun {
            id: begun.len().to_string(),
            run: Box::pin(run),
        }
    }

    fn missed(&self, missed: RunMissed) -> Result<(), RunMissed> {
        if self.deaf.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(missed);
        }
        lock(&self.missed).push(missed);
        Ok(())
    }

    fn ticked(&self) {}
}

fn scheduled(name: &str, when: When) -> Scheduled {
    Scheduled {
        scenario: name.to_owned(),
        schedule: Some(Schedule {
            when,
            jitter: Duration::ZERO,
            max_in_flight: 1,
        }),
    }
}

fn every(name: &str, seconds: u64) -> Scheduled {
    scheduled(name, When::Every(Duration::from_secs(seconds)))
}

fn begin(scenarios: &[Scheduled]) -> (Arc<Notes>, Handle) {
    let notes = Arc::new(Notes::default());
    let clock = Clock::starting_at("2027-03-28T00:00:00Z".parse().unwrap());
    let (handle, _) = start(scenarios, Arc::clone(&notes) as _, clock, 7);
    (notes, handle)
}

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test(start_paused = true)]
async fn day_of_runs_goes_by_whatever_the_runs_do() {
    let cron = When::Cron {
        pattern: "30 2 * * *".to_owned(),
        timezone: "Europe/Amsterdam".to_owned(),
    };
    let scenarios = [
        every("calm", 300),
        every("panics", 60),
        every("hangs", 3600),
        scheduled("nightly", cron),
    ];
    let (notes, handle) = begin(&scenarios);
    sleep(DAY).await;
    let count: Vec<(String, usize)> = notes.count().into_iter().collect();
    // The night has no half past two: it is planned once, and the next one falls into the next day by half an hour.
    let expected = [
        ("calm", 288),
        ("hangs", 1),
        ("nightly", 1),
        ("panics", 1440),
    ];
    assert_eq!(
        count,
        expected.map(|(name, times)| (name.to_owned(), times))
    );
    let begun = lock(&notes.begun).clone();
    assert!(
        begun
            .iter()
            .all(|(_, late)| *late <= Duration::from_millis(2)),
        "on time"
    );
    let missed = lock(&notes.missed).clone();
    assert_eq!(missed.len(), 23);
    assert!(
        missed
            .iter()
            .all(|missed| missed.scenario == "hangs" && missed.why == WhyMissed::InFlight)
    );
    assert!(handle.ticked_at().elapsed() <= LOOK);
}

#[tokio::test(start_paused = true)]
async fn row_54_stalled_program_tells_of_what_it_missed_and_starts_once() {
    let (notes, handle) = begin(&[every("calm", 60)]);
    sleep(Duration::from_secs(120)).await;
    let before = notes.count()["calm"];
    // Nothing is polled meanwhile.
    tokio::time::advance(Duration::from_secs(605)).await;
    sleep(Duration::from_millis(5)).await;
    assert_eq!(notes.count()["calm"], before + 1);
    let missed = lock(&notes.missed).clone();
    let [missed] = missed.as_slice() else {
        panic!("{missed:?}");
    };
    assert_eq!((missed.why, missed.times), (WhyMissed::Stalled, 9));
    let (_, late) = lock(&notes.begun)[before].clone();
    assert!(
        late > Duration::ZERO && late < Duration::from_secs(60),
        "{late:?}"
    );
    assert!(handle.ticked_at().elapsed() <= LOOK);
}

#[tokio::test(start_paused = true)]
async fn missed_starts_that_cannot_be_told_are_told_later_and_none_is_lost() {
    let (notes, _handle) = begin(&[every("hangs", 60)]);
    notes.deaf.store(true, std::sync::atomic::Ordering::SeqCst);
    sleep(Duration::from_secs(601)).await;
    assert!(lock(&notes.missed).is_empty());
    notes.deaf.store(false, std::sync::atomic::Ordering::SeqCst);
    sleep(LOOK).await;
    let times: Vec<u64> = lock(&notes.missed)
        .iter()
        .map(|missed| missed.times)
        .collect();
    assert_eq!(times, [9]);
}

#[tokio::test(start_paused = true)]
async fn run_that_is_asked_for_counts_like_a_planned_one() {
    let (notes, handle) = begin(&[every("calm", 3600)]);
    let asked = || Asked {
        scenario: "calm".to_owned(),
        origin: "web".to_owned(),
    };
    assert_eq!(handle.start(asked()).await, Some(Ok("1".to_owned())));
    assert_eq!(handle.start(asked()).await, Some(Err(TooMany(1))));
    assert_eq!(handle.stands().await[0].in_flight, 1);
    sleep(Duration::from_secs(6)).await;
    assert_eq!(handle.start(asked()).await, Some(Ok("2".to_owned())));
    assert_eq!(notes.count()["calm"], 2);
}

#[tokio::test(start_paused = true)]
async fn row_51_draining_waits_for_what_is_in_flight_and_starts_nothing() {
    let (notes, handle) = begin(&[every("calm", 1)]);
    sleep(Duration::from_secs(2)).await;
    let began = Instant::now();
    handle.drain().await;
    assert!(began.elapsed() > Duration::from_secs(1) && began.elapsed() <= Duration::from_secs(5));
    let count = notes.count();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(notes.count(), count);
    let asked = Asked {
        scenario: "calm".to_owned(),
        origin: "web".to_owned(),
    };
    assert_eq!(handle.start(asked).await, None);
    // The service manager is still told that the program lives.
    assert!(handle.ticked_at().elapsed() <= LOOK);
}
