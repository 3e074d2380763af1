"""Names of the metrics that the client and its commands refer to; a server lists all at ``GET /v1/metrics``."""

ACCURACY = "accuracy"
LATENCY = "latency_ms"
MACS = "macs"
PARAMS = "params"
