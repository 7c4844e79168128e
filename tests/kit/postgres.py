"""A PostgreSQL server of its own for tests, where the machine has one installed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dapr_bridge.testing import Process, free_port, wait_until

_USER = "postgres"


def find_binaries() -> Path | None:
    """Return the folder with `initdb` and `postgres`, or None."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    on_path = shutil.which("initdb")
    folders = [*debian, *([Path(on_path).resolve().parent] if on_path else [])]
    return next((folder for folder in folders if (folder / "initdb").is_file()), None)


@contextmanager
def postgres(binaries: Path) -> Iterator[str]:
    """Run a server on a free port; yields the URL of an empty database."""
    with tempfile.TemporaryDirectory(prefix="desk-postgres") as folder:
        data, port = f"{folder}/data", free_port()
        if os.geteuid() == 0:
            shutil.chown(folder, _USER)
        initdb = [str(binaries / "initdb"), "-D", data, "-A", "trust", "-U", "desk", "--no-sync"]
        subprocess.run(as_owner(initdb), check=True, capture_output=True, cwd=folder)
        server = [str(binaries / "postgres"), "-D", data, "-p", str(port), "-k", folder, "-h", "127.0.0.1", "-F"]
        with Process(as_owner(server), log=Path(folder, "server.log"), cwd=Path(folder)):
            ready = [str(binaries / "pg_isready"), "-h", "127.0.0.1", "-p", str(port)]
            wait_until(lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0, what="Postgres")
            yield f"postgresql://desk@127.0.0.1:{port}/postgres"


def as_owner(command: Sequence[str]) -> list[str]:
    """Postgres refuses to run as root."""
    return ["runuser", "-u", _USER, "--", *command] if os.geteuid() == 0 else list(command)
