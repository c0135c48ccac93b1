#!/usr/bin/env bash
# Threads that share a boto3 client share its retries, and soon have none.
#
# In the mode "standard" a client may spend 500 points on retries, 14 each, and gets points back by requests that
# succeed. When a server is away for a second, eight parts of one upload use them up, and from then on each
# request is sent once: a limit of ten attempts means one.
# Versions: boto3 1.44.8, botocore 1.44.8.
# Source: botocore's page on retries names a quota; RetryQuotaChecker has its size.
# raygen: switches boto3's retries off and has its own (docs/decisions.md, 2026-11-25, "S3 through boto3").
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages boto3==1.44.8 botocore==1.44.8
look <<'PY'
import logging
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import botocore.session
from botocore.config import Config
from botocore.retries import standard
from verdict import verdict

logging.disable(logging.CRITICAL)
PARTS, ATTEMPTS = 12, 10
sent = Counter()


class Away(BaseHTTPRequestHandler):
    """A server that is restarting."""

    def do_GET(self):
        sent[self.path] += 1
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Away)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = boto3.client(
    "s3",
    endpoint_url=f"http://127.0.0.1:{server.server_port}",
    region_name="local",
    aws_access_key_id="key",
    aws_secret_access_key="secret",
    config=Config(retries={"mode": "standard", "total_max_attempts": ATTEMPTS}, s3={"addressing_style": "path"}),
)
# The waits between attempts are not what this is about.
standard.ExponentialBackoff.delay_amount = lambda self, context: 0.01


def get(number):
    try:
        client.get_object(Bucket="bucket", Key=f"part-{number:02}")
    except client.exceptions.ClientError:
        pass


with ThreadPoolExecutor(4) as pool:
    list(pool.map(get, range(PARTS)))
server.shutdown()
counts = [sent[f"/bucket/part-{number:02}"] for number in range(PARTS)]
verdict(
    expected=f"{ATTEMPTS} attempts for each of {PARTS} parts",
    seen=f"attempts {counts}",
    holds=counts[-1] == 1 and sum(counts) < PARTS * ATTEMPTS / 2,
)
PY
