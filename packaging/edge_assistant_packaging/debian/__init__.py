"""Debian packages: the program with its engines in /opt, and the models of the starter pack.

Made with `dpkg-deb` from a folder of wheels, without a build in between, so that the same wheels
give the same bytes. `python -m edge_assistant_packaging.debian --help`.
"""
