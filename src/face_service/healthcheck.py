"""`python -m face_service.healthcheck`: status 0 where the service of these settings is healthy.

For the health checks of containers: it asks where HOST and PORT say, as the service itself reads
them. The answer goes to stdout, the reason for status 1 to stderr.
"""

from __future__ import annotations

import http.client
import sys

from face_service.settings.address import Address

TIMEOUT_S = 8
"""Below the ten seconds after which a container's health check is ended."""
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where a service is found that listens on every address."""


def main() -> int:
    """Ask GET /health once."""
    try:
        address = Address()
        host = LOOPBACK.get(address.host, address.host)
        connection = http.client.HTTPConnection(host, address.port, timeout=TIMEOUT_S)
        connection.request("GET", "/health")
        response = connection.getresponse()
        sys.stdout.write(response.read().decode() + "\n")
    except (ValueError, OSError, http.client.HTTPException) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0 if response.status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
