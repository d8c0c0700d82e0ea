//! Every fault against every networked check, as data: one row per check, one cell per fault. A proxy in front of each
//! real server makes the weather; the server itself is frozen, killed and started again. The README shows the table.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use health_tests::{
    kafka, mariadb, name_server, nats, port, postgres, process,
    proxy::{Proxy, Weather},
    rabbitmq, redis, service,
};
use tokio::{task::block_in_place, time::sleep};

use crate::{
    fault_rows::{FAULTS, Place, ROWS, Row, TEST, TIMEOUT, WRONG, Watched, at_once, rows},
    support::{long, millis, secs},
};

/// A fault shows within this: the timeout, an interval, and what the machine needs.
const NOTICED: Duration = secs(5);
/// A recovery shows within this; some clients wait before they connect again.
const RECOVERED: Duration = secs(8);

/// What lapin keeps of each attempt to connect that failed, in bytes: 6 to 10 kB, also without a check of ours.
const LAPIN_KEEPS: usize = 8 << 10;

/// Every fault of one row, from health to health.
async fn every_fault(row: Row, place: &mut Place) {
    let watched = Watched::start(row, place, true);
    for (fault, expected) in row.cells() {
        if expected == "-" {
            continue;
        }
        if fault == "wrong password" {
            wrong_password(row, expected, place).await;
            continue;
        }
        watched.says("healthy", secs(20), &format!("before {fault}")).await;
        block_in_place(|| begin(fault, row, place));
        let after = watched.says(expected, NOTICED, fault).await;
        sleep(if expected == "healthy" { millis(1500) } else { millis(300) }).await;
        // It stays so.
        watched.says(expected, secs(1), fault).await;
        watched.kept_deadlines();
        block_in_place(|| end(fault, place));
        let recovered = watched.says("healthy", RECOVERED, &format!("after {fault}")).await;
        println!("{} {fault}: {expected} after {after:.1?}, healthy after {recovered:.1?}", row.name);
    }
    watched.health.stop().await;
}

fn begin(fault: &str, row: Row, place: &mut Place) {
    match fault {
        "refused" => place.proxy.turns(Weather::Refused),
        "black hole" => place.proxy.turns(Weather::BlackHole),
        "frozen" => place.server.freeze(),
        // Nobody listens for a process that is gone.
        "killed" => {
            place.server.freeze();
            std::thread::sleep(millis(400));
            place.server.kill();
            place.proxy.turns(Weather::Refused);
        }
        "restarted" => {
            place.server.stop();
            place.proxy.turns(Weather::Refused);
        }
        "reset" => place.proxy.turns(Weather::Reset),
        "trickle" => place.proxy.turns(Weather::Trickle),
        _ => place.proxy.turns(Weather::Endless(row.endless.0, row.endless.1)),
    }
}

fn end(fault: &str, place: &mut Place) {
    match fault {
        "frozen" => place.server.thaw(),
        "killed" | "restarted" => place.server.run(),
        _ => {}
    }
    place.proxy.turns(Weather::Fair);
}

/// Wrong from the beginning, until the server takes it.
async fn wrong_password(row: Row, expected: &str, place: &mut Place) {
    let watched = Watched::start(row, place, false);
    let after = watched.says(expected, NOTICED, "wrong password").await;
    watched.kept_deadlines();
    // The client of NATS gives up for good once its password was refused.
    if row.name == "nats" {
        println!("{} wrong password: {expected} after {after:.1?}", row.name);
    } else {
        block_in_place(|| place.server.accept_password(WRONG));
        let recovered = watched.says("healthy", RECOVERED, "with the password accepted").await;
        println!("{} wrong password: {expected} after {after:.1?}, healthy after {recovered:.1?}", row.name);
        block_in_place(|| place.server.accept_password(right_password(row.name)));
    }
    watched.health.stop().await;
}

fn right_password(row: &str) -> &'static str {
    match row {
        "kafka" | "kafka_lag" => kafka::PASSWORD,
        "nats" => nats::PASSWORD,
        "postgres" => postgres::PASSWORD,
        "rabbitmq" | "rabbitmq_queue" => rabbitmq::PASSWORD,
        "redis" | "redis_queue" => redis::PASSWORD,
        "sqlx" => mariadb::PASSWORD,
        _ => service::TOKEN,
    }
}

