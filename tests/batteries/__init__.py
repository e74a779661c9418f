"""
The batteries behind the promises: each tries to break one, and counts what it tried.

Every battery reports in one form, has a floor on what it really did, and is itself
tried on planted faults, all of which it must catch.
"""
