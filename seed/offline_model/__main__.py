"""Run the offline model: `python -m seed.offline_model --port 8002`."""

import sys

from seed.offline_model.cli import main

if __name__ == "__main__":
    sys.exit(main())
