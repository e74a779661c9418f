"""
What's left after a kill, after two turns at once and after many turns, system by system.

`python -m benchmarks.survival` runs it all, prints one table and writes
`docs/survival.md` and `benchmarks/survival.json`.
"""
