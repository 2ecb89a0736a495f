"""Frames of videos, by PyAV: the extra `video`."""
