"""
Plugins: found, imported, ordered, configured, compiled into plans.

`discovery` reads metadata and imports nothing; `registry` is the only user of
pluggy's manager; `plans` is what the kernel calls.
"""
