"""What is asked of an image whose faces are judged."""

from __future__ import annotations

from face_service.face_engine import Options

LOOK = Options(embeddings=False, attributes=False, min_score=0.5)
