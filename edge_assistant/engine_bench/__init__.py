"""What single engines cost, each apart from the conversation: speed, first sound, abort, words.

docs/engine-bench.md defines every figure. The duplex bench (`edge_assistant.bench`) examines whole
conversations from outside; this room calls the engines themselves.
"""
