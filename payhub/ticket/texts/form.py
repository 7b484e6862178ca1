"""The form that a ticket's texts have in every language; what is missing in one does not pass mypy or a test.

A phrase may name a form of the kind's word and what `payhub.ticket.wording` fills in: `{amount}`,
`{paid_amount}`, `{state}`, `{fields}`, `{age}`, `{status}` (of HTTP) and `{doubt}`.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from payhub.journal import State, Why
from payhub.models import Phase
from payhub.ticket.situations import Doubt, Situation

Forms = Mapping[str, str]
"""The forms of one word: of `payment` or `payout`, and of what is said of them."""


class Phrases(NamedTuple):
    """A situation in a few words, and what the provider's support is asked for."""

    head: str
    ask: str


class Labels(NamedTuple):
    """What stands before a value, for a section, or alone where there is no value."""

    order: str
    account: str
    amount: str
    commission: str
    method: str
    ending: str
    provider_id: str
    no_provider_id: str
    sent: str
    not_sent: str
    started: str
    answer: str
    state: str
    provider_status: str
    since: str
    ask: str
    timeline: str
    nothing_kept: str
    nothing_yet: str
    no_answer: str
    nothing_left: str
    same_again: str
    notification: str
    received: str
    contradicts: str
    provider_answer: str
    exchanges: str
    notifications: str
    attempt: str
    duration: str
    size: str
    provider_clock: str
    signed_with: str
    software: str
    context: str
    manifest: str
    masks: str
    internal: str
    history: str
    yes: str


class Texts(NamedTuple):
    """Every word that a ticket says in one language.

    * `kinds`: the forms of each kind's word; a new kind adds a row of words, and no code. One without a row is
      called by its name in code, in the forms of `other_kind`.
    * `reasons`: why a create request was not answered as documented: `{words}` are those of others, `{fields}` what
      does not match.
    * `mismatches`: what the names mean that a result's `mismatches` may have.
    * `manifest`: what the fields of a manifest are called, but for the statement and the masks.
    * `masks`: what each mask means, by a sample of it.
    * `units`: days, hours, minutes and seconds.
    * `times`: how often something was received.
    """

    kinds: Mapping[str, Forms]
    other_kind: Forms
    situations: Mapping[Situation, Phrases]
    doubts: Mapping[Doubt, str]
    states: Mapping[State, str]
    phases: Mapping[Phase, str]
    reasons: Mapping[Why, str]
    methods: Mapping[str, str]
    mismatches: Mapping[str, str]
    labels: Labels
    manifest: Mapping[str, str]
    masks: Mapping[str, str]
    statement: str
    units: tuple[str, str, str, str]
    times: Callable[[int], str]

    def kind(self, name: str) -> Forms:
        """Return the forms of a kind's word, with a capital letter, too: `{kind}` and `{Kind}`."""
        known = self.kinds.get(name)
        forms = known or {form: text.format(name=name.replace("_", " ")) for form, text in self.other_kind.items()}
        return {**forms, **{form[:1].upper() + form[1:]: text[:1].upper() + text[1:] for form, text in forms.items()}}
