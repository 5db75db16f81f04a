"""A Ray cluster of three nodes on this machine, in a process of its own. It writes its address, then obeys.

For each line that it reads it kills a node, never the first one. It ends with its input.
"""

import sys

from ray.cluster_utils import Cluster  # pyright: ignore[reportMissingImports]

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
print(cluster.address, flush=True)
for _ in sys.stdin:
    cluster.remove_node(nodes.pop(), allow_graceful=False)
    print("killed", flush=True)
cluster.shutdown()
