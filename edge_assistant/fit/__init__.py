"""What would run well on this machine: a prediction from a few measurements, before any download.

docs/workshop/fit.md tells the model behind it and how far off it was. `machine` looks, `measure`
lets installed engines work for some seconds, `sizes` knows what models ask for; `predict` and
`choose` only calculate.
"""
