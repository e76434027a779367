"""Models of one kind side by side: size, load, memory, speed, and quality where it shows.

`run.compare` measures, every model in child processes of its own and all of them in turn;
`figures` and `rule` make one report of it; `page` shows it. docs/workshop/compare.md defines the
figures.
"""
