"""Which providers are tried, in which order, and why the others are not."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import onnxruntime

from face_service.errors import ProviderError

from .builds import conflicting_builds, installed_builds, reinstall_command
from .precision import require_precision
from .providers import AUTO, AUTO_ORDER, CPU, PROVIDERS, Precision

logger = logging.getLogger("face_service.runtime.providers")  # the name the log is documented with

Providers = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """The providers to try, in order.

    asked: ONNX_PROVIDERS. offered: those that this ONNX Runtime was built with. attempts: each a
    list for ONNX Runtime; the first provider of a list must compute, or the next list is tried.
    reasons: by provider that was asked for by name and is first in none of the lists, why.
    warnings: faults of the installation that need not keep it from computing.
    """

    asked: Providers
    offered: Providers
    attempts: tuple[Providers, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def ahead_of(self, computing: str, reasons: Mapping[str, str]) -> list[str]:
        """Those of `reasons` that belong to providers preferred to `computing`, in order of
        preference. Those after it are left out: they were asked for in case it does not compute."""
        order = AUTO_ORDER if self.asked == (AUTO,) else self.asked
        return [reasons[name] for name in order[: order.index(computing)] if name in reasons]


def choose_providers(
    asked: Sequence[str],
    precision: Precision = "fp32",
    offered: Sequence[str] | None = None,
    installed: Mapping[str, str] | None = None,
) -> Selection:
    """What to try for `asked`, ONNX_PROVIDERS: the same order, without what is not offered.

    A list is an order of preference: where one does not compute, those after it are tried. `auto`
    means what is offered of AUTO_ORDER, in that order. offered: by default those of the installed
    ONNX Runtime. installed: versions of its builds by package, by default those of this
    environment.

    Raises ProviderError, with the package to install, where none can compute in `precision`.
    """
    offered = tuple(onnxruntime.get_available_providers() if offered is None else offered)
    installed = installed_builds() if installed is None else installed
    logger.info("Available ONNX providers: %s", list(offered))
    wrong = conflicting_builds(installed, package_for(asked, installed))
    if wrong:
        logger.warning("%s", wrong)
    warnings = (wrong,) if wrong else ()
    if tuple(asked) == (AUTO,):
        best = [name for name in AUTO_ORDER if name in offered and name != CPU]
        attempts = (*((name, CPU) for name in best), (CPU,))
        return _supporting(Selection((AUTO,), offered, attempts, {}, warnings), precision)
    taken = tuple(name for name in asked if name in offered)
    reasons = {
        name: f"{name} is not in this ONNX Runtime, which offers only {', '.join(offered)}: "
        f"{wrong or install(name, installed)}"
        for name in asked
        if name not in offered
    }
    attempts = tuple(taken[start:] for start in range(len(taken)))
    return _supporting(Selection(tuple(asked), offered, attempts, reasons, warnings), precision)


def package_for(asked: Sequence[str], installed: Mapping[str, str]) -> str:
    """The package to keep where several builds are installed: that of the first of `asked` other
    than the CPU; for `auto` the first of `installed` that is not the CPU's build."""
    if tuple(asked) == (AUTO,):
        return next((name for name in installed if name != PROVIDERS[CPU].package), "onnxruntime")
    return next((PROVIDERS[name].package for name in asked if name != CPU), PROVIDERS[CPU].package)


def _supporting(selection: Selection, precision: Precision) -> Selection:
    """Drop attempts whose first provider cannot compute in `precision`. Raises ProviderError where
    none is left."""
    attempts, reasons = [], dict(selection.reasons)
    for providers in selection.attempts:
        try:
            require_precision(providers[0], precision)
        except ProviderError as error:
            reasons[providers[0]] = str(error)
        else:
            attempts.append(providers)
    if not attempts:
        raise ProviderError(startup_error(selection.asked, reasons.values()))
    if selection.asked == (AUTO,):  # none of those was asked for by name
        reasons = {}
    return replace(selection, attempts=tuple(attempts), reasons=reasons)


def install(name: str, installed: Mapping[str, str]) -> str:
    """How a provider is installed: `it comes with PACKAGE (pip install …)`."""
    provider = PROVIDERS[name]
    command = reinstall_command(tuple(installed), provider.package)
    return f"it comes with {provider.package}{provider.where} ({command})"


def startup_error(asked: Sequence[str], reasons: Iterable[str]) -> str:
    """The message of a start that fails: ONNX_PROVIDERS, what is wrong with each, and that the CPU
    may be added where it was not allowed."""
    able = asked == (AUTO,) or CPU in asked
    way_out = "" if able else f". Or add {CPU} to ONNX_PROVIDERS to allow the CPU instead"
    return f"ONNX_PROVIDERS={','.join(asked)}: {'; '.join(reasons)}{way_out}"


def log_selection(taken: Sequence[str], reasons: Sequence[str]) -> str | None:
    """Log which providers compute. Returns the `fallback` of /health, None where the preferred one
    computes.

    taken: the providers of the sessions. reasons: of `Selection.ahead_of`.
    """
    fallback = None
    if reasons:
        headline = (
            "No configured providers available, falling back to CPU"
            if taken[0] == CPU
            else f"Falling back to {taken[0]}"
        )
        fallback = f"{headline}: {'; '.join(reasons)}"
        logger.warning("%s", fallback)
    logger.info("Using ONNX providers: %s", list(taken))
    return fallback
