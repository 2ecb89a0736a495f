"""`face-service embed --ray`: parts on the actors of a Ray cluster. Decision 0034 has the reasons.

Ray hands out parts and replaces what is lost. What is done is known by the files of the folder, as
without Ray, and not by a checkpoint of Ray Data.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

# Before the import: nothing is reported, and what outlives a run starts no cluster of its own.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")

import ray
import ray.data
from ray.data.exceptions import ExecutionTimeoutError
from ray.exceptions import GetTimeoutError, RayError

from face_service.engine_info import EngineInfo
from face_service.errors import FaceServiceError, StartupError
from face_service.offline import INTERRUPTED
from face_service.offline.isolation import Processes
from face_service.offline.manifest import Part, parts_of, read_manifest, shard_of
from face_service.offline.output import Folder
from face_service.offline.patience import each_within
from face_service.offline.run import (
    Request,
    Tally,
    bar,
    check_requirements,
    count_items,
    embed_parts,
)
from face_service.runtime.providers import CPU

CPUS_OF_AN_ACTOR = 0.5
"""CPUs that an actor asks Ray for, though it uses a whole one: so the actors of a lost node find a
place on the other nodes. With 1 they would wait for a CPU to be free, and keep the parts that they
were given (decision 0034)."""
CARDS_OF_AN_ACTOR = 0.5
"""GPUs that an actor asks Ray for: two actors share one, as `run.PROCESSES_ON_A_CARD` says."""
TASK_RETRIES = 3
"""Of a part whose actor dies. Ray's default, -1, retries for ever, even a part that kills it."""
ROUNDS = 3
"""How often the parts that are missing are handed out. Until Ray knows that a node is lost, each
attempt to reach its actors uses up one of TASK_RETRIES; the next round takes up what that lost."""
STARTS = 3
"""Attempts to start Ray on this machine: if it is busy, Ray gives up waiting for its processes."""
LEAST_PATIENCE_S = 300
"""Least time without a finished part after which a round is ended; the longest that a part may
take (`rows` times `timeout`) where that is more. Ray's default is 1800."""
PLACE_S = 900
"""How long the first engine of the cluster may take to load, which includes the time in which an
autoscaler adds a node. On a card COMPILE_TIMEOUT_S is added."""
GUARD_S = 60
"""Added to the timeout that Ray checks itself, before this command gives up: Ray checks it in the
loop whose progress it watches, and that may block for ever."""
FAILED_INITS = 3
"""Actors in a row that may die before they are ready and are replaced; after one more Ray gives up
the round."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a part. actor: Ray's id of its actor. error: why it could not be written; None
    where it was."""

    tally: Tally
    actor: str
    error: str | None = None


@dataclass(slots=True)
class Progress:
    """The counts of a run: tally of the parts that were written, shares: items by actor. error: why
    the latest of the others could not be written; failures: how many in a row could not be."""

    tally: Tally
    shares: Counter[str]
    error: str | None = None
    failures: int = 0

    def add(self, done: Done) -> None:
        """Count a part in."""
        if done.error:
            self.error, self.failures = done.error, self.failures + 1
            return
        self.failures = 0
        self.tally.merge(done.tally)
        self.shares[done.actor] += done.tally.items


def run(request: Request, address: str, say: Callable[[str], object]) -> int:
    """Embed a shard on the Ray cluster at `address`: `auto`, `local` for one on this machine, or
    HOST:PORT. Returns the exit status, as `run.run` does; also 1 where parts are missing in the
    end.

    Raises FaceServiceError where it cannot be done, see `run.run`, and StartupError where Ray
    cannot be reached or no engine be loaded.
    """
    progress = Progress(Tally(), Counter())
    try:
        items = read_manifest(request.manifest)
        check_requirements(request.settings, items)
        connect(address)
        about = request.about(describe(request))
        folder = Folder(request.out)
        folder.agree(about)
        parts = parts_of(items, request.rows, about)
        chosen = shard_of(parts, *request.shard)
        before = count_items(chosen) - count_items(folder.missing(chosen, parts))
        for _ in range(ROUNDS):
            if missing := folder.missing(chosen, parts):
                try:
                    embed_on_actors(request, about, chosen, missing, progress)
                except (ExecutionTimeoutError, RayError) as error:
                    say(f"Ray: {why(error)}")
    except KeyboardInterrupt:
        say(f"Interrupted: the same command goes on. {progress.tally}")
        return INTERRUPTED
    finally:
        ray.shutdown()
    left = folder.missing(chosen, parts)
    say(f"{progress.tally}; {before:,} before{of_actors(progress.shares)}")
    if left:
        reason = progress.error or "their actors died"
        say(f"{len(left)} parts are missing: {reason}. The same command tries again")
    return int(progress.tally.failed > 0 or bool(left))


def why(error: Exception) -> str:
    """The reason of an error, without the stacks that Ray puts before it."""
    cause = getattr(error, "cause", None)
    return f"{cause}" if isinstance(cause, FaceServiceError) else str(error).splitlines()[0]


