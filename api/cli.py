"""The command line: `python -m api`."""

import argparse
import contextlib
import errno
import logging
import socket
from collections.abc import Sequence

import uvicorn
import uvloop
from rich.console import Console

from api.app import create_app
from api.logs import configure_logging
from desk.assembly import Role
from desk.settings import Settings
from graph.errors import InvalidSettingsError
from graph.settings import load_settings

logger = logging.getLogger(__name__)

EXIT_USAGE = 2
_GRACE_SECONDS = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the desk until it is stopped; return the exit code."""
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        settings = load_settings(Settings)
        options = _parse(arguments, settings)
        configure_logging(settings)
        with _listen(options.host, options.port) as listener:
            _serve(settings, Role(options.role), listener)
    except (InvalidSettingsError, PortTakenError) as error:
        errors.print(str(error), markup=False)
        return EXIT_USAGE
    return 0


class PortTakenError(Exception):
    """The address cannot be listened on."""


def _parse(arguments: Sequence[str] | None, settings: Settings) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m api", description="Serve the support desk: its HTTP API, its workers, or both."
    )
    parser.add_argument(
        "--role",
        choices=[role.value for role in Role],
        default=Role.ALL.value,
        help="api answers requests, worker works on tickets (and answers /health), all does both (default: all)",
    )
    parser.add_argument("--host", default=settings.api_host, help=f"address (default: {settings.api_host}, API_HOST)")
    parser.add_argument(
        "--port", type=_port, default=settings.api_port, help=f"port (default: {settings.api_port}, API_PORT)"
    )
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    port = int(text)
    if not 0 < port < 2**16:
        raise ValueError(text)
    return port


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        reason = "it is taken" if error.errno == errno.EADDRINUSE else str(error)
        raise PortTakenError(
            f"the support desk's API needs port {port} on {host}, but {reason}; "
            "stop what uses it, or choose another port with --port or API_PORT"
        ) from error
    return listener


def _serve(settings: Settings, role: Role, listener: socket.socket) -> None:
    # Dapr's workflow worker makes an event loop of its own, and does most of the work on it.
    uvloop.install()
    host, port = listener.getsockname()[:2]
    logger.info("support desk serves http://%s:%s as %s", host, port, role.value)
    app = create_app(settings, role=role)
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=_GRACE_SECONDS
    )
    # Having left in order, uvicorn raises the interrupt again.
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
