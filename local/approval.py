"""Ask a person what to do with a proposed solution."""

import shlex
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from local.errors import LocalError

_QUESTION = "Approve, edit or reject this solution, or skip the ticket? [a/e/r/s] "
_END = "."


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the person wants, and the text that belongs to it: the new solution, or the reason."""

    kind: Literal["approve", "edit", "reject", "skip"]
    text: str = ""


def ask_for_decision(console: Console, solution: str, *, editor: str | None) -> Answer:
    """Ask until there is an answer.

    Raises:
        LocalError: The input has ended without one.
    """
    while True:
        match _ask(console, _QUESTION).lower():
            case "a" | "approve":
                return Answer(kind="approve")
            case "e" | "edit":
                if (text := edit_text(console, solution, editor=editor).strip()) and text != solution.strip():
                    return Answer(kind="edit", text=text)
                console.print("The text is unchanged.")
            case "r" | "reject":
                if reason := _ask(console, "Why? The expert works with your reason: "):
                    return Answer(kind="reject", text=reason)
            case "s" | "skip":
                return Answer(kind="skip")
            case _:
                console.print("Please answer a, e, r or s.")


def edit_text(console: Console, text: str, *, editor: str | None) -> str:
    """Let the person change a text in their editor, or type a new one where there is none."""
    if editor is None:
        return _type_text(console)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, "solution.md")
        draft.write_text(text, encoding="utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(draft)], check=True)  # noqa: S603 - the user's own editor
        except (OSError, subprocess.CalledProcessError) as error:
            console.print(f"The editor {editor!r} could not be used: {error}")
            return _type_text(console)
        return draft.read_text(encoding="utf-8")


def _type_text(console: Console) -> str:
    console.print(f"Type the solution; end it with a line that holds only {_END!r}.")
    lines: list[str] = []
    while (line := _ask(console, "")) != _END:
        lines.append(line)
    return "\n".join(lines)


def _ask(console: Console, question: str) -> str:
    try:
        return console.input(question, markup=False).strip()
    except EOFError:
        raise LocalError("nobody is there to answer; `make demo ARGS=--yes` approves every solution") from None
