"""A ticket shows what support needs, hides what is not its business, and is refused if it would show a secret."""

import base64
import contextlib
import hashlib
import io
import json
import os
import random
import re
import stat
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import anyio.lowlevel
import msgspec
import pytest
import structlog

from payhub import AsyncHub, ConfigurationError, Hub, PayhubError, TicketRefused, UnknownOrder
from payhub.journal import Source, State
from payhub.journal.memory import MemoryJournal
from payhub.masking.leaks import find_leaks
from payhub.ticket import FORMATS, Format, Ticket
from payhub.ticket.markup import quoted
from payhub_alikassa.sandbox import Sandbox
from tests.journal.making import key

from .conftest import ACCOUNT, CARD, HAPPENINGS, PAYOUT, START, Records
from .test_situations import ATTEMPT, MINUTE, PENDING, UNKNOWN, exchanged, record, said

NOISE = random.Random(7)  # noqa: S311 - the same noise each time
SIGNATURE = base64.b64encode(NOISE.randbytes(256)).decode()


def showing(**fields: Any) -> Ticket:
    """Make a ticket with one exchange of these fields."""
    return Ticket.of(key(), [record(State.UNKNOWN)], [ATTEMPT, exchanged(500, **fields), UNKNOWN], at=START)


def members(content: bytes) -> dict[str, bytes]:
    """Read a zip."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


# What is refused.

LEAKS = {
    "URL": "".join(f"%{byte:02x}" for byte in CARD.encode()),
    "hexadecimal": CARD.encode().hex(),
    "Base64": base64.b64encode(CARD.encode()).decode(),
    "Base64 of JSON": base64.b64encode(json.dumps({"number": CARD}).encode()).decode(),
    "signature": SIGNATURE,
    "signature in a URL": quote(SIGNATURE, safe=""),
    "key": "-----BEGIN RSA PRIVATE KEY-----",
    "secret": "https://shop.example/?password=hunter2",
}
PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "request": lambda leak: {"request": {"comment": leak}},
    "response": lambda leak: {"response": {"message": [{"text": leak}]}},
    "name of a field": lambda leak: {"response": {leak: 1}},
    "text": lambda leak: {"response": f"[not JSON, 90 bytes] <p>{leak}</p>"},
    "header": lambda leak: {"response_headers": {"x-request-id": leak}},
    "problem": lambda leak: {"problem": leak},
    "software": lambda leak: {"software": leak},
    "operation": lambda leak: {"operation": leak},
}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("leak", LEAKS)
def test_a_ticket_with_a_leak_is_refused(leak: str, place: str, form: Format, tmp_path: Path) -> None:
    """Whatever is planted, wherever and however encoded: nothing is written, and no value is quoted."""
    value = LEAKS[leak]
    ticket = showing(**PLACES[place](value))
    with pytest.raises(
        TicketRefused, match=r"^the ticket would show what must not be shown: .* in line \d+"
    ) as refusal:
        ticket.write(tmp_path / f"ticket.{form}")
    assert (False, []) == (value in str(refusal.value), list(tmp_path.iterdir()))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("place", PLACES)
def test_a_plain_card_number_is_truncated(place: str, form: Format) -> None:
    """A card number that a journal should not have is truncated, if it is plain, and the ticket is made."""
    content = showing(**PLACES[place](CARD)).rendered(form)
    assert (False, True) == (CARD.encode() in content, b"411111******1111" in content or place == "operation")


def test_a_refusal_names_the_place() -> None:
    """The refusal says what it is, in which line, how encoded, and of a zip in which file; the first of many."""
    leak = LEAKS["Base64"]
    with pytest.raises(TicketRefused, match=r"card number in line \d+ \(Base64\) of ticket.md$"):
        showing(request={"a": leak}).rendered("zip")
    with pytest.raises(TicketRefused, match=r": (card number in line \d+ \(Base64\)(, |$)){5}$"):
        showing(request={str(number): leak for number in range(9)}).rendered("md")


def test_ids_of_all_kinds_are_no_reason_to_refuse() -> None:
    """A thousand tickets with every kind of id are made."""
    for number in range(300):
        digest = hashlib.sha256(str(number).encode())
        body = {
            "uuid": msgspec.convert(digest.hexdigest()[:32], str),
            "txid": digest.hexdigest(),
            "id": NOISE.randrange(10**9),
            "rrn": f"{NOISE.randrange(10**12):012}",
            "at": 1_700_000_000_000 + number,
            "token_type": "Bearer",
        }
        headers = {"x-request-id": digest.hexdigest()[:32], "x-amzn-trace-id": f"Root=1-{digest.hexdigest()[:8]}"}
        ticket = showing(
            response=body, response_headers=headers, signed_with=f"sha1, key SHA256:{digest.digest().hex(':')}"
        )
        assert b"" not in [ticket.rendered(form) for form in FORMATS]


# What is shown.


@pytest.mark.parametrize("name", HAPPENINGS)
def test_no_form_shows_what_must_not_be_shown(happen: Callable[[str], Records], name: str, place: Path) -> None:
    """Of a real order no form has the card, the holder, a key, a password or a signature."""
    story = happen(name)
    keys = [line for pem in place.rglob("private.pem") for line in pem.read_text().split() if len(line) > 40]
    secrets = [CARD, "IVAN", "u-881", "203.0.113.24", *keys]
    for form in FORMATS:
        for internal in (False, True):
            content = story.ticket("ru", internal=internal).rendered(form)
            assert ([], ()) == ([each for each in secrets if each.encode() in content], find_leaks(content))


def test_exchanges_are_near_to_http() -> None:
    """A request and an answer are shown as they went, the body in its order, with what was noted of them."""
    headers = {"content-type": "application/json", "account": "93d5df06"}
    page = showing(
        request={"z": 1, "a": {"n": None}}, request_headers=headers, response={"message": "no"}, attempt=1,
        response_headers={"date": "Sat, 31 Jan 2026 12:01:00 GMT"}, server_time=START, signed_with="sha1, key 5a",
        software="payhub 1.0",
    ).rendered().decode()  # fmt: skip
    request = (
        "```http\nPOST https://pay.example/v1/payouts\ncontent-type: application/json\naccount: 93d5df06\n"
        '\n{\n  "z": 1,\n  "a": {\n    "n": null\n  }\n}\n```\n\n'
    )
    answer = '```http\nHTTP 500\ndate: Sat, 31 Jan 2026 12:01:00 GMT\n\n{\n  "message": "no"\n}\n```\n\n'
    about = (
        "- duration: 0.250 s\n- bytes sent / received: 10 / 10\n- your clock (Date): 2026-01-31 12:00:00.000 UTC\n"
        "- attempt: 1\n- signed with: sha1, key 5a\n- software: payhub 1.0\n"
    )
    assert request + answer + about in page


HOSTILE = {
    "fence": "```\n# Paid\n```",
    "terminal": "\x1b[2J\x07\u202e",
    "lines": "a\nb\r\n# Paid",
    "separators": "a\u2028# Paid\u0085# Paid",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_others_words_stay_words(text: str) -> None:
    """A provider's text becomes neither a heading nor a command of the terminal."""
    page = showing(response={"message": text}, response_headers={"server": text}, problem=text).rendered().decode()
    plain = showing().rendered().decode()
    assert [line for line in plain.splitlines() if line.startswith("#")] == headings(page)
    assert [] == [character for character in page if not character.isprintable() and character != "\n"]


