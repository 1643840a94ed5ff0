"""Apache Kafka's jars: fetched from Maven Central once, and kept outside of what git tracks."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

POM = Path(__file__).with_name("apache_kafka.pom.xml")
CACHE = Path(__file__).parents[2] / ".cache"
OLDEST_JAVA = 17
FETCH_SECONDS = 300.0


class KafkaUnavailable(Exception):
    """Apache Kafka cannot be started here. The message is one line that says why."""


@cache
def kafka_unavailable() -> str | None:
    """None where Apache Kafka can be started; else why not, in one line. Fetches its jars."""
    try:
        java()
        jars()
    except KafkaUnavailable as why:
        return str(why)
    return None


@cache
def java() -> str:
    """The java to run, of `JAVA_HOME` or the PATH. Raises KafkaUnavailable without a new one."""
    home = os.environ.get("JAVA_HOME")
    found = str(Path(home, "bin", "java")) if home else "java"
    try:
        said = subprocess.run([found, "-version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise KafkaUnavailable(f"no java that runs ({error}); {OLDEST_JAVA} is needed") from error
    version = re.search(r'version "(\d+)', said.stderr)
    if version is None or int(version[1]) < OLDEST_JAVA:
        line = (said.stderr.splitlines() or ["no version"])[0]
        raise KafkaUnavailable(f"{found} is too old ({line}); {OLDEST_JAVA} is needed")
    return found


@cache
def jars() -> Path:
    """The folder of the jars, for `java -cp 'FOLDER/*'`. Raises KafkaUnavailable without them.

    Several processes may ask at once: one fetches, the others wait for it.
    """
    folder = CACHE / f"apache-kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "apache-kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=CACHE) as unfinished:
                fetched = Path(unfinished, "jars")
                _fetch(fetched)
                fetched.rename(folder)
    return folder


def _fetch(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailable("no mvn on the PATH to fetch Apache Kafka's jars with")
    command = [
        *(maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"),
        *("-DincludeScope=runtime", f"-DoutputDirectory={folder}"),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise KafkaUnavailable(
            f"Maven did not fetch Apache Kafka's jars in {FETCH_SECONDS:.0f} s"
        ) from None
    if done.returncode != 0:
        errors = [line for line in done.stdout.splitlines() if "ERROR" in line]
        line = (errors or [f"it ended with {done.returncode}"])[0]
        raise KafkaUnavailable(f"Maven could not fetch Apache Kafka's jars: {line.strip()[:300]}")
