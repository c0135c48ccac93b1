"""A real Kubernetes for the tests: two nodes, KubeRay and an S3 server on one Linux machine, without a container engine."""
