"""Several processes that a launcher such as ``torchrun`` started, which fit a cell together.

The first one (rank 0) does all that one process does: it opens the data, plans, scores, writes
ledger and tracking store, and prints. The others wait for a fit that can be spread: they are sent
what it needs (the training set is pickled, pixels come from the store), take part, and wait again.
All must see the same disks. Where one fails or is stopped in the middle, all end.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar, cast

import numpy as np
import numpy.typing as npt

from vidseg.errors import Stopped, UsageError, VidsegError
from vidseg.utils.stop import AGAIN, check_stop

if TYPE_CHECKING:
    from torch.distributed import Work
    from torch.distributed.distributed_c10d import Store

LAUNCHED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Variables that a launcher sets."""
POLL_SECONDS = 0.05
LONGEST_PAUSE = 0.005
LEAVING_SECONDS = 3.0
CLOSING_SECONDS = 60.0
"""How long a process that failed waits for the first one to have said why."""
MEETING = timedelta(minutes=10)
SUM = timedelta(days=7)
"""How long processes wait for each other, at the start and in a sum."""

Array = npt.NDArray[Any]
Found = TypeVar("Found")


class _Vote(NamedTuple):
    """How one process ended its part: sums that it took part in, and why it failed, if it did."""

    sums: int
    error: str | None


@dataclass
class Team:
    """The processes of a run; alone without a launcher.

    Attributes:
        rank: this process, from 0.
        world: number of processes.
    """

    rank: int = 0
    world: int = 1
    _store: Store | None = None
    _job: int = 0
    _sums: int = 0

    def reduce(self, array: Array) -> Array:
        """Return the sum of an array over all processes.

        Raises:
            Stopped: another process ended without taking part.
        """
        if self.world == 1:
            return array
        import torch
        import torch.distributed as dist

        total = torch.from_numpy(np.array(array))
        self._sums += 1
        work = dist.all_reduce(total, async_op=True)
        assert work is not None
        self._wait(work)
        return np.asarray(total.numpy())

    def run(self, part: Callable[..., Found], *given: Any, **own: Any) -> Found:
        """Call ``part(team, *given)`` in every process; return the first one's result.

        Args:
            part: a function of a module.
            given: can be pickled.
            own: further arguments, for the first process only.

        Raises:
            Exception: what ``part`` raised in the same place everywhere.
            Stopped: a process failed or was stopped, and the others wait for it in vain.
        """
        if self.world == 1:
            return part(self, *given, **own)
        self._job += 1
        self._set(f"job/{self._job}", (part, given))
        result, error = self._take_part(part, given, own)
        votes = {rank: self._get(f"vote/{self._job}/{rank}") for rank in range(1, self.world)}
        self._delete(f"job/{self._job}")
        apart = any(vote.sums != self._sums for vote in votes.values())
        if error is not None:
            raise Stopped(_line(error), "", 1) if apart else error
        failed = [(rank, vote) for rank, vote in votes.items() if vote.error is not None]
        for rank, vote in failed or (votes.items() if apart else ()):
            raise _ended(rank, vote, self.world)
        return cast("Found", result)

    def serve(self) -> None:
        """Take part in what the first process runs, until it is done.

        Raises:
            Stopped: this process failed or was stopped; the first one says why.
        """
        try:
            self._serve()
        finally:
            self._set(f"left/{self.rank}", True)

    def _serve(self) -> None:
        while True:
            job = self._get(f"job/{self._job + 1}")
            if job is None:
                return
            self._job += 1
            part, given = job
            _, error = self._take_part(part, given, {})
            if isinstance(error, Stopped | KeyboardInterrupt):
                with contextlib.suppress(Stopped):
                    self._get("closed", CLOSING_SECONDS)
                raise error

    def close(self) -> None:
        """Let the others end, and wait a moment for them: it may hold what they read."""
        self._set(f"job/{self._job + 1}", None)
        self._set("closed", True)
        until = time.monotonic() + LEAVING_SECONDS
        with contextlib.suppress(Stopped):
            while not all(self._has(f"left/{rank}") for rank in range(1, self.world)):
                if time.monotonic() > until:
                    return
                time.sleep(POLL_SECONDS)

    def _take_part(
        self, part: Callable[..., Found], given: tuple[Any, ...], own: Mapping[str, Any]
    ) -> tuple[Found | None, BaseException | None]:
        self._sums = 0
        result: Found | None = None
        error: BaseException | None = None
        try:
            result = part(self, *given, **own)
        except (Exception, Stopped, KeyboardInterrupt) as raised:
            error = raised
        vote = _Vote(self._sums, None if error is None else _line(error))
        self._set(f"vote/{self._job}/{self.rank}", vote)
        if self.rank == 0 and isinstance(error, Stopped | KeyboardInterrupt):
            raise error
        return result, error

    def _wait(self, work: Work) -> None:
        pause, asked = 1e-5, time.monotonic()
        while not work.is_completed():
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            if time.monotonic() - asked > POLL_SECONDS:
                check_stop()
                self._check_others()
                asked = time.monotonic()
        try:
            work.wait()
        except RuntimeError as error:
            self._check_others(broken=True)
            raise Stopped("another process of this run ended", AGAIN, 1) from error

    def _check_others(self, *, broken: bool = False) -> None:
        """Raise where another process is done with this job, and will not join the sum.

        Args:
            broken: the sum failed: who is done may have left in the middle of it.

        Raises:
            Stopped: says why.
        """
        for rank in range(self.world):
            key = f"vote/{self._job}/{rank}"
            if rank != self.rank and self._has(key):
                vote = self._get(key)
                if broken or vote.sums < self._sums:
                    raise _ended(rank, vote, self.world)

    def _get(self, key: str, seconds: float = float("inf")) -> Any:
        began = time.monotonic()
        while not self._has(key):
            check_stop()
            if time.monotonic() - began > seconds:
                return None
            time.sleep(POLL_SECONDS)
        assert self._store is not None
        return pickle.loads(self._store.get(key))  # noqa: S301 - as sums, only between our own

    def _has(self, key: str) -> bool:
        assert self._store is not None
        try:
            return bool(self._store.check([key]))
        except RuntimeError as error:  # whoever held the store is gone
            raise Stopped("the first process of this run ended", AGAIN, 1) from error

    def _set(self, key: str, value: Any) -> None:
        assert self._store is not None
        with contextlib.suppress(RuntimeError):  # nobody is left who could read it
            self._store.set(key, cast("str", pickle.dumps(value)))  # it takes bytes as well

    def _delete(self, key: str) -> None:
        assert self._store is not None
        with contextlib.suppress(RuntimeError):
            self._store.delete_key(key)