/// Rounds of losses, and how many connections there were after the last.
async fn rounds(row: Row, place: &mut Place, watched: &Watched, count: usize) -> usize {
    for round in 0..count {
        for (fault, expected) in row.cells() {
            // Servers take their time to start: some rounds do without that, unless there is time for all.
            let goes_on = round % 5 != 0 && (!long() || row.name.starts_with("rabbitmq"));
            let skipped = fault == "wrong password" || goes_on && matches!(fault, "killed" | "restarted");
            if expected != "-" && !skipped {
                block_in_place(|| begin(fault, row, place));
                watched.says(expected, NOTICED, fault).await;
                block_in_place(|| end(fault, place));
                watched.says("healthy", RECOVERED, &format!("after {fault}")).await;
            }
        }
    }
    // What was given up is closed by tasks that may need a moment.
    let connections = || port::connections_to(place.proxy.port());
    let mut least = connections();
    for _ in 0..20 {
        sleep(millis(100)).await;
        least = least.min(connections());
    }
    least
}

/// How often lapin tried in vain to connect: once in every run that failed.
fn attempts_of_lapin<'a>(watched: impl Iterator<Item = &'a Watched>) -> usize {
    watched.filter(|watched| watched.row.name.starts_with("rabbitmq")).map(Watched::failed_runs).sum()
}

/// How many rounds come after the first two; `HEALTH_ROUNDS` says otherwise.
fn more_rounds() -> usize {
    let wanted = std::env::var("HEALTH_ROUNDS").ok().and_then(|text| text.parse().ok());
    wanted.unwrap_or(if long() { 198 } else { 8 })
}

/// What this process uses once it has no more threads than these, or once those that Tokio lent to this test's own
/// blocking calls have gone.
async fn settled(threads: usize) -> process::Usage {
    let began = Instant::now();
    while process::usage().threads > threads && began.elapsed() < secs(12) {
        sleep(millis(100)).await;
    }
    process::usage()
}

