"""Admission, queue, workers and their supervision. Entry point: `service.FaceService`."""
