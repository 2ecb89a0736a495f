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

logger = logging.getLogger("face_service.runtime.providers")

Providers = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked, what this ONNX Runtime was built with, and what to try one after the other.

    attempts: each a list for ONNX Runtime, the best first; the first provider of a list must
    compute, or the next list is tried. reasons: by provider that was asked for and heads none of
    them, why. warnings: what is wrong with the installation, though it may compute.
    """

    asked: Providers
    offered: Providers
    attempts: tuple[Providers, ...]
    reasons: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def ahead_of(self, computing: str, reasons: Mapping[str, str]) -> list[str]:
        """Of `reasons` those of the providers that were to be tried before `computing`, in order.

        What stands behind it was asked for in case it does not compute, so it is missing nothing.
        """
        order = AUTO_ORDER if self.asked == (AUTO,) else self.asked
        return [reasons[name] for name in order[: order.index(computing)] if name in reasons]


def choose_providers(
    asked: Sequence[str],
    precision: Precision = "fp32",
    offered: Sequence[str] | None = None,
    installed: Mapping[str, str] | None = None,
) -> Selection:
    """What to try for `asked`: the same order, without what is not there.

    A list is an order of preference, and what stands behind a provider takes over from it; nothing
    that is not in the list does. `auto` stands for whatever is offered, in AUTO_ORDER.
    `offered`, `installed`: asked of ONNX Runtime and of the environment by default.

    Raises ProviderError with the package to install where nothing asked for is there.
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
    """The package to keep of several: what has the best of `asked`. For `auto` it is what somebody
    has installed beside the CPU's build."""
    if tuple(asked) == (AUTO,):
        return next((name for name in installed if name != PROVIDERS[CPU].package), "onnxruntime")
    return next((PROVIDERS[name].package for name in asked if name != CPU), PROVIDERS[CPU].package)


def _supporting(selection: Selection, precision: Precision) -> Selection:
    """Without those that do not compute in `precision`: fp32 under another name helps nobody."""
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
    if selection.asked == (AUTO,):  # nobody asked for those by name
        reasons = {}
    return replace(selection, attempts=tuple(attempts), reasons=reasons)


def install(name: str, installed: Mapping[str, str]) -> str:
    """How a provider is installed, in words and as a command."""
    provider = PROVIDERS[name]
    command = reinstall_command(tuple(installed), provider.package)
    return f"it comes with {provider.package}{provider.where} ({command})"


def startup_error(asked: Sequence[str], reasons: Iterable[str]) -> str:
    """Why the start ends: what was asked, what is wrong with each, and the way out."""
    able = asked == (AUTO,) or CPU in asked
    way_out = "" if able else f". Or add {CPU} to ONNX_PROVIDERS to allow the CPU instead"
    return f"ONNX_PROVIDERS={','.join(asked)}: {'; '.join(reasons)}{way_out}"


def log_selection(taken: Sequence[str], reasons: Sequence[str]) -> str | None:
    """Log what computes. Returns the sentence for /health where it is not what was asked for.

    reasons: why those that were to be tried before it do not compute.
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
