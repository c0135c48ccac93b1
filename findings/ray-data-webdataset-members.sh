#!/usr/bin/env bash
# Ray's reader of WebDataset decodes by the spelling of an ending, and unpacks lists of one.
#
# .jpg and .png become arrays; the same picture as .jpeg, .JPG or .webp stays bytes, so the type of a column
# changes with the camera. A JSON member ["a"] comes as "a" and ["a", "b"] as a list, so a caption's type changes
# with the number of captions.
# Versions: ray 2.60.0, pillow 13.0.0.
# Source: not documented; _default_decoder in ray/data/_internal/datasource/webdataset_datasource.py.
# raygen: does not read tars through Ray; ImageFolder takes endings in any case.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

packages 'ray[data]==2.60.0' pyarrow==25.0.1 pandas==3.1.1 numpy==2.4.6 pillow==13.0.0
look <<'PY'
import io
import json
import tarfile

import ray
from local_ray import start
from PIL import Image
from verdict import verdict


def tar(name, samples):
    with tarfile.open(name, "w") as file:
        for key, members in samples.items():
            for ending, content in members.items():
                entry = tarfile.TarInfo(f"{key}.{ending}")
                entry.size = len(content)
                file.addfile(entry, io.BytesIO(content))


def picture(kind):
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, kind)
    return file.getvalue()


captions = [["a"], ["a", "b"]]
kinds = {"jpg": "JPEG", "jpeg": "JPEG", "JPG": "JPEG", "png": "PNG", "webp": "WEBP"}
for number, caption in enumerate(captions):
    tar(f"captions-{number}.tar", {"000": {"json": json.dumps(caption).encode()}})
tar("pictures.tar", {"000": {ending: picture(kind) for ending, kind in kinds.items()}})
start(2)
ray.data.DataContext.get_current().enable_progress_bars = False
read = [ray.data.read_webdataset(f"captions-{number}.tar").take_all()[0]["json"] for number in (0, 1)]
row = ray.data.read_webdataset("pictures.tar").take_all()[0]
ray.shutdown()
decoded = [ending for ending in kinds if not isinstance(row[ending], bytes)]
read = [value if isinstance(value, str) else list(value) for value in read]
verdict(
    expected=f"all of {', '.join(kinds)} decoded, captions {captions}",
    seen=f"decoded {', '.join(decoded)}; captions {read}",
    holds=decoded == ["jpg", "png"] and read == ["a", ["a", "b"]],
)
PY
