"""Model packs: what exists (catalog), where it comes from (sources), how it is kept (store)."""