ACTIVE = ["<img src=x onerror=alert(1)>", "![p](http://evil.example/t.png)", "[click](javascript:alert(1))", "<!--",
          "<script>alert(1)</script>", "<http://evil.example>", "http://evil.example/x", "www.evil.example",
          "</pre><h1>x",
          "[[x]]", "&lt;b&gt;"]  # fmt: skip


@pytest.mark.parametrize("internal", [False, True])
@pytest.mark.parametrize("ticks", ["", "`` ` ``"])
def test_others_words_make_no_link_and_no_image(sandbox: Sandbox, ticks: str, internal: bool) -> None:
    """Wherever an order's id and the provider's words stand in a ticket, Markdown makes nothing of them."""
    text = " ".join([ticks, *ACTIVE]).strip()
    order_id = f"po {text}"[:125].strip()
    with Hub.from_file(sandbox.config) as hub:
        sandbox.arm("body", body={"payment_status": text, "id": text, "payment_error_message": text})
        hub.create_payout(ACCOUNT, msgspec.structs.replace(PAYOUT, order_id=order_id))
        with contextlib.suppress(PayhubError):
            hub.fetch_payout(ACCOUNT, order_id=order_id)
        page = hub.ticket(ACCOUNT, "payout", order_id, internal=internal).rendered().decode()
    assert ACTIVE[-1] in page
    assert [] == [each for each in ACTIVE if each in outside_of_quotes(page)]


