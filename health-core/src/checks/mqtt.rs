//! An MQTT broker over the application's own rumqttc client. Green proves that the broker answers a request over the
//! live connection; it does not prove that the client may publish or subscribe.

mod events;
mod session;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use rumqttc::{AsyncClient, ConnectionError, Event, v5};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use self::session::{Connection, Fault, Session};
use crate::{
    check::{Check, CheckResult, deadline::time_left, outcome::Outcome},
    model::status::Reason,
};

/// The deadline of a run outside the scheduler.
const DEFAULT_LIMIT: Duration = Duration::from_secs(2);

/// Between two attempts to put a question into a queue that is full.
const PAUSE: Duration = Duration::from_millis(10);

/// A topic that nobody subscribes to.
const TOPIC: &str = "health/never-subscribed";

/// Asks an MQTT broker over the application's own client, of MQTT 3.1.1 or 5. Needs the feature `mqtt`.
///
/// The check ends a subscription that does not exist, to `health/never-subscribed`, which every broker has to answer.
/// Nothing is published or stored, and no other client hears of it. What the client's event loop receives is the
/// application's alone, so the application hands each result to the [`MqttObserver`], in one line of its loop.
///
/// - Least privilege: to connect. No right on any topic is needed.
/// - While the client is not connected nothing is sent; the reason is that of its last attempt: refused is
///   `unreachable`, a wrong password or client id `rejected`, a broker of MQTT 5 that is busy `saturated`. One question
///   is under way at a time, so that none pile up in the client's queue.
/// - A connection that was lost is no outage until an attempt to connect anew has failed, or the deadline has passed.
/// - A loop that is not polled, or whose results are not handed over, is `timeout`; one whose observers were all
///   dropped is `failed`. A queue of the client's that stays full is `saturated`, Unhealthy: the application could send
///   nothing, either.
/// - A broker that hangs is `timeout`. rumqttc gives such a connection up after two of its `keep_alive`, 60 s each
///   unless configured.
/// - Do not subscribe to `health/never-subscribed`: each run would end that.
/// - Over MQTT 5 rumqttc writes a warning to the log in each run, from `rumqttc::v5::state`: the broker answers that
///   there is no such subscription.
///
/// ```no_run
/// use std::time::Duration;
/// use health_core::{Health, Mqtt};
/// use rumqttc::{AsyncClient, MqttOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), health_core::BuildError> {
/// let (client, mut event_loop) = AsyncClient::new(MqttOptions::new("orders", "broker.internal", 1883), 16);
/// let (mqtt, observer) = Mqtt::new(client.clone());
/// tokio::spawn(async move {
///     loop {
///         let polled = event_loop.poll().await;
///         observer.observe(&polled);
///         if polled.is_err() {
///             tokio::time::sleep(Duration::from_secs(1)).await;
///         }
///     }
/// });
/// let health = Health::builder().check("broker", mqtt).start()?;
/// # drop(health);
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Mqtt {
    client: Client,
    session: Arc<watch::Sender<Session>>,
}

enum Client {
    V4(AsyncClient),
    V5(v5::AsyncClient),
}

/// What tells an [`Mqtt`] check of the results of the client's event loop. Clones tell the same check; when the last
/// one is dropped, because the task that polls has ended or panicked, the check fails.
#[derive(Clone)]
#[must_use = "an observer that is dropped at once fails its check"]
pub struct MqttObserver {
    tap: Arc<Tap>,
}

struct Tap {
    session: Arc<watch::Sender<Session>>,
}

impl Mqtt {
    /// Asks over a client of MQTT 3.1.1. Hand each result of its event loop to the observer.
    pub fn new(client: AsyncClient) -> (Self, MqttObserver) {
        Self::over(Client::V4(client))
    }

    /// Asks over a client of MQTT 5. Hand each result of its event loop to the observer.
    pub fn v5(client: v5::AsyncClient) -> (Self, MqttObserver) {
        Self::over(Client::V5(client))
    }

    fn over(client: Client) -> (Self, MqttObserver) {
        let session = Arc::new(watch::Sender::new(Session::new()));
        let tap = Arc::new(Tap { session: Arc::clone(&session) });
        (Self { client, session }, MqttObserver { tap })
    }

