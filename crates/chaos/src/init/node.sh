#!/bin/sh
# Starts one node of the cluster under test. chaos calls it once per node, in the node's network namespace, like this:
#
#   NAME-node.sh --id n1 --node n1=10.77.0.1:7001/7002 --node n2=10.77.0.2:7001/7002 … --data DIR \
#       --election-timeout 150000us..300000us --heartbeat 40000us …
#
# The node must stay in the foreground, listen on its own address (nodes among themselves on the first port, clients and
# observers over HTTP on the second), keep what must survive a kill in DIR, and speak the API of `chaos explain node-api`.
#
# To begin with, this is the reference node. Put your own program here:
exec CHAOS node "$@"
