"""When a node is tried again: only after something that may pass by itself."""

from langgraph.types import RetryPolicy

from graph.errors import UnavailableError

# Waits of 0.5, 1 and 2 seconds, each with up to one second of LangGraph's jitter on top. A caller in a hurry, such as a
# test, shortens them: `DEFAULT_RETRY._replace(initial_interval=0.01, jitter=False)` keeps the rest.
DEFAULT_RETRY = RetryPolicy(
    max_attempts=4, initial_interval=0.5, backoff_factor=2.0, jitter=True, retry_on=UnavailableError
)
