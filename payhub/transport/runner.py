"""Carry plans out: the only place where bytes leave this machine.

Two runners, one for threads and one for event loops, share every rule: TLS is verified, an answer
has a size and a deadline. They drive httpx's pooled transports and not its clients, so that there
is nothing to follow a redirect, keep a cookie or take a proxy from the environment. How far a call
got is observed on the connection itself, not guessed from the error.
"""

import contextlib
import ssl
import time
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
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
from payhub.plans.plan import Act, Pause, Plan, Send
from payhub.transport import quiet
from payhub.transport.connection import CallTrace, build_request, timeouts
from payhub.transport.deadline import DeadlineTransport, call_deadline
from payhub.transport.pool import AsyncTransport, Pools
from payhub.transport.settings import Transport

T = TypeVar("T")
Pool = TypeVar("Pool")


def _is_worth_repeating(reply: Reply) -> bool:
    if reply.response is None:
        return reply.phase is Phase.NOT_SENT
    return reply.response.status >= 500  # noqa: PLR2004


def _retry_reads(deadline: float) -> dict[str, Any]:
    """Return when tenacity repeats a read: not sent or 5xx, with growing jittered pauses, within the deadline."""
    return {
        "retry": tenacity.retry_if_result(_is_worth_repeating),
        "wait": tenacity.wait_exponential(multiplier=0.2, max=5.0) + tenacity.wait_random(0, 0.2),
        "stop": tenacity.stop_before_delay(deadline) | tenacity.stop_after_attempt(4),
        "retry_error_callback": lambda state: state.outcome.result(),
    }


def _rate_limit_problem(wait: float | None, deadline: float) -> str | None:
    """Return why a call must not leave after its wait: it got no slot, or no time is left."""
    in_time = wait is not None and time.monotonic() < deadline
    return None if in_time else "the account's rate limit left no room within the time allowed"


class _Runner(Generic[Pool]):
    """The part that both runners share: the pools of connections, the time allowed, the journal, the observers."""

    def __init__(
        self, transport: Transport, observers: Iterable[Observer] = (), journal: Journal | None = None
    ) -> None:
        """Keep what the calls need; nothing is connected yet."""
        self._pools = Pools(self._open_pool, transport)
        self._transport = transport
        self._timeout = timeouts(transport)
        self._observers = tuple(observers)
        self._journal = journal or MemoryJournal()
        quiet.install()

    def _open_pool(self, context: ssl.SSLContext, proxy: str | None) -> Pool:
        raise NotImplementedError

    def _reserve_slot(self, account: str, rate: float, deadline: float) -> float | None:
        """Reserve the instant at which a call may leave under the account's rate limit; return how far it is."""
        return self._journal.reserve_slot(account, 1 / rate, deadline - time.monotonic())

    def _publish(self, plan: Plan[Any], call: Call, reply: Reply, trace: CallTrace) -> Reply:
        """Log what happened, and add it to the reply; a log that fails must not change what happens to money."""
        with contextlib.suppress(Exception):
            exchange = record.describe(
                call,
                reply,
                account=plan.account,
                provider=plan.provider,
                software=plan.software,
                started_at=trace.started_at,
                duration=trace.duration(),
            )
            events.publish(exchange, self._observers)
            return msgspec.structs.replace(reply, exchanges=(exchange,))
        return reply


class Runner(_Runner[httpx.HTTPTransport]):
    """A runner for threads: it carries plans out in the calling thread, over one pool of connections."""

    def _open_pool(self, context: ssl.SSLContext, proxy: str | None) -> httpx.HTTPTransport:
        return DeadlineTransport(context, proxy)

    def run(self, plan: Plan[T]) -> T:
        """Carry a plan to its end and return what it ends with."""
        try:
            step = next(plan.steps)
            while True:
                try:
                    done = self._carry_out(plan, step)
                except Exception as cause:  # noqa: BLE001 - the plan knows what it means
                    step = plan.steps.throw(cause)
                else:
                    step = plan.steps.send(done)
        except StopIteration as ended:
            result: T = ended.value
            return result

    def _carry_out(self, plan: Plan[Any], step: Send | Act | Pause) -> object:
        match step:
            case Send():
                return self._send(plan, step)
            case Pause():
                time.sleep(step.seconds)
                return None
            case Act():
                return step.perform(self._journal)

    def _send(self, plan: Plan[Any], send: Send) -> Reply:
        deadline = time.monotonic() + self._transport.deadline
        if send.call.moves_money:
            return self._try_once(plan, send, deadline)
        exchanges: list[Exchange] = []

        def attempt() -> Reply:
            reply = self._try_once(plan, send, deadline)
            exchanges.extend(reply.exchanges)
            return reply

        reply = tenacity.Retrying(**_retry_reads(self._transport.deadline))(attempt)
        return msgspec.structs.replace(reply, exchanges=tuple(exchanges))

    def _try_once(self, plan: Plan[Any], send: Send, deadline: float) -> Reply:
        call, trace = send.call, CallTrace(send.until)
        token = call_deadline.set(deadline)
        try:
            with quiet.during_call():
                reply = self._exchange(plan, call, trace, deadline)
        except BaseException as cause:
            self._publish(plan, call, trace.fail(cause), trace)
            raise
        finally:
            call_deadline.reset(token)
        return self._publish(plan, call, reply, trace)

    def _exchange(self, plan: Plan[Any], call: Call, trace: CallTrace, deadline: float) -> Reply:
        try:
            if problem := insecure(call.url) or self._wait_for_slot(plan, deadline):
                return Reply(phase=Phase.NOT_SENT, problem=problem)
            response = self._pools.current().handle_request(build_request(call, trace.observe, self._timeout))
            try:
                trace.take_head(response)
                for chunk in map(HiddenBytes, response.iter_raw()):
                    trace.take_chunk(chunk)
                return trace.finish()
            finally:
                response.close()
        except Exception as cause:  # noqa: BLE001 - whatever fails here, the phase says what it means
            return trace.fail(cause)

    def _wait_for_slot(self, plan: Plan[Any], deadline: float) -> str | None:
        """Wait for the account's rate limit, if it has one; return why the call must not leave."""
        if plan.max_per_second is None:
            return None
        wait = self._reserve_slot(plan.account, plan.max_per_second, deadline)
        time.sleep(wait or 0)
        return _rate_limit_problem(wait, deadline)

    def close(self) -> None:
        """Close the connections."""
        self._pools.current().close()


