"""The message to the customer."""

from datetime import timedelta

import pytest

from desk.errors import DaprUnavailableError
from desk.notify import MARK, Message, News, create_customer_notification
from desk.stages import Outcome
from tests.kit.desk_fakes import FakeSidecar, refused

pytestmark = pytest.mark.anyio

APPROVED = "Run `daprd --placement-host-address 127.0.0.1:50005`. [KB-CON-001]"
NEWS = News(
    ticket_id="T-1",
    outcome=Outcome.SOLVED,
    text=APPROVED,
    customer_name="Acme Corporation",
    summary="Placement is not found.",
)


async def write(sidecar: FakeSidecar, news: News = NEWS) -> Message:
    return await create_customer_notification(
        news, conversation=sidecar, component="llm", pause=timedelta(milliseconds=1)
    )


async def test_the_approved_text_stands_in_the_letter_word_for_word() -> None:
    sidecar = FakeSidecar(letters=[f"Hello Acme,\n\n{MARK}\n\nBye"])
    message = await write(sidecar)
    assert message.body == f"Hello Acme,\n\n{APPROVED}\n\nBye\n\nYour ticket: T-1\n"
    assert not message.fallback


async def test_the_model_never_sees_the_approved_text() -> None:
    sidecar = FakeSidecar()
    await write(sidecar)
    assert "50005" not in sidecar.asked[0]
    assert "Acme Corporation" in sidecar.asked[0]


@pytest.mark.parametrize(
    ("letter", "body"),
    [("Hello,", f"Hello,\n\n{APPROVED}"), (f"{MARK} a {MARK} b", f"{APPROVED} a  b")],
)
async def test_a_letter_with_too_few_or_too_many_marks_still_holds_the_text_once(letter: str, body: str) -> None:
    message = await write(FakeSidecar(letters=[letter]))
    assert message.body.startswith(body)
    assert message.body.count(APPROVED) == 1


async def test_the_model_is_asked_again_after_an_error_or_an_empty_letter() -> None:
    sidecar = FakeSidecar(letters=[refused(), "  ", f"Hi\n{MARK}"])
    message = await write(sidecar)
    assert (message.fallback, len(sidecar.asked)) == (False, 3)


async def test_after_three_failures_the_customer_gets_the_text_in_a_plain_template() -> None:
    sidecar = FakeSidecar(letters=[refused()] * 5)
    message = await write(sidecar)
    assert message.fallback
    assert len(sidecar.asked) == 3
    assert APPROVED in message.body
    assert "Hello Acme Corporation," in message.body


async def test_a_sidecar_that_is_away_is_waited_for_and_not_fallen_back_on() -> None:
    with pytest.raises(DaprUnavailableError):
        await write(FakeSidecar(alive=False))


async def test_somebody_unknown_is_greeted_without_a_name() -> None:
    news = News(ticket_id="T-1", outcome=Outcome.DECLINED, text="Who are you?", customer_name=None, summary="")
    message = await write(FakeSidecar(letters=[refused()] * 3), news)
    assert message.body.startswith("Hello,\n")
    assert "None" not in message.body
