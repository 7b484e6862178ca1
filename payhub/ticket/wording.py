"""An order's story in words, for a person who has a minute; no I/O."""

import datetime as dt
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from payhub.journal import Entry, StoredNotification, Verdict
from payhub.masking import Mask, mask_value, one_line
from payhub.models import Exchange, Phase
from payhub.ticket.markup import body, plain_or_quoted, quoted
from payhub.ticket.situations import Situation, Story, is_contradiction
from payhub.ticket.texts import TEXTS, Lang, Phrases, Texts
from payhub.ticket.values import clock

_EXCERPT = 240
"""Characters of an answer that its line in the timeline may quote."""


def duration(span: dt.timedelta, texts: Texts) -> str:
    """Write how long something has lasted, in its two greatest units."""
    seconds = max(0, round(span.total_seconds()))
    counts = (seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60)
    first = next((place for place, count in enumerate(counts) if count), 3)
    pairs = list(zip(counts, texts.units, strict=True))[first : first + 2]
    return " ".join(f"{count} {unit}" for count, unit in pairs if count or first == len(counts) - 1)


class Wording:
    """A story in one language, as it is known at a time."""

    def __init__(self, story: Story, lang: Lang, at: dt.datetime) -> None:
        """Prepare what the phrases name."""
        self._story = story
        self._texts = TEXTS[lang]
        self._labels = self._texts.labels
        facts, record = story.record.facts, story.record
        self._values: dict[str, Any] = {
            **self._texts.kind(one_line(facts.kind)),
            "amount": facts.amount,
            "paid_amount": record.paid,
            "state": self._texts.states[record.state],
            "fields": self._fields(record.mismatches),
            "age": duration(at - (story.sent_at or record.created_at), self._texts),
            "status": story.create.status if story.create else None,
        }
        doubt = story.doubt
        self._values["doubt"] = self._texts.doubts[doubt].format(**self._values) if doubt else ""

    def _fields(self, names: Iterable[str]) -> str:
        """Say which values of an answer do not match the order."""
        return ", ".join(self._texts.mismatches.get(name) or one_line(name) for name in names)

    @property
    def phrases(self) -> Phrases:
        """Return what is said of the situation."""
        head, ask = self._texts.situations[self._story.situation]
        return Phrases(head.format(**self._values), ask.format(**self._values))

    def text(self) -> str:
        """Return what happened to the order, first in a few lines and then one after another."""
        facts, labels = self._story.record.facts, self._labels
        head = f"# {self._values['Kind']} {plain_or_quoted(facts.order_id)}, {facts.amount}: {self.phrases.head}"
        unwritten = self._story.only_begun and not self._story.asked
        timeline = list(self._timeline()) or [labels.nothing_yet if unwritten else labels.nothing_kept]
        return "\n\n".join([head, _listed(self._facts()), f"## {labels.timeline}", _listed(timeline)])

    def _facts(self) -> Iterator[str]:
        """Say in the first lines what is needed to find the order."""
        story, labels = self._story, self._labels
        record, facts = story.record, story.record.facts
        ending = f", {labels.ending} {one_line(facts.tail)}" if facts.tail else ""
        method = self._texts.methods.get(facts.method) or one_line(facts.method)
        yield f"{labels.order}: {quoted(facts.order_id)} ({labels.account} {quoted(facts.account)})"
        yield f"{labels.amount}: {facts.amount}"
        if record.paid is not None:
            commission = f", {labels.commission} {record.commission}" if record.commission else ""
            yield f"{self._values['Paid']}: {record.paid}{commission}"
        yield f"{labels.method}: {method}{ending}"
        yield f"{labels.provider_id}: {quoted(record.provider_id) if record.provider_id else labels.no_provider_id}"
        if story.sent_at is None or story.situation is Situation.NOT_SENT:
            sent = labels.not_sent
        else:
            at = clock(story.sent_at)
            sent = labels.started.format(at=at) if story.only_begun else at
        yield f"{labels.sent}: {sent}"
        if answer := self._answer():
            yield f"{labels.answer}: {answer}"
        theirs = f" ({labels.provider_status}: {quoted(record.provider_status)})" if record.provider_status else ""
        yield f"{labels.state}: {self._values['state']}{theirs}, {labels.since} {clock(record.updated_at)}"
        yield f"**{labels.ask}.** {self.phrases.ask}"

    def _answer(self) -> str | None:
        """Say what the create request got: our own reason in the ticket's language, the words of others as they are."""
        create, answer = self._story.create, self._story.answer
        reason = quoted(mask_value(answer.reason, Mask.WORDS)) if answer and answer.reason else None
        if answer and answer.why:
            fields = self._fields(answer.mismatches)
            reason = self._texts.reasons[answer.why].format(words=reason or "…", fields=fields)
        if create is None:
            return reason
        if create.phase is not Phase.ANSWERED:
            return self._unanswered(create)
        http = f"HTTP {create.status}"
        if reason:
            return f"{http}: {reason}"
        if answer and answer.provider_status:
            return f"{http}, {self._labels.provider_status}: {quoted(answer.provider_status)}"
        return http

    def _unanswered(self, exchange: Exchange) -> str:
        begun = f"HTTP {exchange.status}, " if exchange.status is not None else ""
        label = self._labels.nothing_left if exchange.phase is Phase.NOT_SENT else self._labels.no_answer
        return f"{begun}{label}: {quoted(exchange.problem)}"

    def _timeline(self) -> Iterator[str]:
        """Tell exchanges and notifications in order; the same answer to the same question again only counts."""
        labels = self._labels
        entries = (entry for entry in self._story.entries if entry.what != "act")  # what a person did is our business
        shown = (e for e in entries if e.exchange or e.notification or is_contradiction(e))
        for _, group in itertools.groupby(shown, _question_and_answer):
            entry, *again = group
            if entry.notification:
                yield self._notification(entry.notification)
            elif entry.exchange:
                times = f"; {self._received(labels.same_again, len(again), again[-1].at)}" if again else ""
                yield f"{self._exchange(entry.exchange)}{times}"
            elif entry.evidence:
                word = quoted(entry.evidence.provider_status or entry.evidence.state)
                times = f"; {self._received(labels.received, entry.times, entry.last_at)}" if entry.last_at else ""
                yield f"{clock(entry.at)} {labels.provider_answer}: {word}{times}; **{labels.contradicts}**"

    def _exchange(self, exchange: Exchange) -> str:
        head = f"{clock(exchange.started_at)} {exchange.method} {one_line(exchange.url)} →"
        took = f"{exchange.duration:.3f} {self._texts.units[3]}"
        if exchange.phase is not Phase.ANSWERED:
            return f"{head} {self._unanswered(exchange)}, {took}"
        answer = body(exchange.response)
        excerpt = answer if len(answer) <= _EXCERPT else f"{answer[:_EXCERPT].rstrip('0123456789 .-')} …"
        return f"{head} HTTP {exchange.status}, {took}: {quoted(excerpt)}"

    def _notification(self, stored: StoredNotification) -> str:
        labels, content = self._labels, stored.content
        paid = f", {content.paid}" if content.paid else ""
        other = content.provider_id not in {"", self._story.record.provider_id or content.provider_id}
        named = f", {self._texts.mismatches['provider_id']} {quoted(content.provider_id)}" if other else ""
        times = f"; {self._received(labels.received, stored.times, stored.last_at)}" if stored.times > 1 else ""
        contradicts = f"; **{labels.contradicts}**" if stored.verdict is Verdict.CONTRADICTED else ""
        said = f"{quoted(content.provider_status)}{named}{paid}"
        return f"{clock(stored.at)} {labels.notification}: {said}{times}{contradicts}"

    def _received(self, label: str, times: int, last_at: dt.datetime) -> str:
        return label.format(times=self._texts.times(times), last=clock(last_at))


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _question_and_answer(entry: Entry) -> object:
    """Return what two entries have in common that say the same; of two notifications each says something new."""
    exchange = entry.exchange
    if exchange is None:
        return id(entry)
    asked, answered = (exchange.method, exchange.url, exchange.request), (exchange.status, exchange.response)
    return msgspec.json.encode((asked, answered, exchange.problem))
