"""Start with `python -m mcp_server`."""

import sys

from mcp_server.cli import main

if __name__ == "__main__":
    sys.exit(main())
