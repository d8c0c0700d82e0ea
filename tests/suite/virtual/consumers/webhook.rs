//! Changes as JSON, posted to receivers in this process that accept, refuse, hang, redirect or are absent. Tokio's
//! clock is held while requests are in flight, and the test moves it, so the moment of each notice is exact.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Redirect, Response},
    routing::post,
};
use health_core::{
    CheckExt as _, Health, Lifecycle, Outcome, Probe, Reason, Status, Toggle, ToggleCheck, Visibility, Webhook,
    check_fn,
};
use health_tests::{
    port,
    support::{Lines, StandingClock, client, millis, secs},
    wait,
};
use serde_json::{Value, json};
use tokio::time::Instant;

/// The notices that a receiver has got, and its next answers. Without a next answer it answers 200.
#[derive(Clone, Default)]
struct Receiver {
    told: Arc<Mutex<Vec<(Instant, Value)>>>,
    headers: Arc<Mutex<Vec<HeaderMap>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

#[derive(Clone, Copy)]
enum Answer {
    Code(u16),
    RetryAfter(&'static str),
    Redirect(u16),
    Hang,
    /// Accepts the notice, but the body of the answer never ends.
    HangingBody,
}

impl Receiver {
    async fn start() -> (Self, String) {
        let listener = tokio::net::TcpListener::bind(port::local(0)).await.unwrap();
        Self::on(listener)
    }

    fn on(listener: tokio::net::TcpListener) -> (Self, String) {
        let receiver = Self::default();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let elsewhere = axum::routing::get(|| async { "no hook" });
        let app = Router::new()
            .route("/hook", post(take))
            .route("/elsewhere", post(take))
            .route("/login", elsewhere)
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (receiver, url)
    }

    fn answers(&self, answers: &[Answer]) {
        self.answers.lock().unwrap().extend(answers);
    }

    fn told(&self) -> Vec<Value> {
        self.told.lock().unwrap().iter().map(|(_, told)| told.clone()).collect()
    }

    fn moments(&self) -> Vec<Instant> {
        self.told.lock().unwrap().iter().map(|(at, _)| *at).collect()
    }

    /// Waits for this number of notices while the clock is held.
    async fn hears(&self, number: usize) -> Vec<Value> {
        wait::done(&format!("{number} notices"), async || {
            let told = self.told();
            if told.len() >= number { Ok(told) } else { Err(told) }
        })
        .await
    }

    /// Moves the clock until this number of notices has arrived.
    async fn hears_in_time(&self, number: usize, clock: &StandingClock) -> Vec<Value> {
        in_time(clock, || self.told().len() >= number).await;
        self.told()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    receiver.headers.lock().unwrap().push(headers);
    receiver.told.lock().unwrap().push((Instant::now(), serde_json::from_slice(&body).unwrap()));
    let answer = receiver.answers.lock().unwrap().pop_front();
    match answer {
        None => StatusCode::OK.into_response(),
        Some(Answer::Code(code)) => StatusCode::from_u16(code).unwrap().into_response(),
        Some(Answer::RetryAfter(time)) => {
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, time)]).into_response()
        }
        Some(Answer::Redirect(303)) => Redirect::to("/login").into_response(),
        Some(Answer::Redirect(_)) => Redirect::temporary("/elsewhere").into_response(),
        Some(Answer::Hang) => std::future::pending().await,
        Some(Answer::HangingBody) => [(header::CONTENT_LENGTH, "5")].into_response(),
    }
}

/// Moves the clock in steps, with real time in between for requests in flight, until the condition holds.
async fn in_time(clock: &StandingClock, mut is: impl FnMut() -> bool) {
    wait::done("the condition of the test", async || {
        if is() {
            return Ok(());
        }
        clock.advance(millis(10)).await;
        Err("not yet")
    })
    .await;
}

/// Stops the service and moves the clock meanwhile, with real time in between for the last notices.
async fn stopped(health: &Health, clock: &StandingClock) {
    tokio::select! {
        () = health.stop() => {}
        () = in_time(clock, || false) => {}
    }
}

