"""High dynamic range and wide gamut to what the networks were trained on: sRGB of 8 bits.

ITU-R BT.2100 (PQ, HLG), BT.2408 (diffuse white at 203 cd/m²), ITU-T H.273 (the numbers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from .blob import Image
from .opencv import BAND, Values

BT2020, P3 = 9, (11, 12)
"""Colour primaries (H.273, table 2)."""
PQ, HLG = 16, 18
"""Transfer characteristics (table 3): SMPTE ST 2084, ARIB STD-B67."""
WHITE = 203.0
"""Diffuse white, cd/m²: what lies above is clipped."""
PEAK, PQ_PEAK = 1000.0, 10_000.0
"""Peak luminance of a screen that HLG is made for, and that of a PQ signal of 1, cd/m²."""
GAMMA = 1.2
"""System gamma of HLG for such a screen."""
LUMINANCE = np.array([0.0593, 0.6780, 0.2627], np.float32)
"""float32 [3]: the shares of blue, green and red in the luminance of BT.2020."""
LEVELS = 65_536
FROM_BT2020 = ((1.1187, -0.1006, -0.0182), (-0.0083, 1.1329, -0.1246), (-0.0728, -0.5876, 1.6605))
FROM_P3 = ((1.0979, -0.0786, -0.0196), (0.0, 1.0420, -0.0420), (0.0, -0.2249, 1.2249))
TO_BT709: Mapping[int, NDArray[np.float32]] = MappingProxyType(
    {
        BT2020: np.array(FROM_BT2020, np.float32),
        **dict.fromkeys(P3, np.array(FROM_P3, np.float32)),
    }
)
"""float32 [3, 3] by primaries: linear blue, green and red to those of sRGB (ITU-R BT.2087 for
BT.2020)."""


def needs_mapping(colours: tuple[int, int] | None) -> TypeGuard[tuple[int, int]]:
    """Whether a picture of these primaries and transfer characteristics looks wrong as it is. P3
    does not: the embedding of a face hardly moves (docs/formats.md)."""
    return colours is not None and (colours[0] == BT2020 or colours[1] in (PQ, HLG))


def to_sdr(values: Values, primaries: int, transfer: int) -> Image:
    """uint8 or uint16 [height, width, 3], full range, to sRGB: light above diffuse white and
    colours outside the gamut are clipped. primaries, transfer: numbers of H.273; others than those
    above are taken for sRGB's."""
    curve = TRANSFERS.get(transfer, srgb_light)()
    step = 257 if values.dtype == np.uint8 else 1
    matrix = TO_BT709.get(primaries)
    levels = srgb_levels()
    image = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), BAND):
        light = curve[values[top : top + BAND].astype(np.uint16) * step]
        if transfer == HLG:
            brightness = np.maximum(light @ LUMINANCE, 1e-6)
            light *= brightness[:, :, None] ** (GAMMA - 1) * (PEAK / WHITE)
        if matrix is not None:
            light = light @ matrix.T
        image[top : top + BAND] = levels[(light.clip(0, 1) * (LEVELS - 1)).astype(np.uint16)]
    return image


def codes() -> NDArray[np.float64]:
    """float64 [LEVELS]: all levels of 16 bits, from 0 to 1."""
    return np.arange(LEVELS) / (LEVELS - 1)


@cache
def pq_light() -> NDArray[np.float32]:
    """float32 [LEVELS]: each level of PQ as linear light, WHITE being 1 (BT.2100, table 4)."""
    root = codes() ** (32 / 2523)
    light = np.maximum(root - 3424 / 4096, 0) / (2413 / 128 - 2392 / 128 * root)
    return (light ** (16_384 / 2610) * (PQ_PEAK / WHITE)).astype(np.float32)


@cache
def hlg_light() -> NDArray[np.float32]:
    """float32 [LEVELS]: each level of HLG as light of the scene, from 0 to 1 (BT.2100, table 5)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    code = codes()
    light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    return light.astype(np.float32)


@cache
def srgb_light() -> NDArray[np.float32]:
    """float32 [LEVELS]: each level of sRGB as linear light, from 0 to 1 (IEC 61966-2-1)."""
    code = codes()
    light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


@cache
def srgb_levels() -> NDArray[np.uint8]:
    """uint8 [LEVELS]: linear light, in levels of 16 bits, as sRGB of 8."""
    light = codes()
    code = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return (code * 255).round().astype(np.uint8)


TRANSFERS: Mapping[int, Callable[[], NDArray[np.float32]]] = MappingProxyType(
    {PQ: pq_light, HLG: hlg_light}
)
