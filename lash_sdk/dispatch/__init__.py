"""
A live session and its tool calls.

`live` is the session as runner and tools see it. `toolbox` knows the tools,
`call` makes one call, `batch` makes many, `directives` applies what hooks ask for,
`threads` runs sync functions, `projection` turns outcomes into what
the model is shown.
"""