fn switch(toggle: &Toggle) -> health_core::Registration {
    let check: ToggleCheck = toggle.check();
    check.every(millis(50)).recheck(millis(50))
}

async fn watched(toggle: &Toggle) -> Health {
    let health = Health::builder().service("orders").version("1.4.2").check("switch", switch(toggle)).start().unwrap();
    assert!(health.ready().await);
    health
}

fn to(url: &str) -> Webhook {
    Webhook::post(client(), url).unwrap().minimum_gap(millis(300))
}

fn statuses(told: &Value) -> Vec<(&str, &str)> {
    let changes = told["changes"].as_array().unwrap();
    changes.iter().map(|it| (it["from"].as_str().unwrap_or(""), it["to"].as_str().unwrap())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_change_is_sent_at_once_and_a_deploy_sends_nothing() {
    let clock = StandingClock::hold();
    let (receiver, url) = Receiver::start().await;
    let toggle = Toggle::new();
    let health = Health::builder().service("orders").version("1.4.2").check("switch", switch(&toggle)).start().unwrap();
    health.publish(to(&url).header("authorization", "Bearer t0ken"));
    assert!(health.ready().await);
    clock.advance(secs(2)).await;
    toggle.unhealthy("maintenance by password=hunter2");
    health.refresh("switch").await.unwrap();
    // The notice arrives at once, because the clock is held. It is the first one: a first result that is healthy is no
    // change.
    let mut told = receiver.hears(1).await.remove(0);
    for at in ["/at", "/changes/0/at"] {
        assert!(told.pointer(at).unwrap().as_str().unwrap().ends_with('Z'), "{told}");
        *told.pointer_mut(at).unwrap() = json!("now");
    }
    let expected = json!({
        "event": "change", "at": "now", "service": "orders", "status": "unhealthy", "cause": "switch maintenance",
        "lifecycle": "ready", "missed": 0,
        "changes": [{"check": "switch", "from": "healthy", "to": "unhealthy", "reason": "maintenance", "at": "now"}],
    });
    assert_eq!(told, expected);
    let headers = receiver.headers.lock().unwrap()[0].clone();
    assert_eq!(
        (&headers["content-type"], &headers["authorization"]),
        (&"application/json".parse().unwrap(), &"Bearer t0ken".parse().unwrap())
    );

    toggle.healthy();
    health.refresh("switch").await.unwrap();
    let told = receiver.hears_in_time(2, &clock).await.remove(1);
    assert_eq!((statuses(&told), &told["status"]), (vec![("unhealthy", "healthy")], &json!("healthy")));
    assert!(told.get("cause").is_none(), "{told}");
    tokio::join!(health.drain(millis(400)), clock.advance(secs(1)));
    stopped(&health, &clock).await;
    assert_eq!(receiver.told().len(), 2, "the lifecycle sends no notice");
}

#[tokio::test(start_paused = true)]
async fn changes_within_the_minimum_gap_are_sent_together() {
    let clock = StandingClock::hold();
    let (receiver, url) = Receiver::start().await;
    let toggle = Toggle::new();
    let health = watched(&toggle).await;
    health.publish(to(&url).minimum_gap(secs(2)));
    toggle.unhealthy("x");
    health.refresh("switch").await.unwrap();
    receiver.hears(1).await;
    for _ in 0..3 {
        toggle.unhealthy("x");
        health.refresh("switch").await.unwrap();
        toggle.healthy();
        health.refresh("switch").await.unwrap();
    }
    clock.advance(millis(1_980)).await;
    let told = receiver.hears_in_time(2, &clock).await;
    let all: Vec<_> = told.iter().flat_map(statuses).collect();
    assert_eq!(all, [("healthy", "unhealthy"), ("unhealthy", "healthy")].repeat(3));
    assert_eq!(told[0]["changes"].as_array().unwrap().len(), 1);
    let moments = receiver.moments();
    assert!(moments[1] - moments[0] >= millis(1_990), "{:?}", moments[1] - moments[0]);
    clock.advance(secs(5)).await;
    stopped(&health, &clock).await;
    assert_eq!(receiver.told().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_failure_is_sent_once_and_a_removed_check_counts_as_healthy() {
    let clock = StandingClock::hold();
    let (receiver, url) = Receiver::start().await;
    let toggle = Toggle::new();
    toggle.unhealthy("x");
    let health = Health::builder()
        .check("switch", switch(&toggle))
        .check("fine", check_fn(|| async { Ok(()) }))
        .start()
        .unwrap();
    health.refresh("switch").await.unwrap();
    health.publish(to(&url));
    let told = receiver.hears(1).await.remove(0);
    assert_eq!(statuses(&told), [("", "unhealthy")]);
    // The same holds for a check that is inserted later and begins as Degraded.
    health.insert("later", check_fn(|| async { Ok(Outcome::degraded("y").reason(Reason::Slow)) }).optional()).unwrap();
    let told = receiver.hears_in_time(2, &clock).await.remove(1);
    assert_eq!(told["changes"][0]["check"], "later");
    assert_eq!((statuses(&told), &told["cause"]), (vec![("", "degraded")], &json!("switch maintenance")));
    health.remove("later").unwrap();
    let told = receiver.hears_in_time(3, &clock).await.remove(2);
    assert_eq!((statuses(&told), &told["changes"][0]["check"]), (vec![("degraded", "healthy")], &json!("later")));
    stopped(&health, &clock).await;
    assert_eq!(receiver.told().len(), 3);
}

/// A notice leaves out a check that has not run yet. A check that its dependency held back is sent, too.
#[tokio::test(start_paused = true)]
async fn a_check_counts_only_from_its_first_run() {
    let clock = StandingClock::hold();
    let (receiver, url) = Receiver::start().await;
    let (least, status_url) = Receiver::start().await;
    let toggle = Toggle::new();
    toggle.unhealthy("x");
    let slow = || async {
        tokio::time::sleep(millis(700)).await;
        Ok(())
    };
    let health = Health::builder()
        .check("slow", check_fn(slow))
        .check("cache", check_fn(|| async { Ok(Outcome::degraded("y")) }).optional())
        .start()
        .unwrap();
    health.publish(to(&url).minimum_gap(millis(10)).every(secs(60)));
    health.publish(to(&status_url).minimum_gap(millis(10)).visibility(Visibility::Status));
    let told = receiver.hears(1).await.remove(0);
    assert_eq!((&told["status"], &told["cause"]), (&json!("degraded"), &json!("cache failed")), "{told}");
    least.hears(1).await;
    in_time(&clock, || health.status(Probe::Readiness) < Status::Unhealthy).await;
    clock.advance(millis(1_200)).await;
    let statuses_told: Vec<_> = least.told().iter().map(|told| told["status"].clone()).collect();
    assert_eq!(statuses_told, ["degraded"], "a start is no outage");
    let told = receiver.told();
    assert!(told.iter().all(|told| told["status"] == "degraded"), "{told:#?}");
    health.insert("switch", switch(&toggle)).unwrap();
    health.refresh("switch").await.unwrap();
    let runs = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&runs);
    let dependant = check_fn(move || {
        *counted.lock().unwrap() += 1;
        async { Ok(()) }
    });
    health.insert("dependant", dependant.depends_on("switch")).unwrap();
    let is_told = async |check: &str, to: &str| {
        in_time(&clock, || {
            let told = receiver.told();
            let changes = told.iter().flat_map(|told| told["changes"].as_array().unwrap());
            let last = changes.rev().find(|it| it["check"] == check);
            last.is_some_and(|it| it["to"] == to)
        })
        .await;
    };
    is_told("switch", "unhealthy").await;
    is_told("dependant", "unhealthy").await;
    toggle.healthy();
    health.refresh("switch").await.unwrap();
    is_told("dependant", "healthy").await;
    stopped(&health, &clock).await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_delivery_is_retried_together_with_later_changes() {
    let clock = StandingClock::hold();
    let (receiver, url) = Receiver::start().await;
    receiver.answers(&[Answer::Code(500), Answer::RetryAfter("3"), Answer::HangingBody]);
    let toggle = Toggle::new();
    let health = watched(&toggle).await;
    health.publish(to(&url));
    toggle.unhealthy("x");
    health.refresh("switch").await.unwrap();
    receiver.hears(1).await;
    toggle.healthy();
    health.refresh("switch").await.unwrap();
    let told = receiver.hears_in_time(3, &clock).await;
    assert_eq!(statuses(&told[0]), [("healthy", "unhealthy")]);
    for again in &told[1..] {
        assert_eq!(statuses(again), [("healthy", "unhealthy"), ("unhealthy", "healthy")]);
        assert_eq!((&again["status"], &again["missed"]), (&json!("healthy"), &json!(0)));
    }
    let moments = receiver.moments();
    let pauses: Vec<_> = moments.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (pause, (least, most)) in pauses.iter().zip([(900, 2_500), (3_000, 5_000)]) {
        assert!((millis(least)..millis(most)).contains(pause), "{pauses:?}");
    }
    clock.advance(secs(30)).await;
    stopped(&health, &clock).await;
    assert_eq!(receiver.told().len(), 3, "the last notice was accepted, although its answer never ends");
}

/// The answers 429, 404 and 401 may change without a change of the notice, such as when a route is deployed later.
#[tokio::test(start_paused = true)]
async fn temporary_refusals_are_retried() {
    let clock = StandingClock::hold();
    let (receiver, url) = Receiver::start().await;
    receiver.answers(&[Answer::Code(429), Answer::Code(404), Answer::Code(401)]);
    let toggle = Toggle::new();
    let health = watched(&toggle).await;
    health.publish(to(&url));
    toggle.unhealthy("x");
    health.refresh("switch").await.unwrap();
    for told in receiver.hears_in_time(4, &clock).await {
        assert_eq!((statuses(&told), &told["missed"]), (vec![("healthy", "unhealthy")], &json!(0)));
    }
    stopped(&health, &clock).await;
}

#[tokio::test(start_paused = true)]
async fn permanent_refusals_are_counted_and_not_retried() {
    let clock = StandingClock::hold();
    let (receiver, url) = Receiver::start().await;
    receiver.answers(&[Answer::Code(400), Answer::Redirect(303), Answer::Redirect(307)]);
    let toggle = Toggle::new();
    let health = watched(&toggle).await;
    health.publish(to(&url));
    // The client follows the redirect 307 to a route that accepts the notice, which still counts as refused.
    for (unhealthy, heard) in [(true, 1), (false, 2), (true, 4)] {
        if unhealthy {
            toggle.unhealthy("x");
        } else {
            toggle.healthy();
        }
        health.refresh("switch").await.unwrap();
        receiver.hears_in_time(heard, &clock).await;
    }
    toggle.healthy();
    health.refresh("switch").await.unwrap();
    let told = receiver.hears_in_time(5, &clock).await.remove(4);
    assert_eq!((statuses(&told), &told["missed"]), (vec![("unhealthy", "healthy")], &json!(3)));
    stopped(&health, &clock).await;
    assert_eq!(receiver.told().len(), 5, "no notice was sent again");
}

#[tokio::test(start_paused = true)]
async fn any_duration_is_accepted_and_a_header_replaces_its_earlier_value() {
    let clock = StandingClock::hold();
    let (receiver, url) = Receiver::start().await;
    let health = watched(&Toggle::new()).await;
    let endless = Duration::MAX;
    let webhook = to(&url).minimum_gap(endless).every(endless).timeout(endless).header("content-type", "text/x-ours");
    health.publish(webhook.header("x-token", "a").header("x-token", "b"));
    health.publish(to(&url).every(Duration::ZERO).minimum_gap(Duration::ZERO).timeout(secs(1)).pings_only());
    receiver.hears_in_time(3, &clock).await;
    let headers = receiver.headers.lock().unwrap().clone();
    let first = headers.iter().find(|it| it.contains_key("x-token")).unwrap();
    let all = |name: &str| first.get_all(name).iter().map(|it| it.to_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!((all("content-type"), all("x-token")), (vec!["text/x-ours".to_owned()], vec!["b".to_owned()]));
    stopped(&health, &clock).await;
}

#[tokio::test(start_paused = true)]
async fn an_absent_receiver_gets_changes_later_and_dropped_changes_are_counted() {
    let clock = StandingClock::hold();
    let address = port::local(port::free());
    let toggle = Toggle::new();
    let health = watched(&toggle).await;
    health.publish(to(&format!("http://{address}/hook")));
    for _ in 0..70 {
        toggle.unhealthy("x");
        health.refresh("switch").await.unwrap();
        toggle.healthy();
        health.refresh("switch").await.unwrap();
    }
    let (receiver, _) = Receiver::on(tokio::net::TcpListener::bind(address).await.unwrap());
    let told = receiver.hears_in_time(1, &clock).await.remove(0);
    assert_eq!((statuses(&told).len(), &told["missed"]), (100, &json!(40)));
    assert_eq!(statuses(&told)[99], ("unhealthy", "healthy"));
    stopped(&health, &clock).await;
}

#[tokio::test(start_paused = true)]
async fn a_hanging_receiver_delays_nothing() {
    let clock = StandingClock::hold();
    let (receiver, url) = Receiver::start().await;
    receiver.answers(&[Answer::Hang; 100]);
    let toggle = Toggle::new();
    let health = watched(&toggle).await;
    for _ in 0..20 {
        health.publish(to(&url).timeout(secs(2)).every(secs(1)));
    }
    toggle.unhealthy("x");
    health.refresh("switch").await.unwrap();
    receiver.hears(20).await;
    let runs = || health.report().checks()[0].history().totals().durations().count();
    let before = runs();
    clock.advance(secs(1)).await;
    assert!(runs() - before >= 15, "{} runs in a second at an interval of 50 ms", runs() - before);
    // Changes during a hanging request are kept and sent after it.
    toggle.healthy();
    health.refresh("switch").await.unwrap();
    receiver.answers.lock().unwrap().clear();
    let both = |told: &Value| statuses(told).len() == 2;
    in_time(&clock, || receiver.told().iter().any(both)).await;
    assert_eq!(receiver.told().into_iter().find(both).unwrap()["status"], "healthy");
    receiver.answers(&[Answer::Hang; 100]);
    let before = receiver.told().len();
    toggle.unhealthy("x");
    health.refresh("switch").await.unwrap();
    receiver.hears_in_time(before + 1, &clock).await;
    let began = Instant::now();
    stopped(&health, &clock).await;
    assert!(began.elapsed() < millis(2_500), "stopping took {:?}", began.elapsed());
}

/// A hanging attempt does not prevent the last attempt for the changes that came after it.
#[tokio::test(start_paused = true)]
async fn changes_during_a_hanging_attempt_have_a_last_attempt_at_stop() {
    let clock = StandingClock::hold();
    let (receiver, url) = Receiver::start().await;
    receiver.answers(&[Answer::Hang]);
    let toggle = Toggle::new();
    let health = watched(&toggle).await;
    health.publish(to(&url));
    toggle.unhealthy("x");
    health.refresh("switch").await.unwrap();
    receiver.hears(1).await;
    toggle.healthy();
    health.refresh("switch").await.unwrap();
    stopped(&health, &clock).await;
    let told = receiver.told();
    let both = [("healthy", "unhealthy"), ("unhealthy", "healthy")];
    assert!(told.get(1).is_some_and(|told| statuses(told) == both), "{told:#?}");
}

#[tokio::test(start_paused = true)]
async fn waiting_changes_have_a_last_attempt_at_stop() {
    let clock = StandingClock::hold();
    let (receiver, url) = Receiver::start().await;
    let toggle = Toggle::new();
    let health = watched(&toggle).await;
    health.publish(to(&url).minimum_gap(secs(60)));
    toggle.unhealthy("x");
    health.refresh("switch").await.unwrap();
    receiver.hears(1).await;
    toggle.healthy();
    health.refresh("switch").await.unwrap();
    clock.advance(secs(59)).await;
    assert_eq!(receiver.told().len(), 1, "the minimum gap has not passed");
    stopped(&health, &clock).await;
    let told = receiver.told();
    assert_eq!(told.len(), 2, "stop waits for the last attempt");
    assert_eq!((statuses(&told[1]), &told[1]["lifecycle"]), (vec![("unhealthy", "healthy")], &json!("stopped")));
    assert_eq!(told[1]["status"], "healthy", "stopping changes no status");
}

#[tokio::test(start_paused = true)]
async fn a_ping_carries_the_status_and_stops_while_liveness_fails() {
    let clock = StandingClock::hold();
    let (receiver, url) = Receiver::start().await;
    let (pinged, ping_url) = Receiver::start().await;
    let (toggle, life) = (Toggle::new(), Toggle::new());
    let health = Health::builder()
        .check("switch", switch(&toggle))
        .check("alive", switch(&life).local().liveness())
        .start()
        .unwrap();
    health.publish(to(&url).minimum_gap(secs(3)).every(secs(1)));
    health.publish(to(&ping_url).every(secs(1)).pings_only());
    let told = receiver.hears_in_time(3, &clock).await;
    assert!(told.iter().all(|it| it["event"] == "ping" && it["status"] == "healthy"), "{told:#?}");
    let moments = receiver.moments();
    assert!((millis(900)..millis(1_900)).contains(&(moments[2] - moments[1])), "{:?}", moments[2] - moments[1]);
    // A ping does not delay a change, and the minimum gap does not apply to pings.
    toggle.unhealthy("x");
    health.refresh("switch").await.unwrap();
    // The change arrives at once, because the clock is held.
    receiver.hears(4).await;
    let told = receiver.hears_in_time(5, &clock).await;
    let events: Vec<_> = told.iter().skip(3).map(|it| (&it["event"], &it["status"])).collect();
    assert_eq!(events, [(&json!("change"), &json!("unhealthy")), (&json!("ping"), &json!("unhealthy"))]);
    life.unhealthy("y");
    health.refresh("alive").await.unwrap();
    // The other webhook sends the change, and from then on no ping arrives.
    let before = receiver.told().len();
    receiver.hears_in_time(before + 1, &clock).await;
    let before = pinged.told().len();
    clock.advance(millis(2_500)).await;
    assert_eq!(pinged.told().len(), before, "no ping while liveness fails");
    life.healthy();
    health.refresh("alive").await.unwrap();
    pinged.hears_in_time(before + 1, &clock).await;
    let told = pinged.told();
    assert!(told.iter().all(|it| it["event"] == "ping" && it["changes"] == json!([])), "{told:#?}");
    stopped(&health, &clock).await;
}

/// A change is sent although an earlier ping carried the same status.
#[tokio::test(start_paused = true)]
async fn a_ping_does_not_replace_a_change_at_visibility_status() {
    let clock = StandingClock::hold();
    let (receiver, url) = Receiver::start().await;
    let toggle = Toggle::new();
    let health = watched(&toggle).await;
    health.publish(to(&url).visibility(Visibility::Status).every(secs(1)).minimum_gap(secs(3)));
    receiver.hears(1).await;
    toggle.unhealthy("x");
    health.refresh("switch").await.unwrap();
    receiver.hears(2).await;
    toggle.healthy();
    health.refresh("switch").await.unwrap();
    let told = receiver.hears_in_time(6, &clock).await;
    let changes = told.iter().filter(|told| told["event"] == "change").map(|told| &told["status"]);
    assert_eq!(changes.collect::<Vec<_>>(), ["unhealthy", "healthy"], "{told:#?}");
    stopped(&health, &clock).await;
}

#[tokio::test(start_paused = true)]
async fn each_visibility_has_its_members_and_body_with_replaces_the_body() {
    let clock = StandingClock::hold();
    let (receivers, toggle) =
        ([Receiver::start().await, Receiver::start().await, Receiver::start().await], Toggle::new());
    let health = Health::builder()
        .service("orders")
        .version("1.4.2")
        .secret("s3cr3t-of-ours")
        .check("switch", switch(&toggle))
        .check("other", check_fn(|| async { Ok(()) }).optional())
        .start()
        .unwrap();
    assert!(health.ready().await);
    let [(least, a), (most, b), (chat, c)] = &receivers;
    health.publish(to(a).visibility(Visibility::Status));
    health.publish(to(b).visibility(Visibility::Full));
    let calls = Arc::new(Mutex::new(0));
    let body = move |notice: &health_core::Notice| {
        *calls.lock().unwrap() += 1;
        assert!(*calls.lock().unwrap() > 1, "the first call panics");
        json!({"text": format!("{} {} {:?}", notice.status, notice.cause, notice.lifecycle == Lifecycle::Ready)})
    };
    health.publish(to(c).body_with(body));
    toggle.unhealthy("with s3cr3t-of-ours");
    health.refresh("switch").await.unwrap();
    let told = least.hears(1).await.remove(0);
    let mut keys: Vec<_> = told.as_object().unwrap().keys().cloned().collect();
    keys.sort_unstable();
    assert_eq!(keys, ["at", "changes", "event", "lifecycle", "missed", "service", "status"]);
    assert_eq!((&told["status"], &told["changes"]), (&json!("unhealthy"), &json!([])));
    let told = most.hears(1).await.remove(0);
    assert_eq!((&told["version"], &told["changes"][0]["message"]), (&json!("1.4.2"), &json!("with ***")));
    clock.advance(millis(350)).await;
    toggle.healthy();
    health.refresh("switch").await.unwrap();
    assert_eq!(chat.hears_in_time(1, &clock).await, [json!({"text": "healthy  true"})]);
    most.hears_in_time(2, &clock).await;
    least.hears_in_time(2, &clock).await;
    // At the visibility Status, a change sends nothing if the status of the service stays the same.
    health.insert("slow", check_fn(|| async { Ok(Outcome::unhealthy("z")) }).optional().report_only()).unwrap();
    most.hears_in_time(3, &clock).await;
    let told = least.hears_in_time(3, &clock).await;
    assert_eq!((&told[1]["status"], &told[2]["status"]), (&json!("healthy"), &json!("degraded")));
    health.insert("slower", check_fn(|| async { Ok(Outcome::unhealthy("z")) }).optional().report_only()).unwrap();
    most.hears_in_time(4, &clock).await;
    clock.advance(millis(400)).await;
    assert_eq!(health.report().check("slower").unwrap().status(), Status::Unhealthy);
    stopped(&health, &clock).await;
    assert_eq!(least.told().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_url_is_in_no_output() {
    let clock = StandingClock::hold();
    let lines = Lines::default();
    let _logging = tracing::dispatcher::set_default(&lines.logging());
    let toggle = Toggle::new();
    toggle.unhealthy("x");
    let health = Health::builder().check("switch", switch(&toggle)).start().unwrap();
    let closed = port::local(port::free());
    let (receiver, url) = Receiver::start().await;
    receiver.answers(&[Answer::Redirect(303), Answer::Code(500)]);
    for url in [format!("http://app:s3cr3t@{closed}/s3cr3t?token=s3cr3t"), format!("{url}?token=s3cr3t")] {
        let webhook = to(&url).header("authorization", "s3cr3t").header("not a name", "s3cr3t");
        assert!(!format!("{webhook:?}").contains("s3cr3t"), "{webhook:?}");
        health.publish(webhook);
    }
    for url in ["s3cr3t", "ftp://s3cr3t@host/", "http://"] {
        let error = Webhook::post(client(), url).unwrap_err().to_string();
        assert!(error.contains("http://") && !error.contains("s3cr3t"), "{error}");
    }
    receiver.hears(1).await;
    in_time(&clock, || lines.text().contains("redirects") && lines.text().contains("unreachable")).await;
    stopped(&health, &clock).await;
    let log = lines.text();
    for words in ["header(", "delivery failed", "unreachable", "redirects", "delivery refused", "before all changes"] {
        assert!(log.contains(words), "no {words} in {log}");
    }
    // The lines of the HTTP client are left out, because the application filters them.
    for line in log.lines().filter(|line| line.contains(" health: ")) {
        assert!(!line.contains("s3cr3t"), "{line}");
    }
}
