"""Logs, metrics, traces, and the record of a request they are made from."""
