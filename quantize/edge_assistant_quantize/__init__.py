"""The model workshop: quantise, convert, export and compare models. No part of the runtime.

Its libraries come with `pip install "edge-assistant[quantize]"`; every module imports them when it
is imported itself, and the command line imports a module when its verb is called.
"""
