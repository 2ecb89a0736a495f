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
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

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
"""Of the processor that it uses: actors of a node that is lost find a place on those that are left.
With 1 they would wait for one, and those who wait hold what they were given."""
CARDS_OF_AN_ACTOR = 0.5
TASK_RETRIES = 3
"""Of a part whose actor dies. -1, Ray's own, is for ever, also where the part kills it."""
ROUNDS = 3
"""Over the parts that are missing: until Ray knows that a node is lost, each attempt to reach its
actors is one of TASK_RETRIES, and a second sees them all."""
STARTS = 3
"""Of Ray on this machine: where it is busy, Ray gives up on processes that it starts."""
LEAST_PATIENCE_S = 300
"""Without a part that ends, and then another round: Ray's own is 1800."""
PLACE_S = 900
"""Until an engine is loaded on a node, which an autoscaler may have to bring first."""
GUARD_S = 60
"""After Ray's own patience: its guard is in the loop that it guards, which may wait for good."""
FAILED_INITS = 3
"""Actors that end while they begin, one after the other, and are replaced."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a part. error: why it could not be written, where it was not."""

    tally: Tally
    actor: str
    error: str | None = None


@dataclass(slots=True)
class Progress:
    """What a run has come to. shares: items by actor. error: why the latest part could not be
    written; failures: how many could not be, since the last one that was."""

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
    HOST:PORT. Returns the exit status, as `run.run` does; also 1 where parts are missing.

    Raises FaceServiceError where it cannot be done.
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
    """How evenly the actors had items, in words."""
    if not shares:
        return ""
    mean = shares.total() / len(shares)
    return (
        f"; {len(shares)} actors, with {min(shares.values()) / mean:.2f} to "
        f"{max(shares.values()) / mean:.2f} of the mean"
    )


def connect(address: str) -> None:
    """Raises StartupError."""
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
    """What an actor asks the cluster for."""
    cards = 0 if request.settings.onnx_providers == (CPU,) else CARDS_OF_AN_ACTOR
    return {"num_cpus": CPUS_OF_AN_ACTOR, "num_gpus": cards}


def describe(request: Request) -> EngineInfo:
    """What the engines are made of where the actors will be, not where the driver is."""

    def look() -> EngineInfo:
        hide_main()
        with Processes(request.task, 1, request.timeout) as processes:
            return processes.describe()

    asked = resources(request)
    seconds = PLACE_S + (request.settings.compile_timeout_s if asked["num_gpus"] else 0)
    try:
        return ray.get(ray.remote(**asked)(look).remote(), timeout=seconds)  # type: ignore[no-any-return]
    except RayTaskError as error:
        raise StartupError(why(error)) from error
    except GetTimeoutError as error:
        raise StartupError(
            f"No node of the cluster has loaded an engine within {seconds:g} s: it takes "
            f"{asked['num_cpus']:g} CPUs and {asked['num_gpus']:g} GPUs that are free"
        ) from error


class PartActor:
    """An actor: a process with an engine, which it replaces, and the folder."""

    def __init__(self, request: Request, about: dict[str, Any]) -> None:
        hide_main()
        self._about, self._folder = about, Folder(request.out)
        self._processes = Processes(request.task, 1, request.timeout)
        if request.about(self._processes.describe()) != about:
            raise FaceServiceError("This node has another model than the first")

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Embed the parts of a batch, and write each. Answers what became of them."""
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
    """Hand out parts, and count what becomes of them. Parts that are lost are not counted. Raises
    FaceServiceError where one after the other cannot be written, or Ray says nothing any more."""
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
