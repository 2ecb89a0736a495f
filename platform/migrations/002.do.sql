-- At 200, the five creators nearest to a stranger were found less often than in 98 of 100 cases
-- among 100,000 references (python -m benchmarks.search).
ALTER FUNCTION nearest_creators(integer, halfvec, integer) SET hnsw.ef_search = 400;
