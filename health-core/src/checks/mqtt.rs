//! Checks an MQTT broker over the application's own rumqttc client. Green proves that the broker answers a request over
//! the live connection. It does not prove that the client may publish or subscribe.

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

/// The pause between two attempts to put a request into a full queue.
const PAUSE: Duration = Duration::from_millis(10);

/// The topic of the unsubscribe requests. The check never subscribes to it.
const TOPIC: &str = "health/never-subscribed";

/// Checks an MQTT broker by an unsubscribe request over the application's own client, of MQTT 3.1.1 or 5.
///
/// Green proves that the broker answers a request over the live connection. It does not prove that the client may
/// publish or subscribe, or that a message reaches a subscriber.
///
/// The check unsubscribes from `health/never-subscribed`, a topic without a subscription. Every broker must answer an
/// unsubscribe request. Nothing is published or stored, and no other client receives anything. Only the application can
/// read from the client's event loop. So the application passes each result of the loop to the [`MqttObserver`], in one
/// line of code.
///
/// - Least privilege: the right to connect. The check needs no right on any topic.
/// - While the client is not connected, the check sends nothing, and the reason is the reason of the client's last
///   failed attempt to connect. A refused connection is `unreachable`, a wrong password or client id is `rejected`, and
///   a busy broker of MQTT 5 is `saturated`. At most one request is under way, so that requests do not pile up in the
///   client's queue.
/// - A lost connection is not an outage until an attempt to reconnect has failed or the deadline has passed.
/// - If the event loop is not polled, or its results are not passed to the observer, the check is Unhealthy with
///   `timeout`. If all observers were dropped, the reason is `failed`. If the client's queue stays full, the reason is
///   `saturated`, because the application cannot send anything either.
/// - A broker that hangs is `timeout`. rumqttc closes such a connection after twice its `keep_alive`, which is 60 s
///   unless configured.
/// - Do not subscribe to `health/never-subscribed`, because each run of the check ends that subscription.
/// - With MQTT 5 rumqttc logs a warning in each run, from `rumqttc::v5::state`, because the broker answers that the
///   subscription does not exist.
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

/// Passes the results of a client's event loop to an [`Mqtt`] check. All clones belong to the same check. The check
/// fails once the last clone is dropped, because then the task that polls has ended or panicked.
#[derive(Clone)]
#[must_use = "an observer that is dropped at once fails its check"]
pub struct MqttObserver {
    tap: Arc<Tap>,
}

struct Tap {
    session: Arc<watch::Sender<Session>>,
}

impl Mqtt {
    /// Creates a check that sends its requests over this client of MQTT 3.1.1. Also returns the observer, which must
    /// receive each result of the client's event loop by [`observe`](MqttObserver::observe).
    pub fn new(client: AsyncClient) -> (Self, MqttObserver) {
        Self::over(Client::V4(client))
    }

    /// Creates a check that sends its requests over this client of MQTT 5. Also returns the observer, which must
    /// receive each result of the client's event loop by [`observe_v5`](MqttObserver::observe_v5).
    pub fn v5(client: v5::AsyncClient) -> (Self, MqttObserver) {
        Self::over(Client::V5(client))
    }

    fn over(client: Client) -> (Self, MqttObserver) {
        let session = Arc::new(watch::Sender::new(Session::new()));
        let tap = Arc::new(Tap { session: Arc::clone(&session) });
        (Self { client, session }, MqttObserver { tap })
    }

    /// Sends a request as soon as there is a connection, and waits for its answer.
    async fn ask(&self, is_full: &AtomicBool) -> Outcome {
        let mut session = self.session.subscribe();
        // The number of answered requests at the time at which this run put its own request into the queue.
        let mut asked_at: Option<u64> = None;
        loop {
            let (connection, is_asked, answers) = {
                let session = session.borrow_and_update();
                (session.connection.clone(), session.is_asked(), session.answers)
            };
            match connection {
                Connection::Up if asked_at.is_some_and(|before| answers > before) => return Outcome::healthy(),
                // A request of an earlier run must be answered first. Its answer does not count for this run.
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
                        "all observers of the client's event loop were dropped: the task that polls it has ended";
                    return Outcome::unhealthy(message).reason(Reason::Failed);
                }
                Connection::Up | Connection::Lost(_) | Connection::Unknown => {}
            }
            // This never fails, because `self` holds a sender.
            let _ = session.changed().await;
        }
    }

    /// Puts a request into the client's queue. Returns `false` if the queue is full. If another run has put a request
    /// in the meantime, returns `true` without a second one.
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

    /// Returns the outcome of a run that reached its deadline.
    fn timed_out(&self, is_full: bool) -> Outcome {
        let session = self.session.borrow();
        let (reason, message) = match &session.connection {
            Connection::Unknown => {
                let message = "no result of the client's event loop: poll it, and pass each result to the MqttObserver";
                (Reason::Timeout, message.to_owned())
            }
            Connection::Lost(Fault { message, .. }) => {
                (Reason::Timeout, format!("the connection was lost, and the client has not reconnected: {message}"))
            }
            Connection::Up if is_full && !session.is_asked() => {
                (Reason::Saturated, "the client's request queue is full".to_owned())
            }
            _ => (Reason::Timeout, "the broker did not answer in time".to_owned()),
        };
        Outcome::unhealthy(message).reason(reason)
    }
}

impl MqttObserver {
    /// Passes a result of the event loop of MQTT 3.1.1 to the check. Errors must be passed, too.
    pub fn observe(&self, polled: &Result<Event, ConnectionError>) {
        self.follow(events::of_v4(polled));
    }

    /// Passes a result of the event loop of MQTT 5 to the check. Errors must be passed, too.
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
         subscribe, or that a message reaches a subscriber."
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
