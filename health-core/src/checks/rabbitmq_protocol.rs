//! What RabbitMQ says to every client of lapin, and what its errors mean.

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

/// The code with which AMQP closes what has done its work.
#[cfg(feature = "rabbitmq")]
const DONE: ReplyCode = 200;

/// Returns the outcome of a connection that the broker blocks.
pub(super) fn blocked(status: &ConnectionStatus) -> Option<Outcome> {
    let message = "the broker blocks a connection, as it does with publishers while it is short of memory or disk";
    (status.blocked() && status.connected()).then(|| Outcome::degraded(message).reason(Reason::Saturated))
}

#[cfg(feature = "rabbitmq")]
/// Gives a channel back.
pub(super) async fn close(channel: &Channel) -> Result<(), Error> {
    channel.close(DONE, "checked".into()).await
}

/// Returns what an error of lapin means.
pub(super) fn explain(error: Error) -> Failure {
    let reason = reason(&error);
    // A soft error closes the channel and leaves the connection as it was.
    let is_broken = !error.is_amqp_soft_error();
    Failure::new(error, reason, is_broken)
}

/// The public category of a driver's error.
fn reason(error: &Error) -> Reason {
    match error.kind() {
        ErrorKind::ProtocolError(error) => match error.kind() {
            // A quota of the virtual host, the user or the node, which has the code of a permission. The broker has one
            // language.
            AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) if error.get_message().as_str().contains("limit") => {
                Reason::Saturated
            }
            AMQPErrorKind::Soft(
                AMQPSoftError::ACCESSREFUSED | AMQPSoftError::NOTFOUND | AMQPSoftError::RESOURCELOCKED,
            )
            | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => Reason::Rejected,
            // Shutting down; a virtual host that is down.
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
    fn a_refused_handshake_is_no_lost_connection() {
        for (error, expected) in [
            (io::Error::new(io::ErrorKind::InvalidData, "invalid peer certificate: UnknownIssuer"), Reason::Rejected),
            (io::Error::other("invalid peer certificate: UnknownIssuer"), Reason::Rejected),
            (io::Error::from(io::ErrorKind::ConnectionReset), Reason::Unreachable),
            (io::Error::other("nothing that is known"), Reason::Unreachable),
        ] {
            let text = error.to_string();
            assert_eq!(reason(&Error::from(error)), expected, "{text}");
        }
    }
}
