"""
The runner: performs what a turn wants done, one effect after the other.

`drive` is the loop of one turn; `prepare`, `ask`, `checkpoint` and `settle` each
perform one effect. Tool batches are `lash_sdk.dispatch`.
"""
