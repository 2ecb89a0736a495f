"""`face-service embed`: the faces of a library, from a manifest to Parquet. Wants the extra
`embed`; on Ray the extra `ray`."""

INTERRUPTED = 130
"""Exit status of what was interrupted by Ctrl-C: that of shells, 128 + SIGINT."""
