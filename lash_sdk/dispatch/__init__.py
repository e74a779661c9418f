"""
Tool calls: which tools there are, one call, a batch of them, what the model sees.

`toolbox` knows the tools, `call` makes one, `batch` makes many, `threads` runs
sync functions, `projection` turns outcomes into what the model is shown.
"""
