//! One connection, from its first request to its end.

use std::{convert::Infallible, future::ready, net::SocketAddr, pin::pin, time::Duration};

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    select,
    sync::watch,
};

use crate::{limited::Limited, service::HealthService};

/// The maximum size of a request line with its headers, in bytes.
const LARGEST_REQUEST: usize = 128 << 10;

/// Serves a connection until its client or a time limit ends it. When `closing` changes, the connection ends after the
/// request in progress.
pub(crate) async fn serve_connection<S>(
    stream: S,
    peer: Option<SocketAddr>,
    service: HealthService,
    mut closing: watch::Receiver<()>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let answer =
        service_fn(move |request: Request<Incoming>| ready(Ok::<_, Infallible>(service.answer(&request, peer))));
    let connection = http1::Builder::new()
        // `Limited` enforces the time limits.
        .header_read_timeout(None::<Duration>)
        .max_buf_size(LARGEST_REQUEST)
        .serve_connection(Limited::new(stream), answer);
    let mut connection = pin!(connection);
    // Biased: requests that have arrived are answered first. An error means that the client disconnected, sent a
    // malformed request or took too long.
    select! {
        biased;
        _ = connection.as_mut() => return,
        _ = closing.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

#[cfg(test)]
mod tests {
    use health_core::Health;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        task::JoinHandle,
        time::{Instant, interval},
    };

    use super::*;

    const LIVE: &[u8] = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";

    /// Opens a connection that buffers `room` bytes in each direction. Returns the client's side, the task that serves
    /// the connection, and the sender that requests its end.
    fn connect(room: usize) -> (DuplexStream, JoinHandle<()>, watch::Sender<()>) {
        let service = HealthService::new(Health::builder().start().unwrap());
        let (client, server) = duplex(room);
        let closing = watch::Sender::new(());
        let task = tokio::spawn(serve_connection(server, None, service, closing.subscribe()));
        (client, task, closing)
    }

    /// Requests `/livez` on a connection that stays open, and returns the response.
    async fn live(client: &mut DuplexStream) -> String {
        client.write_all(LIVE).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\nok") {
            answer.push(client.read_u8().await.unwrap());
        }
        String::from_utf8(answer).unwrap()
    }

    /// Sends the requests on a new connection, and returns everything that the server sends until it closes.
    async fn answers(request: &str) -> String {
        let (mut client, task, _closing) = connect(1 << 16);
        // The server may close the connection before everything is sent.
        let _ = client.write_all(request.as_bytes()).await;
        let mut answers = String::new();
        client.read_to_string(&mut answers).await.unwrap();
        task.await.unwrap();
        answers
    }

    fn is_about(lasted: Duration, seconds: u64) -> bool {
        let expected = Duration::from_secs(seconds);
        (expected..expected + Duration::from_millis(100)).contains(&lasted)
    }

    #[tokio::test(start_paused = true)]
    async fn an_unfinished_request_is_cut_off_after_10_seconds_even_if_bytes_keep_arriving() {
        for begun in [&b""[..], b"G", b"GET /livez HTTP/1.1\r\nhost: "] {
            let (mut client, task, _closing) = connect(1 << 16);
            client.write_all(begun).await.unwrap();
            let began = Instant::now();
            task.await.unwrap();
            assert!(is_about(began.elapsed(), 10), "{:?} after {begun:?}", began.elapsed());
        }
        let (mut client, mut task, _closing) = connect(1 << 16);
        client.write_all(b"GET /livez HTTP/1.1\r\nx: ").await.unwrap();
        let (began, mut seconds) = (Instant::now(), interval(Duration::from_secs(1)));
        loop {
            select! {
                ended = &mut task => break ended.unwrap(),
                _ = seconds.tick() => drop(client.write_all(b"x").await),
            }
        }
        assert!(is_about(began.elapsed(), 10), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_kept_for_75_seconds_after_each_request() {
        let (mut client, task, _closing) = connect(1 << 16);
        for _ in 0..3 {
            assert!(!live(&mut client).await.contains("connection: close"));
            tokio::time::sleep(Duration::from_secs(70)).await;
        }
        live(&mut client).await;
        let began = Instant::now();
        task.await.unwrap();
        assert!(is_about(began.elapsed(), 75), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_unread_response_is_cut_off_after_30_seconds() {
        let (mut client, task, _closing) = connect(16);
        client.write_all(LIVE).await.unwrap();
        let began = Instant::now();
        task.await.unwrap();
        assert!(is_about(began.elapsed(), 30), "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_closing_connection_ends_after_the_request_in_progress() {
        let began = Instant::now();
        // Closed before the first request, and between two requests.
        let (_client, task, closing) = connect(1 << 16);
        closing.send_replace(());
        task.await.unwrap();
        let (mut client, task, closing) = connect(1 << 16);
        live(&mut client).await;
        closing.send_replace(());
        task.await.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO);

        let (mut client, task, closing) = connect(1 << 16);
        let (begin, rest) = LIVE.split_at(20);
        client.write_all(begin).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        closing.send_replace(());
        tokio::time::sleep(Duration::from_secs(1)).await;
        client.write_all(rest).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("connection: close\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
        task.await.unwrap();
    }

    #[tokio::test]
    async fn each_method_gets_its_response_and_a_malformed_request_gets_a_400() {
        let close = "HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let answer = answers(&format!("HEAD /livez {close}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(answer.contains("content-length: 2\r\n"), "{answer}");
        let answer = answers(&format!("OPTIONS /livez {close}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("content-length: 0\r\n"), "{answer}");
        let answer = answers(&format!("DELETE /livez {close}")).await;
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        let answer = answers(&format!("GET /elsewhere {close}")).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
        let row = String::from_utf8_lossy(LIVE).repeat(9) + &format!("GET /livez {close}");
        assert_eq!(answers(&row).await.matches("HTTP/1.1 200 OK").count(), 10);
        let answer = answers("\u{1}nonsense\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        let answer = answers(&format!("GET /{} {close}", "x".repeat(300 << 10))).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
}