def outside_of_quotes(page: str) -> str:
    """Return what Markdown reads as such: neither in a fence nor between backticks."""
    return re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", page))


def headings(page: str) -> list[str]:
    """Return the headings of a page as Markdown knows them: outside of fences."""
    outside = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", page)
    return [line for line in outside.splitlines() if line.startswith("#")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a", "`a`"),
        ("a`b", "``a`b``"),
        ("`a", "`` `a ``"),
        ("``", "``` `` ```"),
        (" a  b", "`  a  b `"),
        ("a\nb", "`a b`"),
    ],
)
def test_quoted_in_markdown(text: str, shown: str) -> None:
    """Text with backticks is quoted by more of them."""
    assert shown == quoted(text)


def test_a_long_answer_is_cut_where_it_is_only_quoted() -> None:
    """The line of what happened quotes the beginning; the exchange has all of it."""
    page = showing(response={"text": "x" * 1000}).rendered().decode()
    assert [page.index("x" * 200) < page.index(" …`"), True] == [True, "x" * 1000 in page]


def test_what_is_no_json_is_shown_as_kept() -> None:
    """A body that is not JSON is shown as the journal has it, line by line."""
    page = showing(response="[not JSON, 20 bytes] <p>\n<b>").rendered().decode()
    assert "HTTP 500\n\n[not JSON, 20 bytes] <p>\n<b>\n```" in page


# What is internal.


def test_only_an_internal_ticket_tells_of_our_side(sandbox: Sandbox) -> None:
    """Operators, evidence, and what the application bound are in internal tickets only, which say so."""
    with Hub.from_file(sandbox.config) as hub:
        with structlog.contextvars.bound_contextvars(request_id="req-77", user="boris"):
            sandbox.arm("cut_after_accepting", path="/v1/payout", exact=True)
            hub.create_payout(ACCOUNT, PAYOUT)
        hub.resolve(ACCOUNT, "payout", "po-1", "failed", reason="told by phone", by="Anna")
        theirs, ours = (hub.ticket(ACCOUNT, "payout", "po-1", internal=internal) for internal in (False, True))
    words = ("Anna", "told by phone", "req-77", "boris", "INTERNAL", "operator")
    for form in FORMATS:
        assert [] == [word for word in words if word in theirs.rendered(form).decode("latin-1")]
    for form in ("md", "zip"):
        assert [] == [word for word in words if word not in ours.rendered(form).decode("latin-1")]
    values = json.loads(ours.rendered("json"))
    assert (True, "Anna", {"request_id": "req-77", "user": "boris"}) == (
        values["internal"],
        values["history"][-1]["by"],
        values["exchanges"][0]["context"],
    )
    assert ours.rendered().decode().startswith("**INTERNAL: not for the provider**\n\n# Payout po-1")
    assert {"ticket-internal.md", "history-internal.json"} < set(members(ours.rendered("zip")))


@pytest.mark.parametrize(
    ("given", "written"),
    [("po-1.md", "po-1-internal.md"), ("po-1-internal.zip", "po-1-internal.zip"), ("internal.json", "internal.json")],
)
def test_the_name_of_an_internal_file_says_so(tmp_path: Path, given: str, written: str) -> None:
    """The name of the file says that it is not for the provider."""
    ticket = Ticket.of(key(), [record(State.PENDING)], [PENDING], internal=True)
    assert tmp_path / written == ticket.write(tmp_path / given)
    assert [written] == [path.name for path in tmp_path.iterdir()]


