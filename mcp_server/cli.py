"""The command line: the environment's settings, options over them, one exit code for whatever stops a start."""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from mcp_server.errors import KnowledgeBaseError, StartError
from mcp_server.index import KnowledgeIndex
from mcp_server.ingest import load_articles
from mcp_server.logs import configure_logging
from mcp_server.server import build_server
from mcp_server.serving import serve_http, serve_stdio
from mcp_server.settings import LOG_FORMATS, LOG_LEVELS, Settings, read_settings

logger = logging.getLogger(__name__)

CANNOT_START = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the knowledge base; return the process's exit code."""
    # SIGTERM is how supervisors say stop: end as on Ctrl-C, and with exit code 0.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options = _parser(read_settings()).parse_args(arguments)
        configure_logging(level=options.log_level, style=options.log_format)
        _serve(options)
    except KnowledgeBaseError as error:
        sys.stderr.write(f"knowledge base cannot start: {error}\n")
        return CANNOT_START
    except KeyboardInterrupt:
        # A process that was started in the background of a script ignores Ctrl-C, and ends without this.
        pass
    logger.info("knowledge base stopped")
    return 0


def _serve(options: argparse.Namespace) -> None:
    if not options.articles.is_dir():
        raise StartError(f"no folder of articles at {options.articles}; set --articles or KNOWLEDGE_BASE_ARTICLES")
    with KnowledgeIndex(load_articles(options.articles)) as index:
        logger.info("knowledge base has %s articles, %s passages", len(index.articles), index.passage_count)
        server = build_server(index)
        if options.transport == "stdio":
            asyncio.run(serve_stdio(server))
        else:
            asyncio.run(serve_http(server, host=options.host, port=options.port))


def _parser(settings: Settings) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mcp_server",
        description="Serve a folder of Markdown articles as an MCP server with search.",
        epilog="Environment (also read from .env): KNOWLEDGE_BASE_HOST, KNOWLEDGE_BASE_PORT, KNOWLEDGE_BASE_ARTICLES, "
        "LOG_LEVEL, LOG_FORMAT. Options win over the environment. Logs go to standard error. "
        "Exit code 2: a setting, an article or the address stops the start.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--transport", choices=("http", "stdio"), default="http", help="streamable HTTP at /mcp, or stdin and stdout")
    add("--host", default=settings.knowledge_base_host, help="address to listen on (http)")
    add("--port", type=_port, default=settings.knowledge_base_port, help="port to listen on (http); 0 takes a free one")
    add("--articles", type=Path, metavar="DIR", default=settings.knowledge_base_articles, help="folder of Markdown")
    add("--log-level", type=str.upper, choices=LOG_LEVELS, default=settings.log_level, help="how much to log")
    add("--log-format", type=str.lower, choices=LOG_FORMATS, default=settings.log_format, help="for people or machines")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; use 0 to 65535")
    return int(text)
