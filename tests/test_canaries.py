"""Rule 12, over everything at once: what must not be shown is in nothing that leaves payhub.

`tests/canaries.py` says what is planted and finds it, `tests/aviary.py` lets it fly through the whole of
payhub, `tests/loud.py` hears every library. What was found so is compared with what may be there: nothing,
but for the frames of the libraries below, which are named here and in the docs.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

import pytest

from payhub import Hub
from payhub.masking.text import mask_birth, mask_cards, mask_email, mask_link, mask_name, mask_phone, truncate
from tests import aviary
from tests.aviary import opened
from tests.canaries import Canary, card, date, leaks, leaks_among, noise, pem, phone, words
from tests.loud import Frame, Heard, listening

# The search itself.

KEY = base64.b64encode(bytes(range(3, 253))).decode()
PEM = "\n".join(["-----BEGIN PRIVATE KEY-----", *re.findall(".{1,64}", KEY), "-----END PRIVATE KEY-----"])
SIGNATURE = base64.b64encode(bytes(reversed(range(256)))).decode()
PLANTED: dict[str, tuple[Canary, str]] = {
    **{f"card of {length} digits": (card(number), number) for length, number in aviary.NUMBERS.items()},
    "bank account": (card(aviary.BANK_ACCOUNT), aviary.BANK_ACCOUNT),
    "phone": (phone(aviary.PHONE), aviary.PHONE),
    "name": (words("name", aviary.NAME), aviary.NAME),
    "name in Cyrillic": (words("name", aviary.SURNAME), aviary.SURNAME),
    "e-mail": (words("e-mail", "zebulonia.quince"), aviary.EMAIL),
    "birth date": (date("birth date", aviary.BIRTH), aviary.BIRTH.isoformat()),
    "password": (words("password", "p/ss wörd+&=1"), "p/ss wörd+&=1"),
    "key": (pem("key", PEM), PEM.split("\n")[1]),
    "key's end": (pem("key", PEM), KEY.rstrip("=")[-66:]),
    "signature": (noise("signature", SIGNATURE), SIGNATURE),
}


def b64(start: int) -> Callable[[str], bytes]:
    """Encode in Base64 what begins at any place of a group of three."""
    return lambda text: base64.b64encode(b"xyz"[:start] + text.encode() + b"z")


ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "URL": lambda text: quote(text, safe="").encode(),
    "form": lambda text: quote_plus(text).encode(),
    "URL, every byte": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()).encode(),
    "url, every byte": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()).encode(),
    **{f"Base64 from {start}": b64(start) for start in range(3)},
    "Base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()),
    "hex": lambda text: text.encode().hex().encode(),
    "HEX": lambda text: text.encode().hex().upper().encode(),
    "UTF-16": lambda text: text.encode("utf-16-le"),
    "UTF-16-BE": lambda text: text.encode("utf-16-be"),
    "JSON": lambda text: json.dumps({"text": text}).encode(),
    "JSON as PHP writes it": lambda text: json.dumps(text).replace("/", "\\/").encode(),
    "JSON, every character": lambda text: "".join(f"\\u{ord(character):04x}" for character in text).encode(),
    "repr of bytes": lambda text: repr(text.encode()).encode(),
}


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_canary_is_found(name: str, encode: Callable[[str], bytes]) -> None:
    """Whatever is planted, and however it is encoded, it is found among other bytes."""
    canary, text = PLANTED[name]
    assert leaks(b"INFO event=x \x00\xff" + encode(text) + b"; y", [canary])


@pytest.mark.parametrize("mark", " -")
@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("name", [*(n for n in PLANTED if n.startswith("card")), "bank account"])
def test_a_number_in_groups_is_found(name: str, encode: Callable[[str], bytes], mark: str) -> None:
    """A number is found in groups of four, too, and however these are encoded."""
    canary, number = PLANTED[name]
    assert leaks(b"a " + encode(mark.join(re.findall(".{1,4}", number))) + b" b", [canary])


def test_raw_bytes_of_a_key_are_found() -> None:
    """A key or signature that was decoded is found as bytes, as their repr, and in hexadecimal."""
    raw, canary = base64.b64decode(SIGNATURE), noise("signature", SIGNATURE)
    assert [True] * 3 == [bool(leaks(text, [canary])) for text in (b"<" + raw, repr(raw), raw.hex())]


def test_more_digits_than_a_mask_shows_are_found() -> None:
    """All but the last four, or all but the first six, are a leak as well."""
    canary = card(aviary.CARD)
    assert leaks(f"{aviary.CARD[:-4]}****", [canary])
    assert leaks(f"******{aviary.CARD[6:]}", [canary])


def test_what_is_masked_is_not_found() -> None:
    """Of what payhub's masks show nothing is taken for a leak."""
    shown = [
        *map(truncate, [*aviary.NUMBERS.values(), aviary.BANK_ACCOUNT, aviary.PAYER_ID]), mask_phone(aviary.PHONE),
        *map(mask_name, [aviary.NAME, aviary.SURNAME]), mask_email(aviary.EMAIL), mask_birth(str(aviary.BIRTH)),
        mask_link(aviary.LINK), mask_cards(" ".join(aviary.NUMBERS.values())),
        repr(aviary.PAYER), repr(aviary.RECIPIENT),
    ]  # fmt: skip
    assert [] == [found for text in shown for found in leaks(text, aviary.PLANTED)]