# The forms.


def test_the_zip_has_each_part_with_its_hash(happen: Callable[[str], Records]) -> None:
    """The page, each exchange and each notification is a file, and the manifest has the hash of each."""
    content = members(happen("contradicted").ticket().rendered("zip"))
    manifest = json.loads(content["manifest.json"])
    names = [
        f"exchanges/000{number}-{name}.json" for number, name in enumerate(("create_payout", *["fetch_payout"] * 2), 1)
    ]
    assert sorted(["manifest.json", "ticket.md", *names, "notifications/0001.json"]) == list(content)
    sums = {name: hashlib.sha256(each).hexdigest() for name, each in content.items() if name != "manifest.json"}
    assert sums == manifest["sha256"]
    assert ("po-1", "contradicted", 3, 1) == (
        manifest["order_id"],
        manifest["situation"],
        manifest["manifest"]["exchanges"],
        manifest["manifest"]["notifications"],
    )


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_story_makes_the_same_bytes(happen: Callable[[str], Records], form: Format) -> None:
    """A ticket of the same story and time is the same, byte for byte; a zip's times are the newest entry's."""
    story = happen("settled")
    first, again = story.ticket().rendered(form), story.ticket().rendered(form)
    assert first == again
    if form == "zip":
        with zipfile.ZipFile(io.BytesIO(first)) as archive:
            assert {(2026, 1, 31, 12, 0, 2)} == {info.date_time for info in archive.infolist()}


def test_a_zip_of_nothing_kept() -> None:
    """Where nothing is kept, the zip has the page and the manifest."""
    ticket = Ticket.of(key(), [record(State.UNKNOWN)], [ATTEMPT, UNKNOWN], at=START)
    assert ["manifest.json", "ticket.md"] == list(members(ticket.rendered("zip")))


def test_the_manifest_says_how_it_was_made() -> None:
    """The manifest has versions, times, the order's facts, counts, and what each mask in it means."""
    entries = [exchanged(200, software="payhub 0.9, fake 2.0, Python 3.11.0"), PENDING, exchanged(200, 5, software="x")]
    manifest = Ticket.of(key(), [record(State.PENDING)], entries, at=START).manifest
    assert ({"payhub", "Python"}, START) == (set(manifest.made_with), manifest.made_at)
    assert ("payhub 0.9, fake 2.0, Python 3.11.0", "x") == manifest.software
    assert (2, 4) == (manifest.exchanges, (manifest.last_at - manifest.first_at).seconds // 60)  # type: ignore[operator]
    assert "Signature" not in manifest.statement


def test_an_answer_that_contradicts_again_and_again() -> None:
    """A ticket says how often an answer that contradicts came, and when it came last; so does an internal one."""
    again = said(State.SUCCEEDED, Source.STATUS, contradicts=True, times=4, last_at=START + 9 * MINUTE)
    entries = [ATTEMPT, exchanged(), PENDING, again]
    made = [record(State.FAILED, contradicted=True)]
    text, inside = (Ticket.of(key(), made, entries, at=START, internal=internal) for internal in (False, True))
    assert (
        "`succeeded`; received 4 times, last at 2026-01-31 12:09:00.000 UTC; **CONTRADICTS"
        in text.rendered("md").decode()
    )
    assert '"last_at": "2026-01-31T12:09:00.000Z"' in inside.rendered("json").decode()


def test_no_hash_of_what_was_sent_is_shown(happen: Callable[[str], Records]) -> None:
    """Neither an order's fingerprint nor a notification's digest is in a ticket: hidden digits could be tried."""
    story = happen("contradicted")
    known_by = [
        story.records[0].facts.fingerprint,
        *(e.notification.content.digest for e in story.entries if e.notification),
    ]
    for form in FORMATS:
        content = story.ticket(internal=True).rendered(form)
        assert [] == [each for each in known_by if each.encode() in content]


# The file.


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_is_for_its_owner_and_whole(tmp_path: Path, form: Format) -> None:
    """The file has the bytes of the form that its suffix says, and its owner only may read it."""
    path = showing().write(tmp_path / f"po-1.{form.upper()}")
    assert (showing().rendered(form), 0o600) == (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
    assert [path] == list(tmp_path.iterdir())


def test_a_file_is_not_written_over(tmp_path: Path) -> None:
    """A file that is there stays as it is, unless it is said otherwise; so does what a link points to."""
    path = tmp_path / "po-1.md"
    path.write_text("mine")
    (tmp_path / "link.md").symlink_to(path)
    for name in ("po-1.md", "link.md"):
        with pytest.raises(ConfigurationError, match="exists already"):
            showing().write(tmp_path / name)
    assert "mine" == path.read_text()
    showing().write(tmp_path / "link.md", force=True)
    assert ("mine", False) == (path.read_text(), (tmp_path / "link.md").is_symlink())
    showing().write(path, force=True)
    assert (showing().rendered(), 0o600) == (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))


def test_a_refused_ticket_leaves_the_old_file(tmp_path: Path) -> None:
    """With `force`, too, a ticket that is refused changes nothing."""
    path = tmp_path / "po-1.md"
    path.write_text("mine")
    with pytest.raises(TicketRefused):
        showing(request={"a": SIGNATURE}).write(path, force=True)
    assert ("mine", [path]) == (path.read_text(), list(tmp_path.iterdir()))


@pytest.mark.parametrize("force", [False, True])
def test_a_disk_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool) -> None:
    """If the bytes cannot be written, there is no file, nor a part of one."""

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match="cannot be written: No space left"):
        showing().write(tmp_path / "po-1.md", force=force)
    assert [] == list(tmp_path.iterdir())


