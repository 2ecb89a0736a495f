"""`face-service key`: a key for a caller, and what API_KEYS holds of it."""

from __future__ import annotations

import hashlib
import secrets


def key() -> None:
    """Make an API key: give the caller the key, and API_KEYS its hash.

    The key is shown once and stored nowhere.
    """
    made = secrets.token_urlsafe(32)
    print(f"key   {made}")
    print(f"hash  {hashlib.sha256(made.encode()).hexdigest()}")
