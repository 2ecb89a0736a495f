"""From decoded frames to pixels: deinterlaced, as SDR, with square pixels, upright."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

import numpy as np

from face_service.vision.blob import Image
from face_service.vision.image import ROTATIONS
from face_service.vision.sdr import needs_mapping, to_sdr

from .fields import Fields, Shape, graph_of, pulled

if TYPE_CHECKING:
    from av.filter import Graph
    from av.video.frame import VideoFrame

UNSPECIFIED = 2
"""MatrixCoefficients of ITU-T H.273 where a file does not say which matrix it has."""
SD_HEIGHT = 576
"""Pixels. A higher picture whose matrix is not specified is taken to have that of BT.709, by
custom."""
ONE = 1 << 16
"""1 in a display matrix, whose numbers are of 16.16 bits (ISO/IEC 14496-12, 8.3.2)."""
ORIENTATIONS: Mapping[tuple[int, int, int, int], int] = MappingProxyType(
    {
        (1, 0, 0, 1): 1,
        (-1, 0, 0, 1): 2,
        (-1, 0, 0, -1): 3,
        (1, 0, 0, -1): 4,
        (0, 1, 1, 0): 5,
        (0, 1, -1, 0): 6,
        (0, -1, -1, 0): 7,
        (0, -1, 1, 0): 8,
    }
)
"""EXIF's number for what a display matrix does to x and y: x' = a x + c y, y' = b x + d y."""


class Pixels:
    """Makes pixels of the frames of one stream. aspect: width of a pixel divided by its height."""

    def __init__(self, aspect: float = 1.0) -> None:
        from av.video.reformatter import VideoReformatter

        self._aspect = aspect
        self._reformatter = VideoReformatter()

    def of(self, frame: VideoFrame) -> Image:
        """uint8 [height, width, 3], BGR, as the frame is meant to be seen: with square pixels,
        upright, HDR and BT.2020 mapped to sRGB as in stills."""
        from av.video.reformatter import Colorspace, Interpolation

        colours = int(frame.color_primaries), int(frame.color_trc)
        mapped = needs_mapping(colours)
        unsaid = frame.colorspace == UNSPECIFIED and frame.height > SD_HEIGHT
        width = max(1, round(frame.width * self._aspect))
        as_bgr = self._reformatter.reformat(
            frame,
            width=width,
            height=frame.height,
            format="bgr48le" if mapped else "bgr24",
            src_colorspace=Colorspace.ITU709 if unsaid else None,
            interpolation=Interpolation.BICUBIC if width != frame.width else None,
            threads=1,
        )
        values = as_bgr.to_ndarray()
        image = to_sdr(values, *colours) if mapped else cast(Image, values)
        return cast(Image, ROTATIONS[orientation(frame)](image))


def orientation(frame: VideoFrame) -> int:
    """The EXIF orientation, 1 to 8, of a frame's display matrix; 1 where it has none, or one that
    is no turn by a multiple of 90 degrees. PyAV's `rotation` does not know mirrored pictures."""
    from av.sidedata.sidedata import SideDataContainer

    # Not frame.side_data: in PyAV 18.1 it and the frame refer to each other, so that the pixels
    # stay in memory until Python collects garbage (findings/pyav-side-data.sh).
    side_data = SideDataContainer(frame)  # type: ignore[call-arg]  # its stub lacks the argument
    matrix = cast("bytes | None", side_data.get("DISPLAYMATRIX"))
    if matrix is None:
        return 1
    a, b, _, c, d = np.round(np.frombuffer(matrix, np.int32)[:5] / ONE).astype(int).tolist()
    return ORIENTATIONS.get((a, b, c, d), 1)


class Deinterlacer:
    """FFmpeg's yadif, on single frames and their neighbours. fields: not NONE; with MARKED, only
    frames that are marked are changed."""

    def __init__(self, fields: Fields) -> None:
        marked = fields is Fields.MARKED
        self._filter = "yadif", "deint=interlaced" if marked else f"parity={fields}:deint=all"
        self._graph: Graph | None = None
        self._shape: Shape | None = None

    def of(
        self, before: VideoFrame | None, frame: VideoFrame, after: VideoFrame | None
    ) -> VideoFrame:
        """The frame, its second field made from its first and from the frames before and after;
        these are None at the ends of the video. Neighbours of another shape are not used."""
        if self._shape != Shape.of(frame) or self._graph is None:
            self._graph, self._shape = graph_of(frame, self._filter), Shape.of(frame)
        graph = self._graph
        around = [each or frame for each in (before, frame, after)]
        if any(Shape.of(each) != self._shape for each in around):
            around = [frame] * 3
        for each in around:
            graph.vpush(each)
        return list(pulled(graph))[-1]
