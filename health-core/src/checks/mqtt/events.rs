//! Converts the results of rumqttc's event loops, of MQTT 3.1.1 and of MQTT 5, into events of the session.

use std::error::Error;

use rumqttc::{ConnectReturnCode, ConnectionError, Event as EventV4, Outgoing, Packet, StateError, v5};

use super::session::{Event, Fault};
use crate::{check::error::CheckError, model::status::Reason};

/// Converts a result of [`rumqttc::EventLoop::poll`]. Returns `None` if the check does not need it.
pub(super) fn of_v4(polled: &Result<EventV4, ConnectionError>) -> Option<Event> {
    match polled {
        Ok(EventV4::Incoming(Packet::ConnAck(_))) => Some(Event::Connected),
        Ok(EventV4::Incoming(Packet::UnsubAck(answer))) => Some(Event::Answered(answer.pkid)),
        Ok(EventV4::Outgoing(Outgoing::Unsubscribe(number))) => Some(Event::Sent(*number)),
        Ok(_) => None,
        Err(error) => Some(Event::Failed(fault(error, reason_v4(error)))),
    }
}

/// Converts a result of [`rumqttc::v5::EventLoop::poll`]. Returns `None` if the check does not need it.
pub(super) fn of_v5(polled: &Result<v5::Event, v5::ConnectionError>) -> Option<Event> {
    use v5::mqttbytes::v5::Packet;
    match polled {
        Ok(v5::Event::Incoming(Packet::ConnAck(_))) => Some(Event::Connected),
        Ok(v5::Event::Incoming(Packet::UnsubAck(answer))) => Some(Event::Answered(answer.pkid)),
        Ok(v5::Event::Outgoing(Outgoing::Unsubscribe(number))) => Some(Event::Sent(*number)),
        Ok(_) => None,
        Err(error) => Some(Event::Failed(fault(error, reason_v5(error)))),
    }
}

