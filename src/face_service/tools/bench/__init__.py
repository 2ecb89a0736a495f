"""`face-service bench`: load on a real server, and what the networks alone would allow."""
