"""What the demo shows: live at a terminal, line by line elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.markdown import Markdown
from rich.panel import Panel
from rich.spinner import Spinner
from rich.text import Text

from local.desk_client import Ticket
from local.ticket_steps import Step, list_steps


class TicketView:
    """Shows a ticket's steps as they are made, each once. Used as a context manager, any number of times."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._steps: list[Step] = []
        self._finished: set[str] = set()
        self._spinners: dict[str, Spinner] = {}

    def show(self, ticket: Ticket) -> None:
        """Show how far the ticket has come."""
        self._steps = [step for step in list_steps(ticket) if step.text not in self._finished]
        if self._live:
            self._live.update(Group(*map(self._render, self._steps)))
        else:
            self._print_finished()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, refresh_per_second=10)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()
            self._live = None
        self._finished |= {step.text for step in self._steps if step.is_done}

    def _print_finished(self) -> None:
        for step in self._steps:
            if step.is_done:
                self._finished.add(step.text)
                self._console.print(f"  {step.text}")

    def _render(self, step: Step) -> Text | Spinner:
        if step.is_done:
            return Text.assemble(("  ✔ ", "green"), step.text)
        # Kept from one update to the next, or it would always begin anew.
        return self._spinners.setdefault(step.text, Spinner("dots", text=step.text, style="cyan"))


def show_text(console: Console, title: str, text: str) -> None:
    """Show a text in Markdown under a title: formatted at a terminal, as it is elsewhere."""
    if console.is_terminal:
        console.print(Panel(Markdown(text), title=title, title_align="left", border_style="cyan"))
    else:
        console.print(f"--- {title} ---\n{text.strip()}\n---")
