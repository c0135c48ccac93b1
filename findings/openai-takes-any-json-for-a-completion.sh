#!/usr/bin/env bash
# OpenAI's client takes any JSON for a completion, and half of one for an error that is none of its own.
#
# An answer with the status 200 whose "choices" is a text becomes a ChatCompletion with that text in place of a list. One
# whose JSON breaks off raises json.JSONDecodeError, which neither `except openai.OpenAIError` catches nor the client repeats.
# Versions: openai 3.57.0.
# Source: not in the documentation; the client builds its types without checking them (openai/_models.py, construct).
# raygen: takes the answer's text and checks it by models of its own; what is not a completion is asked for again
# (raygen/evaluation/judge/endpoint.py).
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages openai==3.57.0
look <<'PY'
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import openai
from verdict import verdict

answers = [b'{"choices": "none", "usage": "much"}', b'{"choices": [{"message": {"content": "4']


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        content = answers.pop(0)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format, *arguments):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = openai.OpenAI(api_key="none", base_url=f"http://127.0.0.1:{server.server_port}/v1")
seen = []
for _ in range(2):
    try:
        completion = client.chat.completions.create(model="any", messages=[{"role": "user", "content": "hello"}])
        seen.append(f"choices {completion.choices!r}")
    except openai.OpenAIError:
        seen.append("an error of the client")
    except ValueError as error:
        seen.append(type(error).__name__)
verdict(
    expected="an error of the client, twice",
    seen=" and ".join(seen),
    holds=seen == ["choices 'none'", "JSONDecodeError"],
)
PY
