"""Where things are in a checkout of this project."""

from dataclasses import dataclass
from pathlib import Path

from local.errors import NotAProjectError


@dataclass(frozen=True, kw_only=True)
class Project:
    """The folders and files of one checkout."""

    root: Path

    @property
    def run_file(self) -> Path:
        """What the Dapr CLI runs."""
        return self.root / "dapr.yaml"

    @property
    def env_file(self) -> Path:
        """The user's own settings; need not exist."""
        return self.root / ".env"

    @property
    def data(self) -> Path:
        """Everything that a run writes."""
        return self.root / ".data"

    @property
    def logs(self) -> Path:
        """The logs of the latest run."""
        return self.data / "logs"

    @property
    def run_record(self) -> Path:
        """Which processes the current run has started."""
        return self.data / "run.json"

    @property
    def cli_logs(self) -> Path:
        """Where the Dapr CLI puts the logs of sidecars and apps."""
        return self.root / ".dapr" / "logs"

    @property
    def runtime_path(self) -> Path:
        """DAPR_RUNTIME_PATH of the CLI."""
        return self.data / "dapr"

    @property
    def built(self) -> Path:
        """The Dapr that was built here, and what building it needed."""
        return self.root / ".dapr-runtime"

    @property
    def binaries(self) -> Path:
        """The built programs."""
        return self.built / "bin"

    @property
    def modules(self) -> Path:
        """The Go modules that Dapr is built from."""
        return self.root / "resources" / "runtime"

    @property
    def sample_data(self) -> Path:
        """The sample customers, their systems and their tickets."""
        return self.root / "seed" / "data"


def find_project(start: Path) -> Project:
    """Return the checkout that a folder is in.

    Raises:
        NotAProjectError: There is no dapr.yaml in the folder or above it.
    """
    for folder in (start, *start.parents):
        if (folder / "dapr.yaml").is_file():
            return Project(root=folder)
    raise NotAProjectError(f"no dapr.yaml in {start} or above it: run this in a checkout of the project")
