//! What is known of the client's connection, and of the question that is under way. Pure: it waits for nothing.

use std::collections::VecDeque;

use crate::model::status::Reason;

/// How many numbers of requests are remembered of one question, the application's own among them.
const REMEMBERED: usize = 16;

/// What the event loop has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    /// Nothing so far.
    Unknown,
    /// The broker has accepted the client.
    Up,
    /// The connection was lost, and no attempt to connect anew has failed so far.
    Lost(Fault),
    /// The last attempt to connect has failed.
    Down(Fault),
    /// Nobody tells any more.
    Ended,
}

impl Connection {
    /// Returns what it is called, without the text of an error.
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

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) reason: Reason,
    pub(super) message: String,
}

/// One event of the event loop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Connected,
    /// A request of the kind that the check makes was sent, with this number.
    Sent(u16),
    /// The broker has answered the request of this number.
    Answered(u16),
    Failed(Fault),
    Ended,
}

/// The connection, and the one question that may be under way.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: Connection,
    /// The numbers of the requests that were sent since the question was put, one of which is its own.
    question: Option<VecDeque<u16>>,
    /// How many questions were answered.
    pub(super) answers: u64,
}

impl Session {
    pub(super) const fn new() -> Self {
        Self { connection: Connection::Unknown, question: None, answers: 0 }
    }

    /// Returns whether a question is under way, so that no other may be put.
    pub(super) const fn is_asked(&self) -> bool {
        self.question.is_some()
    }

    /// Begins a question. Returns `false` if another is under way, or there is no connection to put one over.
    pub(super) fn ask(&mut self) -> bool {
        let may_ask = self.connection == Connection::Up && self.question.is_none();
        if may_ask {
            self.question = Some(VecDeque::new());
        }
        may_ask
    }

    /// Forgets a question that could not be put.
    pub(super) fn take_back(&mut self) {
        self.question = None;
    }

    /// Follows an event. Returns whether anything is different.
    pub(super) fn follow(&mut self, event: Event) -> bool {
        match event {
            Event::Connected => {
                self.connection = Connection::Up;
                self.question = None;
            }
            Event::Sent(number) => {
                // The client numbers its requests after they were put, and does not tell whose they are. Whichever it
                // is, it was sent after the question was put, so that its answer proves the same.
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
    fn without_a_connection_nothing_is_asked_and_with_one_a_single_question() {
        let mut session = Session::new();
        assert!(!session.ask(), "nothing is known");
        session.follow(Event::Connected);
        assert!(session.ask());
        assert!(!session.ask(), "one is under way");
        session.follow(Event::Failed(fault("gone")));
        assert!(!session.ask(), "lost");
        session.follow(Event::Connected);
        assert!(session.ask(), "what was asked over the lost connection is forgotten");
    }

    #[test]
    fn only_an_answer_to_what_was_sent_since_counts() {
        let mut session = connected();
        session.follow(Event::Sent(1));
        assert!(session.ask());
        assert!(!session.follow(Event::Answered(1)), "sent before the question");
        session.follow(Event::Sent(2));
        session.follow(Event::Sent(3));
        assert!(!session.follow(Event::Answered(4)));
        assert_eq!((session.answers, session.is_asked()), (0, true));
        assert!(session.follow(Event::Answered(2)), "the application's own may come first");
        assert_eq!((session.answers, session.is_asked()), (1, false));
        assert!(!session.follow(Event::Answered(3)), "nothing is asked any more");
    }

    #[test]
    fn a_loss_becomes_an_outage_with_the_first_attempt_that_fails() {
        let mut session = connected();
        session.follow(Event::Failed(fault("reset")));
        assert_eq!(session.connection, Connection::Lost(fault("reset")));
        session.follow(Event::Failed(fault("refused")));
        assert_eq!(session.connection, Connection::Down(fault("refused")));
        let mut session = Session::new();
        session.follow(Event::Failed(fault("refused")));
        assert_eq!(session.connection, Connection::Down(fault("refused")), "there was none to lose");
        session.follow(Event::Ended);
        assert_eq!(session.connection, Connection::Ended);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut session = connected();
        session.ask();
        for number in 1..=100 {
            session.follow(Event::Sent(number));
        }
        assert_eq!(session.question.as_ref().map(VecDeque::len), Some(REMEMBERED));
        assert!(session.follow(Event::Answered(100)));
    }
}
