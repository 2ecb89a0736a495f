"""Admission, decoding, the queue, workers and their supervision. Entry point: `service.FaceService`."""
