"""Faces to tracks, tracks to groups. Entry point: `grouping.group`."""
