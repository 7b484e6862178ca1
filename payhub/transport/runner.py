"""Carry plans out: the only place where bytes leave this machine.

Two runners, one for threads and one for event loops, share every rule: TLS is verified, an answer
has a size and a deadline. They drive httpx's pooled transports and not its clients, so that there
is nothing to follow a redirect, keep a cookie or take a proxy from the environment. How far a call
got is observed on the connection itself, not guessed from the error.
"""

import contextlib
import time
from collections.abc import Iterable
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import msgspec
import tenacity

from payhub.driver import Call, insecure
from payhub.exchanges import events, record
from payhub.exchanges.events import Observer
from payhub.exchanges.reply import Reply
from payhub.journal import Journal
from payhub.journal.memory import MemoryJournal
from payhub.masking import HiddenBytes
from payhub.models import Exchange, Phase
from payhub.plans.plan import Act, Pause, Plan
from payhub.transport import quiet
from payhub.transport.connection import Pools, Watch, build_request, pool_for_event_loop, timeouts
from payhub.transport.deadline import DeadlineTransport, call_deadline
from payhub.transport.settings import Transport

T = TypeVar("T")
Pool = TypeVar("Pool")


def _repeating(deadline: float) -> dict[str, Any]:
    """Say when a read is repeated: not sent or 5xx, with growing jittered pauses, within the deadline."""
    return {
        "retry": tenacity.retry_if_result(_worth_repeating),
        "wait": tenacity.wait_exponential(multiplier=0.2, max=5.0) + tenacity.wait_random(0, 0.2),
        "stop": tenacity.stop_before_delay(deadline) | tenacity.stop_after_attempt(4),
        "retry_error_callback": lambda state: state.outcome.result(),
    }


def _worth_repeating(reply: Reply) -> bool:
    if reply.response is None:
        return reply.phase is Phase.NOT_SENT
    return reply.response.status >= 500  # noqa: PLR2004


def _unpaced(wait: float | None, deadline: float) -> str | None:
    """Say why a call must not leave after its wait: there was no room for it, or no time is left."""
    in_time = wait is not None and time.monotonic() < deadline
    return None if in_time else "the account's rate limit left no room within the time allowed"


class _Runner:
    """Share what both runners know: the time allowed, the journal and the observers."""

    def __init__(
        self, transport: Transport, observers: Iterable[Observer] = (), journal: Journal | None = None
    ) -> None:
        self._transport = transport
        self._timeout = timeouts(transport)
        self._observers = tuple(observers)
        self._journal = journal or MemoryJournal()
        quiet.guard()

    def _reserved(self, account: str, rate: float, deadline: float) -> float | None:
        """Reserve the instant at which a call may leave under the account's rate limit; return how far it is."""
        return self._journal.pace(account, 1 / rate, deadline - time.monotonic())

    def _publish(self, plan: Plan[Any], call: Call, reply: Reply, watch: Watch) -> Reply:
        """Log what happened, and add it to the reply; a log that fails must not change what happens to money."""
        with contextlib.suppress(Exception):
            exchange = record.describe(
                call,
                reply,
                account=plan.account,
                provider=plan.provider,
                software=plan.software,
                started_at=watch.started_at,
                duration=watch.duration(),
            )
            events.publish(exchange, self._observers)
            return msgspec.structs.replace(reply, exchanges=(exchange,))
        return reply


class Runner(_Runner):
    """Carry plans out in the calling thread, over one pool of connections."""

    def __init__(
        self, transport: Transport, observers: Iterable[Observer] = (), journal: Journal | None = None
    ) -> None:
        """Open the pool; nothing is connected yet."""
        super().__init__(transport, observers, journal)
        self._pools = Pools(DeadlineTransport)

    def run(self, plan: Plan[T]) -> T:
        """Carry a plan to its end and return what it ends with."""
        try:
            step = next(plan.steps)
            while True:
                try:
                    done = self._do(plan, step)
                except Exception as cause:  # noqa: BLE001 - the plan knows what it means
                    step = plan.steps.throw(cause)
                else:
                    step = plan.steps.send(done)
        except StopIteration as ended:
            result: T = ended.value
            return result

    def _do(self, plan: Plan[Any], step: Call | Act | Pause) -> object:
        match step:
            case Call():
                return self._send(plan, step)
            case Pause():
                time.sleep(step.seconds)
                return None
            case Act():
                return step.perform(self._journal)

    def _send(self, plan: Plan[Any], call: Call) -> Reply:
        deadline = time.monotonic() + self._transport.deadline
        if call.moves_money:
            return self._once(plan, call, deadline)
        tried: list[Exchange] = []

        def once() -> Reply:
            reply = self._once(plan, call, deadline)
            tried.extend(reply.exchanges)
            return reply

        reply = tenacity.Retrying(**_repeating(self._transport.deadline))(once)
        return msgspec.structs.replace(reply, exchanges=tuple(tried))

    def _once(self, plan: Plan[Any], call: Call, deadline: float) -> Reply:
        watch = Watch()
        token = call_deadline.set(deadline)
        try:
            with quiet.guarded():
                reply = self._exchange(plan, call, watch, deadline)
        except BaseException as cause:
            self._publish(plan, call, watch.failed(cause), watch)
            raise
        finally:
            call_deadline.reset(token)
        return self._publish(plan, call, reply, watch)

    def _exchange(self, plan: Plan[Any], call: Call, watch: Watch, deadline: float) -> Reply:
        try:
            if problem := insecure(call.url) or self._paced(plan, deadline):
                return Reply(phase=Phase.NOT_SENT, problem=problem)
            response = self._pools.here().handle_request(build_request(call, watch, self._timeout))
            try:
                watch.began(response)
                for chunk in map(HiddenBytes, response.iter_raw()):
                    watch.received(chunk)
                return watch.answered()
            finally:
                response.close()
        except Exception as cause:  # noqa: BLE001 - whatever fails here, the phase tells what it means
            return watch.failed(cause)

    def _paced(self, plan: Plan[Any], deadline: float) -> str | None:
        """Wait for the account's rate limit, if it has one; return why the call must not leave."""
        if plan.max_per_second is None:
            return None
        wait = self._reserved(plan.account, plan.max_per_second, deadline)
        time.sleep(wait or 0)
        return _unpaced(wait, deadline)

    def close(self) -> None:
        """Close the connections."""
        self._pools.here().close()