#[test]
#[ignore = "needs every server: tests/run"]
fn every_fault_has_its_reason_its_deadline_and_its_recovery() {
    // A thread of its own, because its mounts are: the runtime's threads come from it and see the same.
    let test = std::thread::spawn(|| {
        if rows().iter().any(|row| row.name == "dns") {
            name_server::ask(name_server::address(TEST), "use-vc");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(8).enable_all().build().unwrap();
        runtime.block_on(runtime.spawn(the_table())).unwrap();
    });
    if let Err(panic) = test.join() {
        std::panic::resume_unwind(panic);
    }
}

async fn the_table() {
    let places = at_once(rows(), |row| Box::pin(async move { (row, block_in_place(row.start)) })).await;
    let places = at_once(places, |(row, mut place)| {
        Box::pin(async move {
            every_fault(row, &mut place).await;
            (row, place)
        })
    })
    .await;

    // Again and again, and nothing grows.
    let subjects = places.into_iter().map(|(row, place)| (Watched::start(row, &place, true), place)).collect();
    let run = |count: usize| {
        move |(watched, mut place): (Watched, Place)| -> std::pin::Pin<Box<dyn Future<Output = _> + Send>> {
            Box::pin(async move {
                watched.says("healthy", secs(20), "before the rounds").await;
                let connections = rounds(watched.row, &mut place, &watched, count).await;
                (connections, (watched, place))
            })
        }
    };
    let first = at_once(subjects, run(2)).await;
    let before = settled(0).await;
    let attempts_before = attempts_of_lapin(first.iter().map(|(_, (watched, _))| watched));
    let mut connections: Vec<(&str, usize)> = first.iter().map(|(count, (it, _))| (it.row.name, *count)).collect();
    let subjects = first.into_iter().map(|(_, subject)| subject).collect();
    let last = at_once(subjects, run(more_rounds())).await;
    let after = settled(before.threads).await;
    let attempts = attempts_of_lapin(last.iter().map(|(_, (watched, _))| watched)) - attempts_before;
    println!("{before:?}, then {after:?}, after {attempts} attempts of lapin");
    for (count, (watched, _)) in &last {
        let name = watched.row.name;
        let at = connections.iter().position(|(known, _)| *known == name).unwrap();
        let (_, earlier) = connections.swap_remove(at);
        println!("{name}: {earlier} connections, then {count}");
        // One may still be closing; a leak would be one for each round at least.
        assert!(*count <= earlier + 1, "{name}: {earlier} connections became {count}");
    }
    assert!(after.threads <= before.threads, "{before:?} became {after:?}");
    // `tests/run` has the allocator give back at once what is freed; else it keeps the largest buffers of each thread.
    let allowed = (16 << 20) + attempts * LAPIN_KEEPS;
    assert!(after.resident <= before.resident + allowed, "{before:?} became {after:?}, and {allowed} are allowed");
    for (_, (watched, _)) in last {
        watched.health.stop().await;
    }
}

/// As fast as it can be read, for as long as the deadline lets it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs every server: tests/run"]
async fn an_endless_answer_at_full_speed_costs_bounded_memory() {
    // Any name server's answer fits into 64 KiB.
    let rows = rows().into_iter().filter(|row| row.name != "dns").collect();
    for (row, place) in at_once(rows, |row| Box::pin(async move { (row, block_in_place(row.start)) })).await {
        let watched = Watched::start(row, &place, true);
        watched.says("healthy", secs(20), "before the flood").await;
        process::forget_peak();
        let before = process::usage();
        block_in_place(|| place.proxy.turns(Weather::Flood(row.endless.0, row.endless.1)));
        sleep(TIMEOUT * 2).await;
        let peak = process::usage().peak.saturating_sub(before.resident);
        println!("{}: {} MiB at the peak", row.name, peak >> 20);
        // The client of Redis gathers a string until it is whole, so that only the deadline bounds it.
        let allowed = if row.name.starts_with("redis") { usize::MAX } else { 64 << 20 };
        assert!(peak < allowed, "{}: {peak} bytes", row.name);
        block_in_place(|| place.proxy.turns(Weather::Fair));
        watched.says("healthy", RECOVERED, "after the flood").await;
        watched.health.stop().await;
    }
}

/// What the tests call a reset is one.
#[tokio::test]
async fn the_proxys_reset_is_a_reset() {
    use std::io::{Read as _, Write as _};
    let server = std::net::TcpListener::bind(port::local(0)).unwrap();
    let proxy = Proxy::before(server.local_addr().unwrap().port());
    let echo = std::thread::spawn(move || {
        let (mut client, _) = server.accept().unwrap();
        let mut bytes = [0; 8];
        client.read_exact(&mut bytes).unwrap();
        let _ = client.write_all(&bytes);
        let _ = client.read(&mut bytes);
    });
    let mut client = std::net::TcpStream::connect(port::local(proxy.port())).unwrap();
    // Until the proxy has it.
    sleep(millis(50)).await;
    proxy.turns(Weather::Reset);
    client.write_all(b"01234567").unwrap();
    let mut answer = Vec::new();
    let end = client.read_to_end(&mut answer).unwrap_err();
    assert_eq!((answer.as_slice(), end.kind()), (b"012".as_slice(), std::io::ErrorKind::ConnectionReset));
    drop(client);
    echo.join().unwrap();
}

/// Every check that talks to something is in the table.
#[test]
fn every_networked_check_has_a_row() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../health-core/src/checks");
    let local = [
        "backlog",
        "blocking",
        "cgroup",
        "closure",
        "cpu",
        "disk_space",
        "error_rate",
        "file_descriptors",
        "gauge",
        "heartbeat",
        "latch",
        "limits",
        "memory",
        "mod",
        "pool",
        "pool_tests",
        "resolve",
        "runtime_lag",
        "spool_directory",
        "task_alive",
        "toggle",
        "upstream_document",
        "upstream_document_tests",
        "uptime",
    ];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(local.contains(&name) != ROWS.iter().any(|row| row.name == name), "{name}");
    }
}

/// The table, as the README shows it.
fn table() -> String {
    let mut text = format!("| check | {} |\n|{}\n", FAULTS.join(" | "), "---|".repeat(FAULTS.len() + 1));
    for row in ROWS {
        writeln!(text, "| `{}` | {} |", row.name, row.cells().map(|(_, said)| said).collect::<Vec<_>>().join(" | "))
            .unwrap();
    }
    text
}

#[test]
fn the_readme_shows_this_table() {
    assert!(ROWS.iter().all(|row| row.cells().count() == FAULTS.len()));
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    assert!(readme.contains(&table()), "the README does not have:\n{}", table());
}
