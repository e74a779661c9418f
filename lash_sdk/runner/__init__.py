"""
The runner: performs what a turn wants done, one effect after the other.

`live` is the session as the runner sees it, `drive` the loop of one turn;
`prepare`, `ask`, `checkpoint` and `settle` each perform one effect (tool batches
are `lash_sdk.dispatch`), and `directives` applies what hooks ask for.
"""
