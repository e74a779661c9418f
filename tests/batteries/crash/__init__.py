"""
The crash batteries: a turn is ended at every point at which it can be, and looked at.

`gate` is where things go wrong, `turn` the turn that it happens to, `seams` the doors
it passes, `matrix` all points and the rulings on them, `checks` what must hold after
each. `places` are the stores; `zygote` and `worker` the processes that are killed;
`vfs`, `power` and `preload` what a disk may do; `planted` the faults that a battery
must find. The batteries themselves are tests, `tests/test_crash_*.py`.
"""
