//! The parts of RabbitMQ's protocol that all checks over lapin share, and the reasons of lapin's errors.

#[cfg(feature = "rabbitmq")]
use ::lapin::{Channel, types::ReplyCode};
use ::lapin::{
    ConnectionStatus, Error, ErrorKind,
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
};

use super::failure::Failure;
use crate::{
    check::{error::classify, outcome::Outcome},
    model::status::Reason,
};

/// The AMQP reply code of a normal close.
#[cfg(feature = "rabbitmq")]
const DONE: ReplyCode = 200;

/// Returns the outcome of a connection that the broker blocks, or `None` if the broker does not block it.
pub(super) fn blocked(status: &ConnectionStatus) -> Option<Outcome> {
    let message = "the broker blocks a connection that published, because it is short of memory or disk space";
    (status.blocked() && status.connected()).then(|| Outcome::degraded(message).reason(Reason::Saturated))
}

#[cfg(feature = "rabbitmq")]
/// Closes a channel and waits for the broker's answer.
pub(super) async fn close(channel: &Channel) -> Result<(), Error> {
    channel.close(DONE, "checked".into()).await
}

/// Converts an error of lapin, with its reason.
pub(super) fn explain(error: Error) -> Failure {
    let reason = reason(&error);
    // A soft error closes the channel, and the connection stays open.
    let is_broken = !error.is_amqp_soft_error();
    Failure::new(error, reason, is_broken)
}

/// Returns the public category of an error of lapin.
fn reason(error: &Error) -> Reason {
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            // A limit of the virtual host, the user or the node. It has the same code as a missing permission, so its
            // text decides. The broker's texts are always in English.
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) if error.get_message().as_str().contains("limit") => {
                Reason::Saturated
            }
            AMQPErrorKind::Soft(
                AMQPSoftError::ACCESSREFUSED | AMQPSoftError::NOTFOUND | AMQPSoftError::RESOURCELOCKED,
            )
            | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => Reason::Rejected,
            // The broker shuts down, or the virtual host is down.
            AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED | AMQPHardError::INTERNALERROR) => Reason::Unreachable,
            _ => Reason::Failed,
        },
        ErrorKind::ChannelsLimitReached => Reason::Saturated,
        ErrorKind::AuthProviderError(_) => Reason::Rejected,
        ErrorKind::InvalidConnectionState(_)
        | ErrorKind::InvalidChannelState(..)
        | ErrorKind::InvalidChannel(_)
        | ErrorKind::MissingHeartbeatError => Reason::Unreachable,
        ErrorKind::IOError(_) => classify(error).unwrap_or(Reason::Unreachable),
        _ => classify(error).unwrap_or(Reason::Failed),
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_failed_tls_handshake_is_rejected_and_a_lost_connection_unreachable() {
        for (error, expected) in [
            (io::Error::new(io::ErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer"), Reason::Rejected),
            (io::Error::other("invalid peer certificate: UnknownIssuer"), Reason::Rejected),
            (io::Error::from(io::ErrorKind::ConnectionReset), Reason::Unreachable),
            (io::Error::other("an unknown text"), Reason::Unreachable),
        ] {
            let text = error.to_string();
            assert_eq!(reason(&Error::from(error)), expected, "{text}");
        }
    }
}
