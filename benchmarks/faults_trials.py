"""Kills, commands at the same time, and full disks: what is left, and whether the same command ends as undisturbed."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from faults_study import COMMANDS, Command, Ended, Running, contents, new_folder, words_of

KILLED = {  # how often, of a thousand kills
    "simulate": 260, "prepare": 250, "train": 140, "evaluate": 140, "models fetch": 80, "crossval": 60,
    "report": 40, "fetch catalog": 30,
}  # fmt: skip
PAIRS = (
    "prepare", "simulate", "evaluate", "models fetch", "prepare", "train", "export", "prepare", "simulate", "evaluate",
    "models fetch", "prepare", "train", "export", "prepare", "simulate", "evaluate", "report", "prepare", "train",
    "simulate", "evaluate", "models fetch", "crossval", "export",
)  # fmt: skip
LEVELS = 30
_TROUBLE = {
    "traceback": re.compile(r"^Traceback|Exception ignored", re.MULTILINE),
    "error in seismag": re.compile(r"error in seismag"),
}
_BUSY = "is being written by"
_PATIENCE = 60  # attempts, half a second apart, while workers of a killed command still have its folder
_LEFT_OVER = re.compile(r"\.tmp(\.|$)|\.partial$")


@dataclass(frozen=True)
class Reference:
    """An undisturbed run of a command: what its result contains, seconds, changes of files, bytes on disk."""

    contents: dict[str, str]
    seconds: float
    changes: int
    bytes: int


def read_reference(name: str, study: Path, here: Path) -> Reference:
    """Run a command undisturbed, twice (a result that differs from itself could show nothing), or read its record."""
    record = study / f"reference {name}.json"
    if record.exists():
        return Reference(**json.loads(record.read_text(encoding="utf-8")))
    command, found = COMMANDS[name], []
    for _ in range(2):
        new_folder(command, study, here)
        ended = Running(words_of(command, study, here, here), here).wait()
        if ended.code != 0:
            raise SystemExit(f"{name} fails undisturbed:\n{ended.text}")
        found.append(contents(here / command.result, here))
    if differ := differences(found[0], found[1]):
        raise SystemExit(f"{name}: two undisturbed runs differ in {differ}")
    result = here / command.result
    size = sum(path.stat().st_size for path in (result, *result.rglob("*")) if path.is_file())
    shutil.rmtree(here)
    reference = Reference(found[0], ended.seconds, ended.changes, size)
    record.write_text(json.dumps(asdict(reference)), encoding="utf-8")
    return reference


def differences(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Files that are in one result alone, or differ."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def trouble(ended: Ended) -> list[str]:
    """What no user should see."""
    found = [name for name, pattern in _TROUBLE.items() if pattern.search(ended.text)]
    return [*found, *(["hang"] if ended.hung else [])]


def killed_command(number: int, among: Sequence[str]) -> str:
    """The command of a kill."""
    return random.Random(f"command {number}").choices(among, [KILLED[name] for name in among])[0]


def kill_trial(number: int, name: str, study: Path, references: dict[str, Reference], here: Path) -> dict[str, Any]:
    """Kill a command at a random time or change of a file, and run it again."""
    rng = random.Random(f"kill {number}")
    command, reference = COMMANDS[name], references[name]
    workers = rng.choice((1, 2)) if command.pooled and number % 8 == 7 else 1
    at_change = rng.randint(1, reference.changes) if rng.random() < 0.5 and workers == 1 else 0
    new_folder(command, study, here)
    words = words_of(command, study, here, here, workers)
    running = Running(words, here, at_change)
    if not at_change:
        time.sleep(rng.uniform(0, (3 if workers > 1 else 1.1) * reference.seconds))
        running.kill(group=rng.random() < 0.5)  # else its workers live on
    first = running.wait()
    again = run_when_free(words, here)
    wrong = [*trouble(first), *trouble(again)]
    wrong += compared(again, here, command, reference)
    return {
        "command": name,
        "how": f"change {at_change} of {reference.changes}" if at_change else f"time, {workers} worker(s)",
        "stopped": first.code is None,
        "wrong": wrong,
        "text": again.text if wrong else "",
    }


def run_when_free(words: list[str], here: Path) -> Ended:
    """Run a command; where another still has the folder, wait until it has not."""
    for _ in range(_PATIENCE):
        ended = Running(words, here).wait()
        if ended.code == 0 or _BUSY not in ended.text:
            break
        time.sleep(0.5)
    return ended


def compared(ended: Ended, out: Path, command: Command, reference: Reference) -> list[str]:
    """What is wrong with a command that should have ended as undisturbed."""
    try:
        differ = differences(contents(out / command.result, out), reference.contents)
    except Exception as error:
        return [f"cannot be read: {error}"]
    if ended.code != 0 and (differ or "seismag: " not in ended.text):  # what is finished may be refused in words
        return [f"status {ended.code} the second time"]
    left = [path.name for path in out.rglob("*") if _LEFT_OVER.search(path.name)]
    changed = [f"different result: {', '.join(differ[:4])}"] if differ else []
    return [*changed, *(f"left over: {name}" for name in left[:1])]


def pair_trial(number: int, name: str, study: Path, references: dict[str, Reference], here: Path) -> dict[str, Any]:
    """Run one command twice on one folder, the second one a moment later; then a third time."""
    rng = random.Random(f"pair {number}")
    command, reference = COMMANDS[name], references[name]
    new_folder(command, study, here)
    words = words_of(command, study, here, here)
    first = Running(words, here)
    time.sleep(rng.choice((0.0, rng.uniform(0, reference.seconds))))
    second = Running(words, here)
    ends = [first.wait(), second.wait()]
    again = Running(words, here).wait()
    wrong = [word for ended in (*ends, again) for word in trouble(ended)]
    refused = [ended for ended in ends if ended.code != 0]
    wrong += ["neither finished"] if len(refused) == 2 else []
    wrong += ["refused without the name of the other"] if any(_BUSY not in ended.text for ended in refused) else []
    wrong += compared(again, here, command, reference)
    return {
        "command": name,
        "how": "one was refused" if refused else "both finished",
        "stopped": bool(refused),
        "wrong": wrong,
        "text": "\n".join(ended.text for ended in (*ends, again)) if wrong else "",
    }


def disk_trial(
    name: str, level: int, study: Path, references: dict[str, Reference], mount: Callable[[Path, int], None], here: Path
) -> dict[str, Any]:
    """Run a command on a disk of limited size; then enlarge the disk, and run it again."""
    command, reference = COMMANDS[name], references[name]
    need = int(1.5 * reference.bytes) + 65536
    new_folder(command, study, here)
    disk = here / "disk"
    disk.mkdir()
    mount(disk, size := max(need * level // LEVELS, 4096))
    try:
        words = words_of(command, study, here, disk)
        first = Running(words, here).wait()
        wrong = trouble(first)
        if first.code == 0:
            wrong += compared(first, disk, command, reference)
        else:
            wrong += lacks_of_message(first, disk)
            wrong += [f"{path.name} is left" for path in disk.rglob("*") if _LEFT_OVER.search(path.name)][:2]
            wrong += unreadable(disk, here)
        mount(disk, 64 * need + (64 << 20))
        again = Running(words, here).wait()
        wrong += [*trouble(again), *compared(again, disk, command, reference)]
    finally:
        subprocess.check_call(["umount", "-l", str(disk)])
    return {
        "command": name,
        "how": f"{size} of {need} bytes",
        "stopped": first.code != 0,
        "wrong": wrong,
        "text": f"{first.text}\n{again.text}" if wrong else "",
    }


def lacks_of_message(ended: Ended, disk: Path) -> list[str]:
    """What a message about a full disk lacks: the folder, the space that is needed, a remedy."""
    lines = [line for line in ended.text.splitlines() if line.startswith("seismag:")]
    text = " ".join(lines)
    wanted = {
        "the folder": disk.name in text,
        "the space": re.search(r"\d+(\.\d+)? ?(bytes|[kMG]i?B)", text) is not None,
        "a remedy": "again" in text or "another" in text,
    }
    return [f"the message lacks {what}" for what, is_there in wanted.items() if not is_there]


def unreadable(disk: Path, here: Path) -> list[str]:
    """Files that a full disk has cut."""
    wrong = []
    for entry in disk.iterdir():
        try:
            contents(entry, here)
        except Exception as error:
            wrong.append(f"cut: {error}"[:200])
    return wrong


def mount_tmpfs(folder: Path, size: int) -> None:
    """Mount a file system in memory of a size in bytes, or give a mounted one this size."""
    options = f"size={-(-size // 4096) * 4096}"
    again = ["remount,"] if os.path.ismount(folder) else [""]
    subprocess.check_call(["mount", "-t", "tmpfs", "-o", f"{again[0]}{options}", "seismag", str(folder)])


def can_mount(folder: Path) -> bool:
    """Whether this user may mount a file system."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        mount_tmpfs(folder, 4096)
    except (OSError, subprocess.CalledProcessError):
        return False
    subprocess.check_call(["umount", str(folder)])
    return True
