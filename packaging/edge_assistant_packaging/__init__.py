"""Ships the assistant to where there is no network: bundles, packages, services, proof, updates.

Installed beside the runtime, on which it stands; of the runtime only `cli` knows it. What a machine
that receives a bundle needs of it (verify, prove, updates) comes with the runtime's dependencies;
what builds comes with `pip install "edge-assistant[packaging]"`.
"""
