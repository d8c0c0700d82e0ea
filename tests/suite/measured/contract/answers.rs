//! No request waits for a check. While the dependency hangs until every deadline, answers take about as long as those
//! of a bare server at the same moment.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use health_core::{CheckExt as _, Endpoint, Health, testing::scripted};
use health_tests::{
    bare_clock::{BareClock, measure},
    mount::{Form, Framework, serve},
    port,
    support::{millis, secs},
    wait::HANG,
};

const ASKED: usize = 300;
/// The limit for the average duration of an answer, as a multiple of that of a bare server, whose answers are constant
/// bytes. An answer that waited for a check would take thousands of times as long.
const AT_MOST: u32 = 30;

/// Sends requests over two kept connections alternately, and returns the average duration of the answers of each.
fn ask_in_turn(ours: SocketAddr, bare: SocketAddr) -> (Duration, Duration) {
    let connect = |address| {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(HANG)).unwrap();
        stream
    };
    let (mut ours, mut bare) = (connect(ours), connect(bare));
    let took = |stream: &mut TcpStream| {
        let began = Instant::now();
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut bytes = [0; 4096];
        let mut length = 0;
        while !bytes[..length].ends_with(b"ok") && !bytes[..length].ends_with(b"failed\n") {
            let count = stream.read(&mut bytes[length..]).unwrap();
            assert!(count > 0, "the server closed the connection");
            length += count;
        }
        began.elapsed()
    };
    let mut sums = (Duration::ZERO, Duration::ZERO);
    for _ in 0..ASKED {
        sums.0 += took(&mut ours);
        sums.1 += took(&mut bare);
        thread::sleep(millis(2));
    }
    let count = u32::try_from(ASKED).unwrap();
    (sums.0 / count, sums.1 / count)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_waits_for_a_hanging_check() {
    let listener = TcpListener::bind(port::local(0)).unwrap();
    let bare = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                stream.set_nodelay(true).unwrap();
                while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
                }
            });
        }
    });
    let clock = BareClock::start();
    for framework in Framework::ALL {
        let (check, prompter) = scripted();
        let check = check.every(millis(100)).recheck(millis(100)).timeout(secs(60)).max_age(millis(10));
        let health = Health::builder().check("database", check).start().unwrap();
        assert!(health.ready().await);
        // The next run hangs, and does not end during the test.
        prompter.hang();
        let before = prompter.runs();
        health_tests::wait::true_of("a run that hangs", || prompter.runs() > before).await;
        let server = serve(framework, Form::Routes, Endpoint::from(health.clone()));
        let step = async || tokio::task::block_in_place(|| ask_in_turn(server.address, bare));
        let (ours, bare) = measure("answers", &clock, step, |(ours, bare)| {
            assert!(*ours < *bare * AT_MOST, "{framework:?}: {ours:?} on average, a bare server {bare:?}");
        })
        .await;
        println!("{framework:?}: {ours:?} on average, a bare server {bare:?}");
        drop(server);
        health.stop().await;
    }
}
