"""Logs, metrics and traces, and the record of a request that they are made from."""
