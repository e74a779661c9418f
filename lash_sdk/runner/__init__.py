"""
The runner: performs what a turn wants done, one effect after the other.

`drive` is the loop of one turn; `prepare`, `ask` and `settle` perform its
effects. Tool batches are `lash_sdk.dispatch`.
"""
