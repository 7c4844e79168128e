"""Run the server on a transport until it is told to stop."""

import logging
import socket
from typing import Any

import uvicorn
from mcp.server.mcpserver import MCPServer

from mcp_server.errors import StartError

logger = logging.getLogger(__name__)


async def serve_stdio(server: MCPServer[Any]) -> None:
    """Serve one client over standard input and output."""
    await server.run_stdio_async()


async def serve_http(server: MCPServer[Any], *, host: str, port: int) -> None:
    """Serve streamable HTTP at /mcp, and /health.

    Raises:
        StartError: The address cannot be listened on.
    """
    with _listen(host, port) as listener:
        # Stateless, so that a client needs no session and a restart of the server loses none.
        app = server.streamable_http_app(stateless_http=True, json_response=True, host=host)
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5)
        await _Announcing(config).serve(sockets=[listener])


class _Announcing(uvicorn.Server):
    """Say where it listens once it does, and not while it still gets ready."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            host, port = listener.getsockname()[:2]
            logger.info("knowledge base listening at http://%s:%s/mcp", host, port, extra={"host": host, "port": port})


def _listen(host: str, port: int) -> socket.socket:
    """Bind here rather than in uvicorn, which reports a taken port as a log line and exit code 1."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is spelt out because asyncio sets TCP_NODELAY only where it reads IPPROTO_TCP; without it every
    # answer waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise StartError(
            f"cannot listen on {host}:{port}: {reason}; choose another address with --host and --port, or with "
            "KNOWLEDGE_BASE_HOST and KNOWLEDGE_BASE_PORT"
        ) from error
    return listener
