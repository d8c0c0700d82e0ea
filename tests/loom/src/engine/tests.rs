use std::sync::Arc;

use loom::{future::block_on, sync::Mutex, thread};

use super::{
    signals::Signals,
    sync::{AtomicUsize, Notify, Ordering},
    waiting::Waiting,
    wake::WakeSlots,
};

/// Runs a test under every order of events with at most three preemptions, which shows nearly every fault.
fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(test);
}

fn signals() -> Arc<Signals> {
    Arc::new(Signals::new(1_000, 1_000))
}

/// Two readers wake two checks. The coordinator wakes each of them.
#[test]
fn no_wake_is_lost() {
    model(|| {
        let mut slots = WakeSlots::default();
        let checks = [signals(), signals()];
        checks.iter().for_each(|check| check.track(&mut slots));
        let requested = Arc::new(Notify::new());
        let readers = checks.clone().map(|check| {
            let requested = Arc::clone(&requested);
            check.set_ages(u64::MAX, 0);
            thread::spawn(move || {
                assert!(check.wake_if_old(1).0);
                requested.notify_one();
            })
        });
        block_on(async {
            let mut woken = 0;
            while woken < 2 {
                requested.notified().await;
                for check in slots.take_requested() {
                    check.wake();
                    woken += 1;
                }
            }
        });
        assert!(checks.iter().all(|check| check.run_requested()));
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

/// A check that is held back runs after its dependency has recovered, whenever that happens.
#[test]
fn no_release_is_lost() {
    model(|| {
        let check = signals();
        let held_back = Arc::new(Mutex::new(true));
        let writer = {
            let (check, held_back) = (Arc::clone(&check), Arc::clone(&held_back));
            thread::spawn(move || {
                *held_back.lock().unwrap() = false;
                check.release();
            })
        };
        block_on(async {
            while *held_back.lock().unwrap() && !check.refresh_requested() {
                check.changed().await;
            }
            let number = check.run_started();
            check.run_finished(number);
        });
        writer.join().unwrap();
        assert!(!check.is_running());
    });
}

/// A refresh returns after a run that began after the call, also if another run is in progress, and does not wait for
/// ever.
#[test]
fn a_refresh_returns_after_a_run_that_began_later() {
    model(|| {
        let check = signals();
        let (world, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let runner = {
            let (check, world, seen) = (Arc::clone(&check), Arc::clone(&world), Arc::clone(&seen));
            thread::spawn(move || {
                block_on(async {
                    for _ in 0..2 {
                        let number = check.run_started();
                        seen.store(world.load(Ordering::Acquire), Ordering::Release);
                        check.run_finished(number);
                        while seen.load(Ordering::Acquire) == 0 && !check.run_requested() {
                            check.changed().await;
                        }
                    }
                });
                check.end();
            })
        };
        world.store(1, Ordering::Release);
        if block_on(check.refreshed()) {
            assert_eq!(seen.load(Ordering::Acquire), 1, "the run began before the call");
        }
        runner.join().unwrap();
    });
}

/// The end of the task of a check releases the callers that wait for a run.
#[test]
fn the_end_of_a_task_releases_waiting_refreshes() {
    model(|| {
        let check = signals();
        let task = {
            let check = Arc::clone(&check);
            thread::spawn(move || check.end())
        };
        assert!(!block_on(check.refreshed()));
        task.join().unwrap();
    });
}

/// A model of the store: the number of recorded results, and the number of those that are published.
#[derive(Default)]
struct Numbers {
    waiting: Waiting,
    recorded: usize,
    published: usize,
}

impl Numbers {
    fn publish(&mut self) {
        self.published = self.recorded;
        self.waiting = Waiting::default();
    }
}

fn record(store: &Mutex<Numbers>, announced: &Notify, is_urgent: bool) {
    let mut numbers = store.lock().unwrap();
    numbers.recorded += 1;
    numbers.waiting.record();
    if is_urgent {
        numbers.publish();
    } else {
        let is_first = numbers.waiting.begins_to_wait();
        drop(numbers);
        if is_first {
            announced.notify_one();
        }
    }
}

/// Every recorded result is published, also if another recorder publishes an urgent result in between.
#[test]
fn every_recorded_result_is_published() {
    model(|| {
        let (store, announced) = (Arc::new(Mutex::new(Numbers::default())), Arc::new(Notify::new()));
        let recorder = |is_urgent| {
            let (store, announced) = (Arc::clone(&store), Arc::clone(&announced));
            thread::spawn(move || {
                record(&store, &announced, is_urgent);
                if is_urgent {
                    record(&store, &announced, false);
                }
            })
        };
        let recorders = [recorder(true), recorder(false)];
        block_on(async {
            while store.lock().unwrap().published < 3 {
                announced.notified().await;
                let mut numbers = store.lock().unwrap();
                if numbers.waiting.has_result() {
                    numbers.publish();
                }
            }
        });
        recorders.into_iter().for_each(|recorder| recorder.join().unwrap());
    });
}

/// A flush publishes every result that was recorded before it.
#[test]
fn a_flush_publishes_earlier_results() {
    model(|| {
        let (store, announced) = (Arc::new(Mutex::new(Numbers::default())), Arc::new(Notify::new()));
        let other = {
            let (store, announced) = (Arc::clone(&store), Arc::clone(&announced));
            thread::spawn(move || record(&store, &announced, false))
        };
        record(&store, &announced, false);
        let mut numbers = store.lock().unwrap();
        if numbers.waiting.has_result() {
            numbers.publish();
        }
        assert!(numbers.published >= 1);
        assert_eq!(numbers.published, numbers.recorded);
        drop(numbers);
        other.join().unwrap();
    });
}