# What left payhub.


class Flown(NamedTuple):
    """Hold what came out of one run, by its kind, each text once."""

    heard: Heard
    canaries: list[Canary]
    sent: bytes
    texts: Mapping[str, frozenset[bytes]]


def lines(texts: Iterable[str | bytes]) -> frozenset[bytes]:
    """Take texts apart: most of their lines repeat."""
    raw = (text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text for text in texts)
    return frozenset(line for text in raw for line in text.splitlines())


@pytest.fixture(scope="module", params=["sync", "async"])
def flown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flown]:
    """Run everything once with each kind of hub, and collect what came out."""
    directory = tmp_path_factory.mktemp("aviary")
    with listening() as heard, aviary.aviary(directory, heard) as place:
        with opened(request.param, place) as hub:
            place.use(hub)
            place.misconfigure()
            place.receive(hub)
            place.show(hub)
            tickets = lines(place.tickets(hub))
            files = place.files()
        commands = lines(place.commands())
        assert {"payhub.db", "payhub.db-wal", "payhub.db-shm"} <= set(files)
        texts = {
            "log": frozenset(f"{library} {line}".encode() for library, line in heard.lines),
            "error": lines(text for _, text in heard.errors),
            "repr": lines(heard.reprs),
            "ticket": tickets,
            "file": frozenset(files.values()),
            "command": commands,
            "frame": lines(frame.shown for frame in heard.frames if frame.package.startswith("payhub")),
        }
        yield Flown(heard, place.canaries(), b"".join(place.server.bodies), texts)


def test_the_canaries_flew(flown: Flown) -> None:
    """They were in what the provider got, every library spoke, and there was something of every kind to search."""
    personal = [canary for canary in flown.canaries if canary.name in _PERSONAL]
    arrived = {found.partition(":")[0] for found in leaks(flown.sent, personal)}
    signatures = sum(canary.name == "signature" for canary in flown.canaries)
    libraries = {library for library, _ in flown.heard.lines}
    assert (_PERSONAL, True) == (arrived, signatures > 30)
    assert {"alembic", "asyncio", "httpcore", "psycopg", "sqlalchemy", "structlog"} <= libraries
    assert [] == [kind for kind, texts in flown.texts.items() if len(b"".join(texts)) < 10_000]
    assert [] == [error for error in flown.heard.errors if error[0] in {"AttributeError", "NameError", "KeyError"}]


