#!/usr/bin/env bash
# OpenAI's client sends another key than the one it is given, and the organisation, to any endpoint.
#
# With an explicit api_key and the base_url of a server that is not OpenAI's, the variable OPENAI_CUSTOM_HEADERS
# replaces the header Authorization, and OPENAI_ORG_ID and OPENAI_PROJECT_ID go along: a shell that is set up for one
# endpoint tells its secrets to another one.
# Versions: openai 3.57.0.
# Source: the docstring of OpenAI names the variables as defaults of arguments that are left out; it does not name
# OPENAI_CUSTOM_HEADERS, which openai/lib/_client_auth.py reads.
# raygen: gives Authorization as a default header, which wins, and takes organisation and project off the client
# (raygen/evaluation/judge/endpoint.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages openai==3.57.0
look <<'PY'
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from openai import OpenAI
from verdict import verdict

heard = []


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        heard.append((self.headers["Authorization"], self.headers["OpenAI-Organization"]))
        content = json.dumps({"choices": []}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format, *arguments):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ.update(OPENAI_CUSTOM_HEADERS="Authorization: Bearer of-another-endpoint", OPENAI_ORG_ID="another")
client = OpenAI(api_key="of-this-endpoint", base_url=f"http://127.0.0.1:{server.server_port}/v1")
client.chat.completions.create(model="any", messages=[{"role": "user", "content": "hello"}])
verdict(
    expected="the key that was given, and no organisation",
    seen=f"{heard[0][0]!r} and {heard[0][1]!r}",
    holds=heard == [("Bearer of-another-endpoint", "another")],
)
PY