/// Returns the text of an error, and the given reason. Without a given reason, the source chain and the text decide.
fn fault(error: &(dyn Error + 'static), reason: Option<Reason>) -> Fault {
    let (found, message) = CheckError::from_chain(error).into_parts();
    // The variants for TLS exist only with features of rumqttc. The end of a stream within a packet has no error kind.
    let by_text = || match found {
        Reason::Failed if message.starts_with("TLS: ") => Reason::Rejected,
        Reason::Failed if message.contains("bytes remaining on stream") => Reason::Unreachable,
        other => other,
    };
    Fault { reason: reason.unwrap_or_else(by_text), message }
}

/// Returns the public category of an error of MQTT 3.1.1, or `None` if its source chain and its text decide.
fn reason_v4(error: &ConnectionError) -> Option<Reason> {
    match error {
        ConnectionError::NetworkTimeout
        | ConnectionError::FlushTimeout
        | ConnectionError::MqttState(StateError::AwaitPingResp | StateError::CollisionTimeout) => Some(Reason::Timeout),
        ConnectionError::MqttState(StateError::ConnectionAborted)
        | ConnectionError::ConnectionRefused(ConnectReturnCode::ServiceUnavailable) => Some(Reason::Unreachable),
        ConnectionError::ConnectionRefused(_) => Some(Reason::Rejected),
        _ => None,
    }
}

/// Returns the public category of an error of MQTT 5, or `None` if its source chain and its text decide.
fn reason_v5(error: &v5::ConnectionError) -> Option<Reason> {
    use v5::{ConnectionError, StateError, mqttbytes::v5::DisconnectReasonCode as Disconnect};
    match error {
        ConnectionError::MqttState(StateError::AwaitPingResp | StateError::CollisionTimeout) => Some(Reason::Timeout),
        ConnectionError::MqttState(StateError::ConnectionAborted) => Some(Reason::Unreachable),
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => Some(match reason_code {
            Disconnect::ServerBusy | Disconnect::QuotaExceeded | Disconnect::ConnectionRateExceeded => {
                Reason::Saturated
            }
            Disconnect::NotAuthorized | Disconnect::SessionTakenOver | Disconnect::AdministrativeAction => {
                Reason::Rejected
            }
            _ => Reason::Unreachable,
        }),
        ConnectionError::MqttState(StateError::ConnFail { reason }) | ConnectionError::ConnectionRefused(reason) => {
            Some(refused_v5(*reason))
        }
        _ => None,
    }
}

/// Returns the public category of a refused connection of MQTT 5.
fn refused_v5(code: v5::mqttbytes::v5::ConnectReturnCode) -> Reason {
    use v5::mqttbytes::v5::ConnectReturnCode as Code;
    match code {
        Code::ServiceUnavailable | Code::ServerUnavailable | Code::UseAnotherServer | Code::ServerMoved => {
            Reason::Unreachable
        }
        Code::ServerBusy | Code::QuotaExceeded | Code::ConnectionRateExceeded => Reason::Saturated,
        Code::UnspecifiedError | Code::ImplementationSpecificError | Code::MalformedPacket | Code::ProtocolError => {
            Reason::Failed
        }
        _ => Reason::Rejected,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn of(error: ConnectionError) -> Reason {
        match of_v4(&Err(error)) {
            Some(Event::Failed(fault)) => fault.reason,
            other => panic!("{other:?}"),
        }
    }

    fn of_5(error: v5::ConnectionError) -> Reason {
        match of_v5(&Err(error)) {
            Some(Event::Failed(fault)) => fault.reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_error_of_mqtt_3_has_its_reason() {
        use rumqttc::{ConnectReturnCode as Code, ConnectionError as Error};
        let io = |kind: io::ErrorKind| io::Error::from(kind);
        for (error, expected) in [
            (Error::Io(io(io::ErrorKind::ConnectionRefused)), Reason::Unreachable),
            (Error::MqttState(StateError::Io(io(io::ErrorKind::ConnectionReset))), Reason::Unreachable),
            (Error::MqttState(StateError::ConnectionAborted), Reason::Unreachable),
            (Error::MqttState(StateError::AwaitPingResp), Reason::Timeout),
            (Error::NetworkTimeout, Reason::Timeout),
            (Error::ConnectionRefused(Code::BadUserNamePassword), Reason::Rejected),
            (Error::ConnectionRefused(Code::NotAuthorized), Reason::Rejected),
            (Error::ConnectionRefused(Code::BadClientId), Reason::Rejected),
            (Error::ConnectionRefused(Code::ServiceUnavailable), Reason::Unreachable),
            (Error::Io(io::Error::other("bytes remaining on stream")), Reason::Unreachable),
            (Error::NotConnAck(Packet::PingResp), Reason::Failed),
        ] {
            let shown = error.to_string();
            assert_eq!(of(error), expected, "{shown}");
        }
    }

    #[test]
    fn each_error_of_mqtt_5_has_its_reason() {
        use v5::{
            ConnectionError as Error,
            mqttbytes::v5::{ConnectReturnCode as Code, DisconnectReasonCode},
        };
        let told =
            |reason_code| Error::MqttState(v5::StateError::ServerDisconnect { reason_code, reason_string: None });
        for (error, expected) in [
            (Error::Io(io::Error::from(io::ErrorKind::ConnectionRefused)), Reason::Unreachable),
            (Error::ConnectionRefused(Code::BadUserNamePassword), Reason::Rejected),
            (Error::ConnectionRefused(Code::ServerBusy), Reason::Saturated),
            (Error::ConnectionRefused(Code::ServerUnavailable), Reason::Unreachable),
            (Error::ConnectionRefused(Code::UnspecifiedError), Reason::Failed),
            (told(DisconnectReasonCode::ServerShuttingDown), Reason::Unreachable),
            (told(DisconnectReasonCode::SessionTakenOver), Reason::Rejected),
            (told(DisconnectReasonCode::QuotaExceeded), Reason::Saturated),
        ] {
            let shown = error.to_string();
            assert_eq!(of_5(error), expected, "{shown}");
        }
    }

    #[test]
    fn only_connections_and_unsubscriptions_become_events() {
        use rumqttc::{ConnAck, UnsubAck};
        let accepted = ConnAck::new(ConnectReturnCode::Success, false);
        assert_eq!(of_v4(&Ok(EventV4::Incoming(Packet::ConnAck(accepted)))), Some(Event::Connected));
        assert_eq!(of_v4(&Ok(EventV4::Incoming(Packet::UnsubAck(UnsubAck::new(7))))), Some(Event::Answered(7)));
        assert_eq!(of_v4(&Ok(EventV4::Outgoing(Outgoing::Unsubscribe(7)))), Some(Event::Sent(7)));
        assert_eq!(of_v4(&Ok(EventV4::Outgoing(Outgoing::Publish(7)))), None);
        assert_eq!(of_v4(&Ok(EventV4::Incoming(Packet::PingResp))), None);
    }
}
