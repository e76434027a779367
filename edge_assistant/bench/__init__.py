"""The live duplex examiner: drives any program that honours `converse --pipe`, and measures it.

It imports nothing of the assistant but the audio room, so that it can examine a stranger as well.
"""
