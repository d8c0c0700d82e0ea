//! The state of the client's connection, and the request that is under way. Pure: it does no I/O and never waits.

use std::collections::VecDeque;

use crate::model::status::Reason;

/// The maximum number of packet identifiers remembered for one question. They include the packet identifiers of the
/// application's requests.
const REMEMBERED: usize = 16;

/// The state of the connection, from the results of the event loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    /// The event loop has returned no result so far.
    Unknown,
    /// The broker has accepted the client.
    Up,
    /// The connection was lost, and no attempt to reconnect has failed so far.
    Lost(Fault),
    /// The last attempt to connect has failed.
    Down(Fault),
    /// All observers were dropped, so no further result arrives.
    Ended,
}

impl Connection {
    /// Returns the name of the state, without the text of an error.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Lost(_) => "lost",
            Self::Down(_) => "down",
            Self::Ended => "ended",
        }
    }
}

/// The reason for which there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    pub(super) message: String,
}

/// An event that changes the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Connected,
    /// The client has sent an unsubscribe request with this packet identifier.
    Sent(u16),
    /// The broker has answered the unsubscribe request with this packet identifier.
    Answered(u16),
    Failed(Fault),
    Ended,
}

/// The connection, and the check's question that may be under way: an unsubscribe request.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: Connection,
    /// The packet identifiers of the requests that were sent since the question was put. One of them is the question's.
    question: Option<VecDeque<u16>>,
    /// The number of answered questions.
    pub(super) answers: u64,
}

impl Session {
    pub(super) const fn new() -> Self {
        Self { connection: Connection::Unknown, question: None, answers: 0 }
    }

    /// Returns whether a question is under way. Then no other may be put.
    pub(super) const fn is_asked(&self) -> bool {
        self.question.is_some()
    }

    /// Begins a question. Returns `false` if another one is under way or there is no connection.
    pub(super) fn ask(&mut self) -> bool {
        let may_ask = self.connection == Connection::Up && self.question.is_none();
        if may_ask {
            self.question = Some(VecDeque::new());
        }
        may_ask
    }

    /// Removes a question that could not be put into the client's queue.
    pub(super) fn take_back(&mut self) {
        self.question = None;
    }

    /// Applies an event. Returns whether a waiting run must look at the session again.
    pub(super) fn follow(&mut self, event: Event) -> bool {
        match event {
            Event::Connected => {
                self.connection = Connection::Up;
                self.question = None;
            }
            Event::Sent(number) => {
                // The client assigns packet identifiers when it sends, and does not report the owner of a request. An
                // answer to any request sent after the question was put proves the same.
                if let Some(numbers) = &mut self.question {
                    if numbers.len() == REMEMBERED {
                        numbers.pop_front();
                    }
                    numbers.push_back(number);
                }
                return false;
            }
            Event::Answered(number) => {
                if !self.question.as_ref().is_some_and(|numbers| numbers.contains(&number)) {
                    return false;
                }
                self.question = None;
                self.answers += 1;
            }
            Event::Failed(fault) => {
                self.question = None;
                self.connection = match self.connection {
                    Connection::Up => Connection::Lost(fault),
                    _ => Connection::Down(fault),
                };
            }
            Event::Ended => {
                self.question = None;
                self.connection = Connection::Ended;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(message: &str) -> Fault {
        Fault { reason: Reason::Unreachable, message: message.to_owned() }
    }

    fn connected() -> Session {
        let mut session = Session::new();
        session.follow(Event::Connected);
        session
    }

    #[test]
    fn a_question_needs_a_connection_and_only_one_is_under_way() {
        let mut session = Session::new();
        assert!(!session.ask(), "the connection is unknown");
        session.follow(Event::Connected);
        assert!(session.ask());
        assert!(!session.ask(), "a question is under way");
        session.follow(Event::Failed(fault("gone")));
        assert!(!session.ask(), "the connection is lost");
        session.follow(Event::Connected);
        assert!(session.ask(), "the question over the lost connection is forgotten");
    }

    #[test]
    fn only_an_answer_to_a_request_sent_after_the_question_counts() {
        let mut session = connected();
        session.follow(Event::Sent(1));
        assert!(session.ask());
        assert!(!session.follow(Event::Answered(1)), "sent before the question was put");
        session.follow(Event::Sent(2));
        session.follow(Event::Sent(3));
        assert!(!session.follow(Event::Answered(4)));
        assert_eq!((session.answers, session.is_asked()), (0, true));
        assert!(session.follow(Event::Answered(2)), "a request of the application may be answered first");
        assert_eq!((session.answers, session.is_asked()), (1, false));
        assert!(!session.follow(Event::Answered(3)), "no question is under way any more");
    }

    #[test]
    fn a_lost_connection_is_down_after_the_first_failed_attempt_to_reconnect() {
        let mut session = connected();
        session.follow(Event::Failed(fault("reset")));
        assert_eq!(session.connection, Connection::Lost(fault("reset")));
        session.follow(Event::Failed(fault("refused")));
        assert_eq!(session.connection, Connection::Down(fault("refused")));
        let mut session = Session::new();
        session.follow(Event::Failed(fault("refused")));
        assert_eq!(session.connection, Connection::Down(fault("refused")), "there was no connection to lose");
        session.follow(Event::Ended);
        assert_eq!(session.connection, Connection::Ended);
    }

    #[test]
    fn the_remembered_packet_identifiers_are_bounded() {
        let mut session = connected();
        session.ask();
        for number in 1..=100 {
            session.follow(Event::Sent(number));
        }
        assert_eq!(session.question.as_ref().map(VecDeque::len), Some(REMEMBERED));
        assert!(session.follow(Event::Answered(100)));
    }
}
