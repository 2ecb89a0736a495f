"""`python -m face_service.healthcheck`: exit status 0 if GET /health answers 200, else 1.

For health checks of containers. Reads HOST and PORT as the service does. Prints the response on
stdout, or the error on stderr.
"""

from __future__ import annotations

import http.client
import sys

from face_service.settings.address import Address

TIMEOUT_S = 8
"""Below the timeout of the images' HEALTHCHECK, 10 s."""
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""Where to connect if the service listens on all addresses."""


def main() -> int:
    """Send one GET /health. Returns the exit status."""
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
