"""datatrove's MinHash deduplication of JSON lines in one folder: its four stages, two processes, as its example has them.

python datatrove_minhash.py LINES_FOLDER WORK_FOLDER THRESHOLD
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig

WORKERS = 2


def main() -> None:
    lines, work = Path(sys.argv[1]), Path(sys.argv[2])
    config = MinhashConfig(hash_config=HashConfig(precision=64), num_buckets=14, hashes_per_bucket=8)
    stages = {
        "signatures": (
            [
                JsonlReader(str(lines)),
                MinhashDedupSignature(str(work / "signatures"), config=config, language="eng_Latn"),
            ],
            WORKERS,
        ),
        "buckets": (
            [MinhashDedupBuckets(str(work / "signatures"), str(work / "buckets"), config=config)],
            config.num_buckets,
        ),
        "clusters": ([MinhashDedupCluster(str(work / "buckets"), str(work / "remove"), config=config)], 1),
        "filter": (
            [
                JsonlReader(str(lines)),
                MinhashDedupFilter(str(work / "remove")),
                JsonlWriter(str(work / "kept"), compression=None),
            ],
            WORKERS,
        ),
    }
    seconds = {}
    for name, (pipeline, tasks) in stages.items():
        start = time.perf_counter()
        LocalPipelineExecutor(
            pipeline, tasks=tasks, workers=min(tasks, WORKERS), logging_dir=str(work / "logs" / name)
        ).run()
        seconds[name] = time.perf_counter() - start
    kept = [json.loads(line)["id"] for path in sorted((work / "kept").glob("*")) for line in path.open()]
    (work / "result.json").write_text(json.dumps({"seconds": seconds, "kept": kept}))


if __name__ == "__main__":
    main()
