"""A mail server for the tests of the check `Smtp`: aiosmtpd, with a user and a limit of sessions.

The arguments are a port and a directory. Its files `password` and `limit` have the values for the next session.
"""

import asyncio
import pathlib
import sys

from aiosmtpd.smtp import SMTP, AuthResult

PORT, DIRECTORY = int(sys.argv[1]), pathlib.Path(sys.argv[2])


def read(name):
    return (DIRECTORY / name).read_text(encoding="utf-8")


def authenticate(_server, _session, _envelope, _mechanism, words):
    """Accepts the user `app` with the current password. aiosmtpd answers all others with 535."""
    knows = words.login == b"app" and words.password == read("password").encode()
    return AuthResult(success=knows, handled=False)


class Session(SMTP):
    """A session that is counted."""

    open = 0

    def connection_made(self, transport):
        Session.open += 1
        super().connection_made(transport)

    def connection_lost(self, error):
        Session.open -= 1
        super().connection_lost(error)


class Refusal(asyncio.Protocol):
    """Answers as Postfix does when there are too many connections."""

    def connection_made(self, transport):
        transport.write(b"421 4.7.0 mail.test Error: too many connections from 127.0.0.1\r\n")
        transport.close()


def session():
    if Session.open >= int(read("limit")):
        return Refusal()
    options = {"auth_required": True, "auth_require_tls": False}
    return Session(object(), hostname="mail.test", authenticator=authenticate, **options)


async def serve():
    server = await asyncio.get_running_loop().create_server(session, "127.0.0.1", PORT)
    await server.serve_forever()


asyncio.run(serve())
