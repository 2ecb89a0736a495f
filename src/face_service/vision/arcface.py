"""ArcFace: aligned crops to embeddings, vectors of norm 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from face_service.runtime.network import Network
from face_service.runtime.pixel_input import Normalization

from .blob import Image, to_blob


@dataclass(frozen=True, slots=True)
class ArcFace:
    """A recogniser of aligned crops. normalization: of its input; None for a network that takes
    pixels."""

    network: Network
    normalization: Normalization | None

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """Embed aligned crops (uint8 [112, 112, 3]), at least one: float32 [n, dimension], rows of
        norm 1. Raises what `Network.run_batched` raises."""
        (features,) = self.network.run_batched(to_blob(crops, self.normalization))
        # Row by row: np.linalg.norm of a matrix sums in another order than of a vector,
        # and InsightFace normalises vectors.
        return np.stack([row / np.linalg.norm(row) for row in features])
