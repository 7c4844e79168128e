"""Entry point: `python -m api --role api|worker|all`."""

import sys

from api.cli import main

if __name__ == "__main__":
    sys.exit(main())
