"""The examination: every probe, one after the other, and its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .configuration import Configuration, configuration
from .graphics import Graphics, seen
from .hardware import Cpu, Memory, System, cpu, memory, system
from .probing import Failed, attempt
from .software import Build, build, libraries, packages, python
from .storage import CacheState, PackState, stored
from .trials import Offers, Trial, offers, try_providers

NO_SETTINGS = Failed("the settings do not say")
"""For what the settings name, where they cannot be read."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to examine. model: instead of INSIGHTFACE_MODEL. image: a file that providers analyse
    instead of `child.PICTURE`. seconds: the time limit of each provider instead of the usual one.
    root: the folder that has /proc, /sys, /dev and /etc."""

    model: str | None = None
    image: Path | None = None
    seconds: float | None = None
    root: Path = Path("/")


@dataclass(frozen=True, slots=True)
class Examination:
    """The result of every probe, or Failed with the reason why there is none.

    libraries, packages: version by name. python: implementation and version. trials: the CPU's
    first; empty where the pack is not whole or no provider could be listed. own_picture: providers
    have analysed the caller's picture, of which it is not known how many faces it has.
    """

    system: System | Failed
    cpu: Cpu | Failed
    memory: Memory | Failed
    graphics: Graphics | Failed
    libraries: Mapping[str, str] | Failed
    python: str | Failed
    packages: Mapping[str, str] | Failed
    build: Build | Failed
    settings: Configuration | Failed
    offers: Offers | Failed
    pack: PackState | Failed
    cache: CacheState | Failed
    trials: Sequence[Trial]
    own_picture: bool


def examine(request: Request, say: Callable[[str], None] = lambda _: None) -> Examination:
    """Run every probe. Takes seconds, minutes where programs must be compiled. Raises nothing.

    say: called with what is done, before each step that takes long.
    """
    root = request.root
    settings = attempt(configuration, request.model, root / "sys/fs/cgroup")
    say("loading ONNX Runtime")
    pack: PackState | Failed = NO_SETTINGS
    cache: CacheState | Failed = NO_SETTINGS
    trials: tuple[Trial, ...] = ()
    if isinstance(settings, Failed):
        offered = offers(("auto",), "fp32")
    else:
        offered = offers(settings.asked, settings.precision)
        pack, cache = stored(settings.model, settings.cache_dir)
        if isinstance(offered, Offers) and isinstance(pack, PackState) and pack.state == "whole":
            trials = tuple(try_providers(settings, offered, request.image, request.seconds, say))
    return Examination(
        system=attempt(system, root),
        cpu=attempt(cpu, root),
        memory=attempt(memory, root),
        graphics=seen(root),
        libraries=attempt(libraries, root),
        python=attempt(python),
        packages=attempt(packages),
        build=attempt(build),
        settings=settings,
        offers=offered,
        pack=pack,
        cache=cache,
        trials=trials,
        own_picture=request.image is not None,
    )