class AsyncRunner(_Runner):
    """Carry plans out in an event loop (asyncio or trio), over one pool of connections."""

    def __init__(
        self, transport: Transport, observers: Iterable[Observer] = (), journal: Journal | None = None
    ) -> None:
        """Open the pool; nothing is connected yet."""
        super().__init__(transport, observers, journal)
        self._pools = Pools(pool_for_event_loop)

    async def run(self, plan: Plan[T]) -> T:
        """Carry a plan to its end and return what it ends with."""
        try:
            step = next(plan.steps)
            while True:
                try:
                    done = await self._do(plan, step)
                except Exception as cause:  # noqa: BLE001 - the plan knows what it means
                    step = plan.steps.throw(cause)
                else:
                    step = plan.steps.send(done)
        except StopIteration as ended:
            result: T = ended.value
            return result

    async def _do(self, plan: Plan[Any], step: Call | Act | Pause) -> object:
        match step:
            case Call():
                return await self._send(plan, step)
            case Pause():
                await anyio.sleep(step.seconds)
                return None
            case Act():
                return await anyio.to_thread.run_sync(step.perform, self._journal)

    async def _send(self, plan: Plan[Any], call: Call) -> Reply:
        deadline = time.monotonic() + self._transport.deadline
        if call.moves_money:
            return await self._once(plan, call, deadline)
        tried: list[Exchange] = []

        async def once() -> Reply:
            reply = await self._once(plan, call, deadline)
            tried.extend(reply.exchanges)
            return reply

        reply: Reply = await tenacity.AsyncRetrying(**_repeating(self._transport.deadline))(once)
        return msgspec.structs.replace(reply, exchanges=tuple(tried))

    async def _once(self, plan: Plan[Any], call: Call, deadline: float) -> Reply:
        watch = Watch()
        try:
            with quiet.guarded():
                reply = await self._exchange(plan, call, watch, deadline)
        except BaseException as cause:
            self._publish(plan, call, watch.failed(cause), watch)
            raise
        return self._publish(plan, call, reply, watch)

    async def _exchange(self, plan: Plan[Any], call: Call, watch: Watch, deadline: float) -> Reply:
        try:
            if problem := insecure(call.url) or await self._paced(plan, deadline):
                return Reply(phase=Phase.NOT_SENT, problem=problem)
            with anyio.fail_after(deadline - time.monotonic()):
                pool = self._pools.here(anyio.lowlevel.current_token())
                response = await pool.handle_async_request(build_request(call, watch.asynchronous, self._timeout))
                try:
                    watch.began(response)
                    async for chunk in response.aiter_raw():
                        watch.received(chunk)
                        del chunk  # a traceback may show it, and the next one may be interrupted
                    return watch.answered()
                finally:
                    await response.aclose()
        except Exception as cause:  # noqa: BLE001 - whatever fails here, the phase tells what it means
            return watch.failed(cause)

    async def _paced(self, plan: Plan[Any], deadline: float) -> str | None:
        """Wait for the account's rate limit, holding no thread: other accounts need them."""
        if plan.max_per_second is None:
            return None
        wait = await anyio.to_thread.run_sync(self._reserved, plan.account, plan.max_per_second, deadline)
        await anyio.sleep(wait or 0)
        return _unpaced(wait, deadline)

    async def close(self) -> None:
        """Close the connections."""
        await self._pools.here(anyio.lowlevel.current_token()).aclose()