ALONE = Team()
_current = [ALONE]
_past: list[Team] = []


def current() -> Team:
    """Return the processes that fit together: this one alone, unless :func:`joined`."""
    return _current[-1]


def team_for(classifier: object, frames: int) -> Team:
    """Return the processes that fit a cell: this one alone where the classifier cannot share it."""
    team = current()
    shares = getattr(classifier, "distributed", False) and frames >= team.world
    return team if shares else ALONE


def launched() -> bool:
    """Return whether a launcher started several processes, and this is one of them."""
    return all(name in os.environ for name in LAUNCHED) and int(os.environ["WORLD_SIZE"]) > 1


def first_process() -> bool:
    """Return whether this process speaks for all that a launcher started."""
    return not launched() or int(os.environ["RANK"]) == 0


@contextlib.contextmanager
def joined() -> Iterator[Team]:
    """Be one of the processes that a launcher started, for the length of a ``with`` block.

    The block runs in the first process only; the others take part in its fits, and then end.

    Raises:
        SystemExit: in all processes but the first, when it is done.
        Stopped: the processes do not find each other.
        UsageError: the others have ended, with the block before.
    """
    if not launched() or current() is not ALONE:
        yield current()
        return
    if _past:
        raise UsageError(
            "the other processes of the launcher ended with the run before",
            hint="start one run or suite with a launcher",
        )
    team = _join()
    if team.rank:
        _serve(team)
    _current.append(team)
    try:
        yield team
    finally:
        _past.append(_current.pop())
        team.close()


def check_executor(workers: int) -> None:
    """Refuse workers of an executor beside the processes of a launcher.

    Raises:
        UsageError: there are both.
    """
    if workers and launched():
        raise UsageError(
            f"a launcher started {os.environ['WORLD_SIZE']} processes, which fit cells together",
            where="--executor",
            hint="leave it out, or start the command without the launcher",
        )


def _join() -> Team:
    import torch
    import torch.distributed as dist
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    try:
        store, rank, world = next(iter(rendezvous("env://", timeout=MEETING)))
        dist.init_process_group(
            "cpu:gloo,cuda:nccl" if cuda else "gloo",
            store=PrefixStore("group", store),
            rank=rank,
            world_size=world,
            timeout=SUM,
        )
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise Stopped(
            f"the processes of the launcher do not find each other: {reason}", "", 1
        ) from error
    # a command that is started again by the launcher finds nothing of the one before
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return Team(rank, world, PrefixStore(f"vidseg/{attempt}", store))


def _serve(team: Team) -> NoReturn:
    """Take part until the first process is done, then end this one; what it says is enough."""
    try:
        team.serve()
    except Stopped as error:
        raise SystemExit(error.exit_code) from error
    except KeyboardInterrupt as error:
        raise SystemExit(130) from error
    raise SystemExit(0)


def _ended(rank: int, vote: _Vote, world: int) -> Stopped:
    reason = vote.error or "ended its part early"
    return Stopped(f"process {rank + 1} of {world}: {reason}", "", 1)


def _line(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "stopped"
    if isinstance(error, VidsegError | Stopped):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
