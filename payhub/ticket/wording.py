"""Put an order's story into words, for a person who has a minute; no I/O."""

import datetime as dt
import itertools
import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from payhub.journal import Entry, Noted, Verdict
from payhub.masking import Mask, mask_cards, mask_value, printable
from payhub.models import Exchange, Phase
from payhub.ticket.situations import Situation, Story, contrary
from payhub.ticket.texts import (
    DOUBTS,
    FIELDS,
    LABELS,
    METHODS,
    SITUATIONS,
    STATES,
    UNITS,
    Lang,
    Phrases,
    how_often,
    kind_words,
)

_EXCERPT = 240
"""Characters of an answer that its line in the list of what happened may quote."""


def utc(time: dt.datetime) -> str:
    """Write a time as programs read it: ISO 8601, UTC, milliseconds."""
    return time.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock(time: dt.datetime) -> str:
    """Write a time as people read it: UTC, milliseconds."""
    return utc(time).replace("T", " ").replace("Z", " UTC")


def plain(text: object) -> str:
    """Make one harmless line of what others wrote, without a card number."""
    return mask_cards(printable(" ".join(str(text).splitlines())))


def quoted(text: object) -> str:
    """Quote a text as Markdown shows it unchanged."""
    line = plain(text)
    fence = "`" * (_longest_run(line) + 1)
    space = " " if line.startswith(("`", " ")) or line.endswith(("`", " ")) else ""
    return f"{fence}{space}{line}{space}{fence}"


def _longest_run(text: str) -> int:
    return max((len(list(run)) for character, run in itertools.groupby(text) if character == "`"), default=0)