_PERSONAL = {
    "card of 16 digits", "card of 20 digits", "phone", "birth date", "first name", "last name", "e-mail", "address",
    "city", "state", "post code", "payer's id", "address of IP", "description", "token of a link",
}  # fmt: skip

# The journal needs the payment page to give it again.
_KEPT = {"file": {"token of the payment page"}}


@pytest.mark.parametrize("kind", ["log", "error", "repr", "ticket", "file", "command", "frame"])
def test_rule_12_nothing_that_was_planted_comes_out(flown: Flown, kind: str) -> None:
    """Rule 12: no log line, error, repr, ticket, file, command and none of payhub's own frames shows a canary."""
    canaries = [canary for canary in flown.canaries if canary.name not in _KEPT.get(kind, set())]
    assert set() == leaks_among(flown.texts[kind], canaries)


# What payhub cannot hide: the locals of other libraries' frames.

CONNECTING = {("psycopg", "connection.connect"), ("sqlalchemy", "create.connect")}


def shown_by(frames: Iterable[Frame], canaries: list[Canary]) -> set[tuple[str, str]]:
    """Name the frames of other libraries whose locals show a canary."""
    others = {frame for frame in frames if not frame.package.startswith(("payhub", "tests"))}
    return {(frame.package, frame.function) for frame in others if leaks(frame.shown, canaries)}


def test_other_libraries_show_the_database_password_in_locals_and_nothing_else(flown: Flown) -> None:
    """Who logs locals shows the database's password, where connecting fails; each exception is needed."""
    assert CONNECTING == shown_by(flown.heard.frames, flown.canaries)


class Interrupt(BaseException):
    """Interrupt a call, as Ctrl-C or a cancelled task does."""


def test_an_interrupt_while_writing_shows_the_request_in_locals_of_httpcore(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only an interrupt goes through the frames that hold the request; payhub's own, the lowest too, hide it."""
    written: list[bytes] = []

    def write(_: Any, buffer: bytes, *__: Any) -> None:
        written.append(buffer)
        if aviary.CARD.encode() in buffer:
            raise Interrupt

    with listening() as heard, aviary.aviary(tmp_path_factory.mktemp("interrupted"), heard) as place:
        with Hub.from_mapping(place.tables, base=place.directory) as hub, monkeypatch.context() as patched:
            patched.setattr("httpcore._backends.sync.SyncStream.write", write)
            heard.attempt(hub.create_payout, "echo", aviary.payout("po-1"))
        sign = re.findall(rb"Sign: (\S+)", b"".join(written), re.IGNORECASE)[0].decode()
        canaries = [*place.canaries(), noise("signature", sign)]
    ours = lines(frame.shown for frame in heard.frames if frame.package.startswith("payhub"))
    interrupted = {frame.function for frame in heard.frames if frame.package.startswith("payhub")}
    assert "deadline.write" in interrupted
    assert set() == leaks_among(ours, canaries)
    assert {"httpcore"} == {package for package, _ in shown_by(heard.frames, canaries)}


def test_a_leak_among_many_texts_is_found() -> None:
    """What is searched all at once is found in its own text, and nowhere else."""
    texts = [b"nothing", f"{aviary.CARD} and more".encode(), b"nothing either"]
    found = leaks_among(texts, aviary.PLANTED)
    assert {
        (f"card of 16 digits: {way}, as it is", texts[1]) for way in ("plain, its beginning", "plain, its end")
    } == found


def test_a_frame_that_leaks_is_found() -> None:
    """The search sees locals as three tools show them: here those of a function of this test."""
    heard = Heard()

    def careless() -> None:
        number = f"{aviary.CARD}"
        raise ValueError(len(number))

    heard.attempt(careless)
    found = [leaks(frame.shown, aviary.PLANTED) for frame in heard.frames if frame.function.endswith("careless")]
    assert [True] * 3 == list(map(bool, found))