    /// Asks as soon as there is a connection, and waits for the answer.
    async fn ask(&self, is_full: &AtomicBool) -> Outcome {
        let mut session = self.session.subscribe();
        // How many questions had been answered when this run put its own.
        let mut asked_at: Option<u64> = None;
        loop {
            let (connection, is_asked, answers) = {
                let session = session.borrow_and_update();
                (session.connection.clone(), session.is_asked(), session.answers)
            };
            match connection {
                Connection::Up if asked_at.is_some_and(|before| answers > before) => return Outcome::healthy(),
                // That of an earlier run must be answered first, and does not count.
                Connection::Up if !is_asked => {
                    if self.put() {
                        asked_at = Some(answers);
                    } else {
                        is_full.store(true, Ordering::Relaxed);
                        sleep(PAUSE).await;
                        continue;
                    }
                }
                Connection::Down(Fault { reason, message }) => return Outcome::unhealthy(message).reason(reason),
                Connection::Ended => {
                    let message =
                        "every observer of the client's event loop was dropped: the task that polls has ended";
                    return Outcome::unhealthy(message).reason(Reason::Failed);
                }
                Connection::Up | Connection::Lost(_) | Connection::Unknown => {}
            }
            // `self` has a sender.
            let _ = session.changed().await;
        }
    }

    /// Puts a question into the client's queue. Returns `false` if it has no room. A question that another run has put
    /// meanwhile serves as well.
    fn put(&self) -> bool {
        if !self.session.send_if_modified(Session::ask) {
            return true;
        }
        let is_put = match &self.client {
            Client::V4(client) => client.try_unsubscribe(TOPIC).is_ok(),
            Client::V5(client) => client.try_unsubscribe(TOPIC).is_ok(),
        };
        if !is_put {
            self.session.send_modify(Session::take_back);
        }
        is_put
    }

    /// The outcome of a run whose time is over.
    fn timed_out(&self, is_full: bool) -> Outcome {
        let session = self.session.borrow();
        let (reason, message) = match &session.connection {
            Connection::Unknown => {
                let message = "the client's event loop has told nothing: poll it, and hand each result to the observer";
                (Reason::Timeout, message.to_owned())
            }
            Connection::Lost(Fault { message, .. }) => {
                (Reason::Timeout, format!("the connection was lost, and there is no new one: {message}"))
            }
            Connection::Up if is_full && !session.is_asked() => {
                (Reason::Saturated, "the client's queue of requests is full".to_owned())
            }
            _ => (Reason::Timeout, "the broker gave no answer in time".to_owned()),
        };
        Outcome::unhealthy(message).reason(reason)
    }
}

impl MqttObserver {
    /// Takes a result of the event loop of MQTT 3.1.1, an error included.
    pub fn observe(&self, polled: &Result<Event, ConnectionError>) {
        self.follow(events::of_v4(polled));
    }

    /// Takes a result of the event loop of MQTT 5, an error included.
    pub fn observe_v5(&self, polled: &Result<v5::Event, v5::ConnectionError>) {
        self.follow(events::of_v5(polled));
    }

    fn follow(&self, event: Option<session::Event>) {
        if let Some(event) = event {
            self.tap.session.send_if_modified(|session| session.follow(event));
        }
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.session.send_if_modified(|session| session.follow(session::Event::Ended));
    }
}

#[async_trait]
impl Check for Mqtt {
    async fn check(&self) -> CheckResult {
        let limit = time_left().unwrap_or(DEFAULT_LIMIT);
        let patience = limit.saturating_sub(limit / 100);
        let is_full = AtomicBool::new(false);
        let outcome = timeout(patience, self.ask(&is_full)).await;
        Ok(outcome.unwrap_or_else(|_| self.timed_out(is_full.load(Ordering::Relaxed))))
    }

    fn proves(&self) -> &'static str {
        "The broker answers a request over the live connection. It does not prove that the client may publish or \
         subscribe, nor that anybody receives a message."
    }
}

impl fmt::Debug for Mqtt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mqtt").field("connection", &self.session.borrow().connection.name()).finish_non_exhaustive()
    }
}

impl fmt::Debug for MqttObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MqttObserver").finish_non_exhaustive()
    }
}