def fenced(text: str, language: str) -> str:
    """Put lines into a block that Markdown shows unchanged."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def body(value: object, indent: int | None = None) -> str:
    """Write a body as it is kept: JSON in the order in which it came, or what stands for it."""
    if isinstance(value, str):
        return value
    return json.dumps(msgspec.to_builtins(value), ensure_ascii=False, indent=indent)


def came(label: str, times: int, last_at: dt.datetime, lang: Lang) -> str:
    """Say how often something came, and when it came last."""
    return LABELS[label][lang].format(often=how_often(times, lang), last=clock(last_at))


class Wording:
    """Tell one story in one language, as it is known at a time."""

    def __init__(self, story: Story, lang: Lang, at: dt.datetime) -> None:
        """Prepare what the phrases name."""
        self._story = story
        self._lang: Lang = lang
        facts, record = story.record.facts, story.record
        create, doubt = story.create, story.doubt
        self._values: dict[str, Any] = {
            **kind_words(lang, facts.kind),
            "amount": facts.amount,
            "paid": record.paid,
            "state": STATES[record.state][lang],
            "fields": ", ".join(FIELDS[name][lang] if name in FIELDS else plain(name) for name in record.mismatches),
            "age": self._duration(at - (story.sent_at or record.created_at)),
            "status": create.status if create else None,
        }
        self._values["doubt"] = DOUBTS[doubt][lang].format(**self._values) if doubt else ""

    def _say(self, label: str) -> str:
        """Return a word of the language's."""
        return LABELS[label][self._lang]

    @property
    def phrases(self) -> Phrases:
        """Return what is said of the situation."""
        head, ask = SITUATIONS[self._story.situation][self._lang]
        return Phrases(head.format(**self._values), ask.format(**self._values))

    def text(self) -> str:
        """Answer what happened to the order, first in a few lines and then one after another."""
        facts = self._story.record.facts
        head = f"# {self._values['Kind']} {plain(facts.order_id)}, {facts.amount}: {self.phrases.head}"
        unwritten = self._story.only_taken and not self._story.asked
        happened = list(self._happened()) or [self._say("nothing_yet" if unwritten else "nothing_kept")]
        lists = [self._list(self._facts()), f"## {self._say('happened')}", self._list(happened)]
        return "\n\n".join([head, *lists])

    @staticmethod
    def _list(lines: Iterable[str]) -> str:
        return "\n".join(f"- {line}" for line in lines)

    def _facts(self) -> Iterator[str]:
        """Say in the first lines what somebody who has to find the order must know."""
        record, facts = self._story.record, self._story.record.facts
        ending = f", {self._say('ending')} {plain(facts.tail)}" if facts.tail else ""
        method = METHODS[facts.method][self._lang] if facts.method in METHODS else plain(facts.method)
        yield f"{self._say('order')}: {quoted(facts.order_id)} ({self._say('account')} {quoted(facts.account)})"
        yield f"{self._say('amount')}: {facts.amount}"
        if record.paid is not None:
            commission = f", {self._say('commission')} {record.commission}" if record.commission else ""
            yield f"{self._say('paid')}: {record.paid}{commission}"
        yield f"{self._say('method')}: {method}{ending}"
        yield f"{self._say('your_id')}: {quoted(record.provider_id) if record.provider_id else self._say('no_id')}"
        yield f"{self._say('sent')}: {self._sent()}"
        if came := self._came_back():
            yield f"{self._say('came')}: {came}"
        yield f"{self._say('state')}: {self._state()}"
        yield f"**{self._say('ask')}.** {self.phrases.ask}"

    def _sent(self) -> str:
        at = self._story.sent_at
        if at is None or self._story.situation is Situation.NOT_SENT:
            return self._say("never")
        return self._say("taken").format(at=clock(at)) if self._story.only_taken else clock(at)

    def _state(self) -> str:
        record = self._story.record
        word = f" ({self._say('your_word')}: {quoted(record.provider_status)})" if record.provider_status else ""
        return f"{self._values['state']}{word}, {self._say('since')} {clock(record.updated_at)}"

    def _came_back(self) -> str | None:
        """Say what came of the create; the reason is the provider's own words, or what prevented them."""
        create, answer = self._story.create, self._story.answer
        if create is None:
            return quoted(mask_value(answer.reason, Mask.WORDS)) if answer and answer.reason else None
        if create.phase is not Phase.ANSWERED:
            return self._unanswered(create)
        http = f"HTTP {create.status}"
        reason = (answer.reason or "").removeprefix(f"{http}: ") if answer else ""
        word = answer.provider_status if answer else None
        said = (
            f": {quoted(mask_value(reason, Mask.WORDS))}"
            if reason
            else f", {self._say('your_word')}: {quoted(word)}"
            if word
            else ""
        )
        return f"{http}{said}"

    def _unanswered(self, exchange: Exchange) -> str:
        label = "not_left" if exchange.phase is Phase.NOT_SENT else "no_answer"
        begun = f"HTTP {exchange.status}, " if exchange.status is not None else ""
        return f"{begun}{self._say(label)}: {quoted(exchange.problem)}"

    def _happened(self) -> Iterator[str]:
        """Tell exchanges and notifications in order; the same answer again only counts."""
        for same in _grouped(self._story):
            entry, last = same[0], same[-1]
            if entry.noted:
                yield self._heard(entry.noted)
            elif entry.exchange:
                again = f"; {came('again', len(same) - 1, last.at, self._lang)}" if len(same) > 1 else ""
                yield f"{self._exchanged(entry.exchange)}{again}"
            elif entry.evidence:
                word = f"{self._say('your_answer')}: {quoted(entry.evidence.provider_status or entry.evidence.state)}"
                times = f"; {came('times', entry.times, entry.last_at, self._lang)}" if entry.last_at else ""
                yield f"{clock(entry.at)} {word}{times}; **{self._say('contradicts')}**"

    def _exchanged(self, exchange: Exchange) -> str:
        head = f"{clock(exchange.started_at)} {exchange.method} {plain(exchange.url)} →"
        if exchange.phase is not Phase.ANSWERED:
            return f"{head} {self._unanswered(exchange)}, {exchange.duration:.3f} {UNITS[self._lang][3]}"
        said = body(exchange.response)
        excerpt = said if len(said) <= _EXCERPT else f"{said[:_EXCERPT].rstrip('0123456789 .-')} …"
        return f"{head} HTTP {exchange.status}, {exchange.duration:.3f} {UNITS[self._lang][3]}: {quoted(excerpt)}"

    def _heard(self, noted: Noted) -> str:
        times = came("times", noted.times, noted.last_at, self._lang)
        paid = f", {noted.notice.paid}" if noted.notice.paid else ""
        contradicts = f"; **{self._say('contradicts')}**" if noted.verdict is Verdict.CONTRADICTED else ""
        said = f"{self._say('notification')}: {quoted(noted.notice.provider_status)}{paid}"
        return f"{clock(noted.at)} {said}{f'; {times}' if noted.times > 1 else ''}{contradicts}"

    def _duration(self, span: dt.timedelta) -> str:
        """Write how long something has lasted, to the two greatest units."""
        seconds = max(0, round(span.total_seconds()))
        counts = (seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60)
        first = next((place for place, count in enumerate(counts) if count), 3)
        pairs = list(zip(counts, UNITS[self._lang], strict=True))[first : first + 2]
        return " ".join(f"{count} {unit}" for count, unit in pairs if count or first == len(counts) - 1)


def _grouped(story: Story) -> Iterator[list[Entry]]:
    """Put exchanges one after another together if the same was asked and the same came back."""
    shown = (entry for entry in story.entries if entry.exchange or entry.noted or contrary(entry))
    for _, same in itertools.groupby(shown, lambda entry: _same(entry.exchange) if entry.exchange else id(entry)):
        yield list(same)


def _same(exchange: Exchange) -> bytes:
    said = (exchange.method, exchange.url, exchange.status, exchange.problem, exchange.request, exchange.response)
    return msgspec.json.encode(said)
