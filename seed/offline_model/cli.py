"""The command line of the offline model."""

import argparse
import logging
import socket
from collections.abc import Sequence

import uvicorn
from pydantic import ValidationError
from rich.console import Console

from seed.offline_model.app import create_app
from seed.offline_model.logs import configure_logging
from seed.offline_model.settings import OfflineModelSettings

EXIT_USAGE = 2

logger = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped; returns the exit code."""
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    try:
        settings = OfflineModelSettings()
    except ValidationError as error:
        names = ", ".join(str(item["loc"][0]).upper() for item in error.errors())
        errors.print(f"offline model: invalid setting {names}; see env.template", markup=False)
        return EXIT_USAGE
    options = _parser(settings).parse_args(arguments)
    configure_logging(settings)
    try:
        listener = _listen(options.host, options.port)
    except (OSError, OverflowError) as error:
        errors.print(_explain(options.host, options.port, error), markup=False)
        return EXIT_USAGE
    return _serve(listener)


def _parser(settings: OfflineModelSettings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m seed.offline_model",
        description="Serve an OpenAI-compatible model that works by rules, offline and deterministic, at /v1.",
    )
    default = " (default: %(default)s)"
    parser.add_argument("--host", default=settings.offline_model_host, help="address to listen on" + default)
    parser.add_argument("--port", default=settings.offline_model_port, type=int, help="port to listen on" + default)
    return parser


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, OverflowError):
        listener.close()
        raise
    return listener


def _serve(listener: socket.socket) -> int:
    host, port = listener.getsockname()[:2]
    logger.info("offline model listens on http://%s:%s/v1", host, port)
    # Streams are short; a client that never goes away must not keep the process.
    config = uvicorn.Config(create_app(), log_config=None, access_log=False, timeout_graceful_shutdown=3)
    with listener:
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def _explain(host: str, port: int, error: Exception) -> str:
    return (
        f"offline model: cannot listen on {host}:{port} ({error}); stop what uses the port, "
        "or choose another with --port or OFFLINE_MODEL_PORT"
    )
