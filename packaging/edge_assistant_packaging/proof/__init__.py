"""Proof, on the machine it concerns: no network was used, and no sound of the user was kept.

A proof holds one spoken turn through the command line as it is installed, watches it from outside
and says what it saw. It knows three verdicts: held, breached, and incomplete, where this machine
does not let it look. Only the first one ends with 0.
"""
