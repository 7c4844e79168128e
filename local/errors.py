"""The exceptions of the launcher.

LocalError                    ends a command with its exit code and its message, without a traceback
|-- NotAProjectError          the current folder is not a checkout of this project
|-- RunFileError              dapr.yaml cannot be used
|-- PortTakenError            another program has a port that is needed
|-- AlreadyRunningError       the project runs already, from the same folder
|-- BuildError                Dapr could not be built
|-- StartError                something that was started ended at once, or did not become ready in time
`-- DeskUnavailableError      the desk's API does not answer
"""


class LocalError(Exception):
    """Base of everything that ends a command with a message for the person at the terminal."""

    exit_code = 1


class NotAProjectError(LocalError):
    """The command was given outside a checkout of this project."""

    exit_code = 2


class RunFileError(LocalError):
    """dapr.yaml is missing or holds something that cannot be used."""

    exit_code = 2


class PortTakenError(LocalError):
    """Another program listens on a port that is needed; the message names both."""

    exit_code = 2


class AlreadyRunningError(LocalError):
    """Another `make run` of this folder is alive."""

    exit_code = 2


class BuildError(LocalError):
    """Dapr is not there and could not be built."""


class StartError(LocalError):
    """A process ended at its start, or was not ready in time; the message ends with its last log lines."""


class DeskUnavailableError(LocalError):
    """The desk's API does not answer, or answered with an error."""