class AsyncRunner(_Runner[httpx.AsyncHTTPTransport]):
    """A runner for event loops, of asyncio and trio: it carries plans out over one pool of connections."""

    def _open_pool(self, context: ssl.SSLContext, proxy: str | None) -> httpx.AsyncHTTPTransport:
        return AsyncTransport(context, proxy)  # `anyio.fail_after` keeps the deadline

    async def run(self, plan: Plan[T]) -> T:
        """Carry a plan to its end and return what it ends with."""
        try:
            step = next(plan.steps)
            while True:
                try:
                    done = await self._carry_out(plan, step)
                except Exception as cause:  # noqa: BLE001 - the plan knows what it means
                    step = plan.steps.throw(cause)
                else:
                    step = plan.steps.send(done)
        except StopIteration as ended:
            result: T = ended.value
            return result

    async def _carry_out(self, plan: Plan[Any], step: Send | Act | Pause) -> object:
        match step:
            case Send():
                return await self._send(plan, step)
            case Pause():
                await anyio.sleep(step.seconds)
                return None
            case Act():
                return await anyio.to_thread.run_sync(step.perform, self._journal)

    async def _send(self, plan: Plan[Any], send: Send) -> Reply:
        deadline = time.monotonic() + self._transport.deadline
        if send.call.moves_money:
            return await self._try_once(plan, send, deadline)
        exchanges: list[Exchange] = []

        async def attempt() -> Reply:
            reply = await self._try_once(plan, send, deadline)
            exchanges.extend(reply.exchanges)
            return reply

        reply: Reply = await tenacity.AsyncRetrying(**_retry_reads(self._transport.deadline))(attempt)
        return msgspec.structs.replace(reply, exchanges=tuple(exchanges))

    async def _try_once(self, plan: Plan[Any], send: Send, deadline: float) -> Reply:
        call, trace = send.call, CallTrace(send.until)
        try:
            with quiet.during_call():
                reply = await self._exchange(plan, call, trace, deadline)
        except BaseException as cause:
            self._publish(plan, call, trace.fail(cause), trace)
            raise
        return self._publish(plan, call, reply, trace)

    async def _exchange(self, plan: Plan[Any], call: Call, trace: CallTrace, deadline: float) -> Reply:
        try:
            if problem := insecure(call.url) or await self._wait_for_slot(plan, deadline):
                return Reply(phase=Phase.NOT_SENT, problem=problem)
            with anyio.fail_after(deadline - time.monotonic()):
                pool = self._pools.current(anyio.lowlevel.current_token())
                response = await pool.handle_async_request(build_request(call, trace.observe_async, self._timeout))
                try:
                    trace.take_head(response)
                    async for chunk in response.aiter_raw():
                        trace.take_chunk(chunk)
                        del chunk  # a traceback may show it, and the next one may be interrupted
                    return trace.finish()
                finally:
                    await response.aclose()
        except Exception as cause:  # noqa: BLE001 - whatever fails here, the phase says what it means
            return trace.fail(cause)

    async def _wait_for_slot(self, plan: Plan[Any], deadline: float) -> str | None:
        """Wait for the account's rate limit, holding no thread: other accounts need them."""
        if plan.max_per_second is None:
            return None
        wait = await anyio.to_thread.run_sync(self._reserve_slot, plan.account, plan.max_per_second, deadline)
        await anyio.sleep(wait or 0)
        return _rate_limit_problem(wait, deadline)

    async def close(self) -> None:
        """Close the connections."""
        await self._pools.current(anyio.lowlevel.current_token()).aclose()
