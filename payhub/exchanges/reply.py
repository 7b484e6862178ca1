"""How a call went, for the plan that wanted it made."""

from payhub.driver import Response
from payhub.masking import Clear, MaskedStruct
from payhub.models import Exchange, Phase


class Reply(MaskedStruct, frozen=True, kw_only=True):
    """The outcome of a call: how far it got, and the complete answer or what prevented it.

    `part` is what was received of an incomplete answer: nothing may be concluded from it.
    `too_late` is true of a call that was not sent because its time was over. `exchanges` has the masked
    record of every try, this one last.
    """

    phase: Clear[Phase]
    response: Clear[Response | None] = None
    part: Clear[Response | None] = None
    problem: Clear[str | None] = None
    too_late: Clear[bool] = False
    exchanges: Clear[tuple[Exchange, ...]] = ()
