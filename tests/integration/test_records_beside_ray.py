"""Files of others, read in a process that has Ray Data and the types that it registers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.unit.data.records.reading import picture


def test_the_metadata_of_ray_s_tensors_is_never_unpickled(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    payload = f"cposix\nsystem\n(S'touch {ran}'\ntR.".encode()
    fields = [
        pa.field("image", pa.binary()),
        pa.field(
            "tensor",
            pa.list_(pa.int64()),
            metadata={
                b"ARROW:extension:name": b"ray.data.arrow_tensor",
                b"ARROW:extension:metadata": payload,
            },
        ),
    ]
    arrays = [pa.array([picture(1), picture(2)]), pa.array([[1], [2]], pa.list_(pa.int64()))]
    pq.write_table(pa.table(arrays, pa.schema(fields)), tmp_path / "a.parquet")
    script = (
        "import ray.data, sys; from pathlib import Path\n"
        "from raygen.data.images.files import read_images\n"
        "from raygen.spec.data.sources import ParquetSource\n"
        f"print(len(read_images([ParquetSource(uri='a.parquet')], Path({str(tmp_path)!r}), None).pixels))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["2"]
    assert not ran.exists()
