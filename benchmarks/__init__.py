"""
The same turns run by several agent systems, side by side, as ratios.

`python -m benchmarks` runs it all (`--quick` for a short form) and writes
`docs/benchmarks.md`; `python -m benchmarks.profile` shows where our own turns
spend their time. `benchmarks/README.md` says how to read and extend it.
"""
