"""Entry point: `python -m local run|setup|demo|clean`."""

import sys

from local.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