def of_actors(shares: Counter[str]) -> str:
    """How many actors there were and how evenly they had items, in words; empty for none."""
    if not shares:
        return ""
    mean = shares.total() / len(shares)
    return (
        f"; {len(shares)} actors, with {min(shares.values()) / mean:.2f} to "
        f"{max(shares.values()) / mean:.2f} of the mean"
    )


def connect(address: str) -> None:
    """Connect this process to the cluster at `address`, see `run`. Raises StartupError."""
    for start in range(STARTS):
        try:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
            logging.getLogger("ray.data").setLevel(logging.ERROR)
            return
        except Exception as error:
            ray.shutdown()
            if address != "local" or start == STARTS - 1:
                raise StartupError(f"--ray {address}: {error}") from error


def resources(request: Request) -> dict[str, float]:
    """The CPUs and GPUs that an actor asks Ray for, as arguments of `ray.remote`."""
    cards = 0 if request.settings.onnx_providers == (CPU,) else CARDS_OF_AN_ACTOR
    return {"num_cpus": CPUS_OF_AN_ACTOR, "num_gpus": cards}


def describe(request: Request) -> EngineInfo:
    """What an engine is made of on a node of the cluster, where the actors will run; this machine's
    may differ. Raises StartupError where none can be loaded, or not in time (see PLACE_S)."""

    def look() -> EngineInfo:
        hide_main()
        with Processes(request.task, 1, request.timeout) as processes:
            return processes.describe()

    asked = resources(request)
    seconds = PLACE_S + (request.settings.compile_timeout_s if asked["num_gpus"] else 0)
    try:
        return ray.get(ray.remote(**asked)(look).remote(), timeout=seconds)  # type: ignore[no-any-return]
    except GetTimeoutError as error:
        raise StartupError(
            f"No node of the cluster has loaded an engine within {seconds:g} s: it takes "
            f"{asked['num_cpus']:g} CPUs and {asked['num_gpus']:g} GPUs that are free"
        ) from error
    except RayError as error:
        raise StartupError(why(error)) from error


class PartActor:
    """What runs in an actor: embeds parts in a child process with an engine, which is replaced when
    it ends, and writes them into the folder.

    Raises FaceServiceError where the model or the options differ from `about` on this node.
    """

    def __init__(self, request: Request, about: dict[str, Any]) -> None:
        hide_main()
        self._about, self._folder = about, Folder(request.out)
        self._processes = Processes(request.task, 1, request.timeout)
        if request.about(self._processes.describe()) != about:
            raise FaceServiceError("This node has another model than the first")

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Embed the parts of a batch and write each. batch: `part` has pickled Parts. Returns a
        pickled Done for each, under `done`."""
        return {"done": [pickle.dumps(self._embed(pickle.loads(part))) for part in batch["part"]]}  # noqa: S301

    def _embed(self, part: Part) -> Done:
        tally, actor = Tally(), ray.get_runtime_context().get_actor_id()
        silent = bar([], [], disable=True)
        try:
            embed_parts(self._processes, self._folder, [part], self._about, silent, tally)
        except FaceServiceError as error:
            return Done(tally, actor, str(error))
        return Done(tally, actor)


def embed_on_actors(
    request: Request,
    about: dict[str, Any],
    chosen: Sequence[Part],
    missing: Sequence[Part],
    progress: Progress,
) -> None:
    """Run one round: have the missing parts embedded by actors, and count in `progress` what became
    of them; parts that died with their actors are not counted.

    about: see `Request.about`. chosen: all parts of the shard, for the progress bar. Raises
    FaceServiceError where more than two parts for each actor could not be written in a row, or no
    part ended for GUARD_S more than Ray's timeout, and what Ray raises.
    """
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    # A part that killed its actors is missing in the end, and is told; the others go on.
    context.max_errored_blocks = -1
    context.max_consecutive_actor_init_deaths = FAILED_INITS
    patience = max(LEAST_PATIENCE_S, request.rows * request.timeout)
    context.execution_no_progress_timeout_s = patience
    actors = min(len(missing), request.processes or int(ray.cluster_resources().get("CPU", 1)))
    # A block for each part: otherwise one actor gets them all.
    parts = [{"part": pickle.dumps(part)} for part in missing]
    # 2.60 has no other way to bound restarts, and warns of this one.
    warnings.filterwarnings("ignore", "`ray_remote_args` is deprecated")
    done = ray.data.from_items(parts, override_num_blocks=len(parts)).map_batches(
        PartActor,
        fn_constructor_args=(request, about),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=actors, initial_size=actors),
        max_restarts=-1,
        max_task_retries=TASK_RETRIES,
        scheduling_strategy="SPREAD",
        **resources(request),
    )
    with bar(chosen, missing) as shown:
        for row in each_within(done.iter_rows(), patience + GUARD_S, "Ray"):
            progress.add(one := pickle.loads(row["done"]))  # noqa: S301
            if progress.failures > 2 * actors:
                raise FaceServiceError(f"{progress.error}")
            shown.set_postfix(
                faces=progress.tally.faces, failed=progress.tally.failed, refresh=False
            )
            shown.update(0 if one.error else one.tally.items)


def hide_main() -> None:
    """Let the processes that this one starts not import its main module: Ray's."""
    sys.modules["__main__"].__file__ = None
