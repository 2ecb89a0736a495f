"""Programs: what a provider compiles for a network and its input shapes; and sessions to open.

A program's folder in MODEL_CACHE_DIR, for example:

models/.compiled/migraphx/<16 digits of SHA-256>/<shape>/<ONNX Runtime, architecture, options>/
"""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import onnxruntime

from face_service.errors import ProviderError

from .graph import UINT8, Shape, TensorInfo
from .providers import ProgramSpec, Provider, RuntimeConfig
from .rewriting import EDITION, NO_EDITS, Edits, rewritten

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """One ONNX Runtime session to open.

    source: the network's file. fix: the shape to which its input is fixed before it is opened; None
    to leave it as it is. key: the one shape the session is for; None where it takes all of the
    program's. program: input, shapes and cache folder. edits: what else is changed before. saved:
    the network as it was saved for this processor (`mapped`), which is opened instead of the source
    where it can be.
    """

    source: Path
    fix: Shape | None
    key: Shape | None
    program: ProgramSpec
    edits: Edits = NO_EDITS
    saved: Path | None = None

    @property
    def label(self) -> str:
        """File and shape, for messages: `det_10g.onnx 1×3×640×640`."""
        shapes = self.program.shapes
        size = in_words(shapes[0]) if len(shapes) == 1 else f"{len(shapes)} shapes"
        return f"{self.source.name} {size}"

    @contextmanager
    def file(self) -> Iterator[Path]:
        """The ONNX file to load: the source, or where something is to be changed a temporary copy.
        Its name is always the same, because providers find what they have compiled by it. Raises as
        `rewritten`."""
        if self.fix is None and not self.edits:
            yield self.source
            return
        with tempfile.TemporaryDirectory(prefix="face-service-") as folder:
            shape = f"-{in_words(self.fix, 'x')}" if self.fix else ""
            path = Path(folder) / f"{self.source.stem}{shape}.onnx"
            path.write_bytes(rewritten(self.source, self.edits, self.fix))
            yield path


def in_words(shape: Shape, by: str = "×") -> str:
    """A shape as text: `1×3×640×640`."""
    return by.join(map(str, shape))


def specs_for(
    source: Path,
    sha256: str,
    graph_input: TensorInfo,
    shapes: Sequence[Shape],
    provider: Provider,
    config: RuntimeConfig,
    edits: Edits = NO_EDITS,
) -> list[SessionSpec]:
    """The sessions a network needs: one for each of `shapes` where the provider's policy is
    "fixed", else one for all.

    sha256: of the network before `source` was made of it. shapes: of the input after `edits`. The
    folders of programs exist afterwards. Raises ProviderError where one cannot be made and the
    provider cannot do without.
    """

    pixels = edits.normalization is not None or graph_input.kind == UINT8

    def program(shapes: tuple[Shape, ...]) -> ProgramSpec:
        folder = _folder(sha256, shapes, provider, config, edits)
        dtype: Literal["float32", "uint8"] = "uint8" if pixels else "float32"
        return ProgramSpec(graph_input.name, shapes, folder, dtype)

    if provider.shapes_for(config).kind != "fixed":
        return [SessionSpec(source, None, None, program(tuple(shapes)), edits)]
    return [
        SessionSpec(
            source,
            None if graph_input.shape == shape else shape,
            shape,
            program((shape,)),
            edits,
        )
        for shape in shapes
    ]


def _folder(
    sha256: str,
    shapes: tuple[Shape, ...],
    provider: Provider,
    config: RuntimeConfig,
    edits: Edits,
) -> Path | None:
    """`folder_of`, made; None where the provider keeps nothing."""
    if not provider.keeps_programs(config):
        return None
    folder = folder_of(sha256, shapes, provider, config, edits)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if provider.compiles:
            raise ProviderError(
                f"{provider.name} keeps what it compiles under {config.cache}, which cannot be "
                f"written: {error.strerror}. Set MODEL_CACHE_DIR to a folder that can"
            ) from error
        logger.warning("%s compiles at every start: %s", provider.name, error)
        return None
    return folder


def folder_of(
    sha256: str,
    shapes: Sequence[Shape],
    provider: Provider,
    config: RuntimeConfig,
    edits: Edits = NO_EDITS,
) -> Path:
    """The folder of a program. Whatever would make it another program is part of the path: the
    network, what is changed in it, the shapes, ONNX Runtime's version, driver and card, precision
    and options."""
    first, last = min(shapes), max(shapes)
    size = (
        in_words(first, "x") if first == last else f"{in_words(first, 'x')}-{in_words(last, 'x')}"
    )
    facts: list[Any] = [
        shapes,
        config.precision,
        config.device,
        dict(config.overrides.get(provider.name, {})),
    ]
    if edits:
        facts.append([EDITION, asdict(edits)])
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]
    architecture = "".join(c if c.isalnum() or c in ".-+" else "_" for c in provider.architecture())
    return (
        config.cache
        / provider.name.removesuffix("ExecutionProvider").lower()
        / sha256[:16]
        / size
        / f"{onnxruntime.__version__}-{architecture}-{digest}"
    )
