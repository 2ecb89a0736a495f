"""`face-service embed`: the faces of a library, from a manifest to Parquet. Wants the extra
`embed`; on Ray the extra `ray`."""
