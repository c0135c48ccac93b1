#!/usr/bin/env bash
# litData reads an index from a server without TLS, and then refuses to read the data from it.
#
# Two clients read a data set in object storage: boto3 the index, obstore the chunks ahead of their use. obstore takes
# `http://` only where it is allowed (`allow_http`, or AWS_ALLOW_HTTP), and litData's options for it say neither and hide
# the variable. So `storage_options={"endpoint_url": "http://..."}`, as for MinIO in a cluster, opens, has a length, and
# ends at its first sample with "BadScheme".
# Versions: litdata 0.2.76, obstore 0.12.1.
# Source: litdata's `_OBSTORE_CLIENT_OPTIONS`; obstore's ClientConfig, `allow_http`.
# raygen: one client reads all of a data set (raygen/storage); benchmarks/picture_streams.py allows it by hand for the peer.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages litdata==0.2.76 obstore==0.12.1 torch==2.13.0
look <<'PY'
import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import litdata
import numpy as np
from verdict import verdict


class Server(SimpleHTTPRequestHandler):
    """Objects of a bucket, as files of a folder."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


def sample(number):
    return {"number": np.full(1000, number)}


if __name__ == "__main__":
    objects = Path("objects").absolute()
    litdata.optimize(
        sample, list(range(32)), str(objects / "bucket" / "data"), chunk_size=8, num_workers=1, start_method="fork"
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(objects)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "local"}
    os.environ["AWS_ALLOW_HTTP"] = "true"
    place = {"endpoint_url": f"http://127.0.0.1:{server.server_port}"}
    data = litdata.StreamingDataset("s3://bucket/data", cache_dir="cache", storage_options=place)
    count = len(data)
    try:
        first = f"sample {next(iter(data))['number'][0]}"
    except RuntimeError as error:
        first = "BadScheme" if "BadScheme" in str(error) else str(error)[:200]
    server.shutdown()
    verdict(
        expected="32 samples, and the first of them",
        seen=f"{count} samples, and at the first of them {first}",
        holds=count == 32 and first == "BadScheme",
    )
PY