def test_a_suffix_that_says_nothing(tmp_path: Path) -> None:
    """Where neither the name nor the caller says the form, the known ones are listed."""
    with pytest.raises(ConfigurationError, match=r"^the file's suffix says no format; known: md, json, zip$"):
        showing().write(tmp_path / "po-1.txt")
    assert showing().rendered("json") == showing().write(tmp_path / "po-1.txt", "json").read_bytes()


# The hubs.


def test_a_hub_makes_tickets(sandbox: Sandbox, open_hub: Callable[..., Any], mode: str) -> None:
    """Hubs of both kinds make the ticket of an order; nothing is sent for it, and no account is needed."""
    accounts = {"alikassa-rub": {"provider": "alikassa"}}
    journal = {"url": f"sqlite:///{sandbox.config.parent}/payhub.db", "key": "k" * 32}
    with Hub.from_file(sandbox.config) as hub:
        HAPPENINGS["settled"](hub, sandbox)
    sent = sandbox.requests("/v1/payout/status")
    opened = open_hub(accounts=accounts, journal=journal)
    ticket = opened.ticket(ACCOUNT, "payout", "po-1", lang="ru")
    assert ("settled", "108465371", 2) == (ticket.situation, ticket.provider_id, len(ticket.exchanges))
    assert ticket.text.startswith("# Выплата po-1, 500.00 RUB: успешно, ")
    assert sent == sandbox.requests("/v1/payout/status")
    with pytest.raises(UnknownOrder, match="has no payment 'po-1'"):
        opened.ticket(ACCOUNT, "payment", "po-1")
    with pytest.raises(ConfigurationError, match=r"^no texts in language 'de'; known: en, ru$"):
        opened.ticket(ACCOUNT, "payout", "po-1", lang="de")


class SlowJournal(MemoryJournal):
    """A journal that answers once it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def story(self, order_id: str) -> Any:
        assert self.go.wait(30)
        return super().story(order_id)


def test_a_slow_journal_does_not_stop_the_event_loop() -> None:
    """While the journal is read, the loop goes on."""

    async def main() -> None:
        async with AsyncHub.from_mapping({}) as hub:
            hub.journal = journal = SlowJournal()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(expect_none, hub)
                await anyio.lowlevel.checkpoint()
                journal.go.set()  # nobody would, if the loop stood still

    async def expect_none(hub: AsyncHub) -> None:
        with pytest.raises(UnknownOrder):
            await hub.ticket("shop", "payout", "po-1")

    anyio.run(main)
